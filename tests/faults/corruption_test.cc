// Files that are not what was written: no answer may be wrong. SOP_SEED replays a run's damages,
// SOP_CASES sets how many there are.

#include <algorithm>
#include <array>
#include <filesystem>
#include <optional>

#include <fmt/format.h>
#include <gtest/gtest.h>

#include "core/base/error.h"
#include "core/base/random.h"
#include "tests/faults/database_on_disk.h"
#include "tests/faults/engine_on_disk.h"

namespace sop::faults {
namespace {

using model_disk::Disk;
using model_disk::DiskState;
using Content = DatabaseOnDisk::Content;

constexpr std::array<std::string_view, 6> kStores = {"ant", "bee", "cat", "dog", "eel", "whale"};
constexpr int kRounds = 4;  // the last one is in the log only

// What round `round` writes to a store: some keys again, some for the first time.
Content RoundOf(size_t store, int round) {
  Content items;
  const bool large = kStores[store] == "whale";
  const int first = round * 20;
  for (int i = first; i < first + (large ? 12 : 120); ++i) {
    const size_t filler = large ? 3000 : 20 + static_cast<size_t>(i * 7 % 150);
    items[fmt::format("{} {:04}", kStores[store], i)] =
        fmt::format("round {} {}", round, std::string(filler, static_cast<char>('a' + i % 26)));
  }
  return items;
}

Content ContentAfter(size_t store, int rounds) {
  Content content;
  for (int round = 0; round < rounds; ++round) {
    for (auto& [key, value] : RoundOf(store, round)) {
      content[key] = value;
    }
  }
  return content;
}

std::string DetailOf(const absl::Status& status, std::string_view name) {
  for (const auto& [detail, value] : DetailsOf(status)) {
    if (detail == name) return value;
  }
  return {};
}

enum class Kind { kFlippedBit, kZeroedPage, kCut, kSwapped, kDeleted, kOlder };
constexpr std::array<std::string_view, 6> kKindNames = {
    "a flipped bit", "a zeroed page", "a cut", "a swap", "a deletion", "an older copy"};

class CorruptionTest : public ::testing::Test {
 protected:
  static void SetUpTestSuite() {
    Disk disk;
    auto opened = DatabaseOnDisk::Open(disk);
    ASSERT_TRUE(opened.ok()) << opened.status();
    for (int round = 0; round < kRounds; ++round) {
      for (size_t store = 0; store < kStores.size(); ++store) {
        const absl::Status put = (*opened)->Put(kStores[store], RoundOf(store, round));
        ASSERT_TRUE(put.ok()) << put;
      }
      if (round + 1 < kRounds) ASSERT_TRUE((*opened)->Compact().ok());
      if (round == 1) early_ = new DiskState(disk.state());
    }
    killed_ = new DiskState(disk.state());
    opened->reset();
    closed_ = new DiskState(disk.state());
  }

  uint64_t Below(uint64_t bound) { return random_.Next64() % bound; }
  static const std::string& Bytes(const DiskState& state, const std::string& path) {
    return state.file(state.Find(path)->file).bytes;
  }

  // A file with something in it, of one of the kinds that matter.
  std::string PickFile(const DiskState& state) {
    constexpr std::array<std::string_view, 13> kParts = {
        ".sst", ".sst", ".sst",     ".sst",       ".sst",    ".blob",   ".log",
        ".log", "MANI", "/CURRENT", "SOP-FORMAT", "OPTIONS", "SOP-SEAL"};
    for (;;) {
      const std::string_view part = kParts[Below(kParts.size())];
      std::vector<std::string> fitting;
      for (const std::string& path : state.Files()) {
        if (path.find(part) != std::string::npos && !Bytes(state, path).empty()) {
          fitting.push_back(path);
        }
      }
      if (!fitting.empty()) return fitting[Below(fitting.size())];
    }
  }

  // Another file with the same ending and other bytes.
  std::optional<std::string> PickOther(const DiskState& state, const std::string& path) {
    std::vector<std::string> others;
    const std::string ending = std::filesystem::path(path).extension().string();
    for (const std::string& other : state.Files()) {
      if (other != path && std::filesystem::path(other).extension().string() == ending &&
          Bytes(state, other) != Bytes(state, path)) {
        others.push_back(other);
      }
    }
    if (others.empty()) return std::nullopt;
    return others[Below(others.size())];
  }

  // False if this file cannot be damaged in this way.
  bool Damage(DiskState* state, const std::string& path, Kind kind) {
    std::string bytes = Bytes(*state, path);
    switch (kind) {
      case Kind::kFlippedBit:
        bytes[Below(bytes.size())] ^= static_cast<char>(1 << Below(8));
        break;
      case Kind::kZeroedPage: {
        const size_t begin = Below(bytes.size()) / 512 * 512;
        const size_t end = std::min(bytes.size(), begin + 512);
        std::fill(bytes.begin() + static_cast<ptrdiff_t>(begin),
                  bytes.begin() + static_cast<ptrdiff_t>(end), '\0');
        break;
      }
      case Kind::kCut:
        bytes.resize(Below(bytes.size()));
        break;
      case Kind::kSwapped: {
        const auto other = PickOther(*state, path);
        if (!other.has_value()) return false;
        const std::string theirs = Bytes(*state, *other);
        state->Overwrite(*other, bytes);
        bytes = theirs;
        break;
      }
      case Kind::kDeleted: {
        model_disk::DiskOperation remove;
        remove.kind = model_disk::DiskOperation::Kind::kRemove;
        remove.path = path;
        state->Apply(remove);
        return true;
      }
      case Kind::kOlder:
        if (!early_->Find(path).has_value()) return false;
        bytes = Bytes(*early_, path);
        break;
    }
    if (bytes == Bytes(*state, path)) return false;
    state->Overwrite(path, std::move(bytes));
    return true;
  }

  // What reading everything came to.
  struct Verdict {
    size_t right = 0;
    size_t lost = 0;     // stores that answer DATA_LOSS
    size_t unnamed = 0;  // of those, naming neither the store nor the catalog
    size_t before_last_round = 0;
    std::string wrong;
  };
  static Verdict ReadAll(DatabaseOnDisk& database) {
    Verdict verdict;
    for (size_t store = 0; store < kStores.size(); ++store) {
      const auto content = database.Read(kStores[store]);
      if (content.ok() && *content == ContentAfter(store, kRounds)) {
        // Commits are lost from the end only.
        if (verdict.before_last_round > 0) verdict.wrong = "a commit is gone, a later one is there";
        ++verdict.right;
      } else if (content.ok() && *content == ContentAfter(store, kRounds - 1)) {
        ++verdict.before_last_round;
      } else if (!content.ok() && ReasonOf(content.status()) == Reason::kDamaged) {
        ++verdict.lost;
        const std::string named = DetailOf(content.status(), "store");
        verdict.unnamed += named != kStores[store] && named != "catalog";
      } else {
        verdict.wrong =
            fmt::format("store {}: {}", kStores[store],
                        content.ok() ? fmt::format("{} items, not those written", content->size())
                                     : content.status().ToString());
      }
    }
    return verdict;
  }

  void TryOne(const std::string& path, const DiskState& state, bool was_closed) {
    Disk disk(state);
    auto opened = DatabaseOnDisk::Open(disk);
    if (!opened.ok()) {
      ++refused_;
      const Reason reason = ReasonOf(opened.status());
      EXPECT_TRUE(reason == Reason::kDamaged || reason == Reason::kFormatNotSupported)
          << opened.status();
      return;
    }
    const Verdict verdict = ReadAll(**opened);
    EXPECT_EQ(verdict.wrong, "");
    wrong_ += !verdict.wrong.empty();
    if (verdict.before_last_round > 0) {
      // The end of a log that was not closed looks like what a power loss leaves.
      EXPECT_TRUE(!was_closed && path.ends_with(".log")) << "acknowledged commits are gone";
      ++cut_;
    }
    unnamed_ += verdict.unnamed;
    ++(verdict.lost > 0 ? lost_ : unharmed_);
    if (verdict.lost > 0 && verdict.right > 0) ++others_served_;
    const auto report = (*opened)->Check();
    const bool found = !report.ok() || !report->sound();
    if (verdict.lost > 0) EXPECT_TRUE(found) << "check finds nothing";
    if (path.ends_with(".sst") || path.ends_with(".blob")) {
      ++damaged_open_;
      found_ += found;
    }
  }

  static DiskState* early_;
  static DiskState* killed_;
  static DiskState* closed_;

  const uint64_t seed_ = NumberFrom("SOP_SEED", 1);
  base::SeededRandom random_{seed_};
  uint64_t refused_ = 0;
  uint64_t unharmed_ = 0;
  uint64_t lost_ = 0;
  uint64_t others_served_ = 0;
  uint64_t cut_ = 0;
  uint64_t wrong_ = 0;
  uint64_t unnamed_ = 0;
  uint64_t damaged_open_ = 0;  // a table or blob file is damaged, the database opens
  uint64_t found_ = 0;
};

DiskState* CorruptionTest::early_ = nullptr;
DiskState* CorruptionTest::killed_ = nullptr;
DiskState* CorruptionTest::closed_ = nullptr;

TEST_F(CorruptionTest, UndamagedIsSound) {
  for (const DiskState* state : {killed_, closed_}) {
    Disk disk(*state);
    auto opened = DatabaseOnDisk::Open(disk);
    ASSERT_TRUE(opened.ok()) << opened.status();
    const Verdict verdict = ReadAll(**opened);
    EXPECT_EQ(verdict.right, kStores.size()) << verdict.wrong;
    const auto report = (*opened)->Check();
    ASSERT_TRUE(report.ok()) << report.status();
    EXPECT_TRUE(report->sound()) << check::ToText(*report);
  }
}

TEST_F(CorruptionTest, NoAnswerIsWrong) {
  const uint64_t cases = NumberFrom("SOP_CASES", 200);
  fmt::print("seed {}, {} damages\n", seed_, cases);
  for (uint64_t i = 0; i < cases && !HasFailure();) {
    const bool was_closed = Below(2) == 0;
    DiskState state = was_closed ? *closed_ : *killed_;
    const std::string path = PickFile(state);
    const auto kind = static_cast<Kind>(Below(kKindNames.size()));
    if (!Damage(&state, path, kind)) continue;
    SCOPED_TRACE(fmt::format("plan: SOP_SEED={}, damage {}: {} of {} after a {}", seed_, i,
                             kKindNames[static_cast<size_t>(kind)], path,
                             was_closed ? "closing" : "kill"));
    TryOne(path, state, was_closed);
    if (HasFailure()) {
      const std::string folder = std::filesystem::temp_directory_path().string();
      fmt::print("{}\n", KeepDisk(state, fmt::format("{}/sop_corruption_{}", folder, seed_)));
    }
    ++i;
  }
  fmt::print(
      "{} damages: {} refused at opening, {} with lost stores ({} of them with others served), {} "
      "unharmed, {} with the end of the log gone; check found {} of {} damaged files\n",
      cases, refused_, lost_, others_served_, unharmed_, cut_, found_, damaged_open_);
  EXPECT_EQ(unnamed_, 0U) << "DATA_LOSS that names neither its store nor the catalog";
  fmt::print("counter damages {}\ncounter wrong_answers {}\ncounter refused {}\ncounter lost {}\n",
             cases, wrong_, refused_, lost_);
}

}  // namespace
}  // namespace sop::faults
