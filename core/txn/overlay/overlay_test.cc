#include "core/txn/overlay/overlay.h"

#include <gtest/gtest.h>

#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "core/base/error.h"
#include "core/base/random.h"
#include "core/txn/overlay/faulty_file_system.h"
#include "core/txn/overlay/spill_space.h"
#include "core/txn/test_seed.h"

namespace sop::txn {
namespace {

using Model = std::map<std::string, std::string>;

constexpr size_t kLarge = size_t{1} << 24;

std::string Found(const Overlay& overlay, std::string_view key) {
  const auto found = overlay.Find(key);
  if (!found.ok()) return found.status().ToString();
  return found->has_value() ? **found : "(none)";
}

// Everything in order, or reversed.
std::string Walk(const Overlay& overlay, bool forward) {
  std::string out;
  Overlay::Iterator it(overlay);
  for (forward ? it.SeekToFirst() : it.SeekToLast(); it.Valid(); forward ? it.Next() : it.Prev()) {
    out.append(it.key()).append("=").append(it.payload()).append(" ");
  }
  EXPECT_TRUE(it.status().ok()) << it.status();
  return out;
}

TEST(OverlayTest, NewestPayloadOfAKeyWins) {
  FaultyFileSystem files;
  SpillSpace space(files, "spill", "t1", kLarge);
  Overlay overlay(space);
  EXPECT_TRUE(overlay.empty());
  ASSERT_TRUE(overlay.Put("b", "1").ok());
  ASSERT_TRUE(overlay.Put("a", "").ok());
  ASSERT_TRUE(overlay.Put("b", "a longer payload").ok());
  ASSERT_TRUE(overlay.Put("b", "short").ok());
  EXPECT_EQ(Found(overlay, "b"), "short");
  EXPECT_EQ(Found(overlay, "a"), "");
  EXPECT_EQ(Found(overlay, "c"), "(none)");
  EXPECT_EQ(overlay.entry_count(), 2u);
  EXPECT_EQ(overlay.bytes(), 7u);
  EXPECT_EQ(Walk(overlay, true), "a= b=short ");
  EXPECT_TRUE(files.files().empty());
}

TEST(OverlayTest, WritesGoToDiskWhenTheProcessHasNoMemoryLeft) {
  FaultyFileSystem files;
  auto budget = std::make_shared<base::MemoryBudget>(size_t{256} << 10);
  {
    SpillSpace space(files, "spill", "t1", kLarge, base::MemoryCharge(budget));
    Overlay overlay(space);
    EXPECT_EQ(budget->firm_bytes(), 4096) << "what every transaction has";
    int written = 0;
    for (; budget->firm_bytes() < (64 << 10); ++written) {
      ASSERT_TRUE(overlay.Put(std::to_string(written), std::string(100, 'x')).ok());
    }
    EXPECT_TRUE(files.files().empty());
    budget->SetOverhead(int64_t{1} << 20);
    for (int i = 0; i < 5'000; ++i, ++written) {
      ASSERT_TRUE(overlay.Put(std::to_string(written), std::string(100, 'x')).ok());
    }
    EXPECT_FALSE(files.files().empty());
    EXPECT_LE(space.memory_bytes(), size_t{64} << 10);
    for (int i = 0; i < written; ++i) ASSERT_EQ(Found(overlay, std::to_string(i)).size(), 100u);
  }
  EXPECT_EQ(budget->firm_bytes(), 0);
}

TEST(OverlayTest, BufferHidesRunsAndNewerRunsHideOlder) {
  FaultyFileSystem files;
  SpillSpace space(files, "spill", "t1", kLarge);
  Overlay overlay(space);
  ASSERT_TRUE(overlay.Put("a", "1").ok());
  ASSERT_TRUE(overlay.Put("b", "1").ok());
  ASSERT_TRUE(overlay.Put("c", "1").ok());
  ASSERT_TRUE(overlay.Spill().ok());
  ASSERT_TRUE(overlay.Put("b", "2").ok());
  ASSERT_TRUE(overlay.Put("c", "2").ok());
  ASSERT_TRUE(overlay.Spill().ok());
  ASSERT_TRUE(overlay.Put("c", "3").ok());
  EXPECT_EQ(overlay.run_count(), 2u);
  EXPECT_EQ(Walk(overlay, true), "a=1 b=2 c=3 ");
  EXPECT_EQ(Walk(overlay, false), "c=3 b=2 a=1 ");
  EXPECT_EQ(Found(overlay, "a") + Found(overlay, "b") + Found(overlay, "c"), "123");
  EXPECT_EQ(overlay.entry_count(), 6u);
}

TEST(OverlayTest, IteratorGoesOnAfterWrites) {
  FaultyFileSystem files;
  SpillSpace space(files, "spill", "t1", kLarge);
  Overlay overlay(space);
  ASSERT_TRUE(overlay.Put("b", "1").ok());
  ASSERT_TRUE(overlay.Put("d", "1").ok());
  Overlay::Iterator it(overlay);
  it.Seek("a");
  ASSERT_TRUE(overlay.Put("c", "2").ok());
  ASSERT_TRUE(overlay.Spill().ok());
  EXPECT_EQ(it.key(), "b");
  it.Next();
  EXPECT_EQ(it.key(), "c");
  ASSERT_TRUE(overlay.Put("a", "2").ok());
  it.Prev();
  it.Prev();
  EXPECT_EQ(it.key(), "a");
  it.Prev();
  EXPECT_FALSE(it.Valid());
  it.SeekBefore("d");
  EXPECT_EQ(it.key(), "c");
  it.SeekBefore("a");
  EXPECT_FALSE(it.Valid());
}

TEST(OverlayTest, MergeThatFailedIsTriedAgainUnderALivingIterator) {
  FaultyFileSystem files;
  SpillSpace space(files, "spill", "t1", kLarge);
  Overlay overlay(space);
  for (int i = 0; i < 8; ++i) {
    ASSERT_TRUE(overlay.Put(std::to_string(i), "1").ok());
    ASSERT_TRUE(overlay.Spill().ok());
  }
  ASSERT_TRUE(overlay.Put("8", "1").ok());
  // To write the ninth run takes four operations; the fifth is the first of the merge.
  files.FailEvery(5);
  EXPECT_EQ(overlay.Spill().code(), absl::StatusCode::kUnavailable);
  EXPECT_EQ(overlay.run_count(), 9u);
  files.FailEvery(0);
  EXPECT_EQ(Walk(overlay, true), "0=1 1=1 2=1 3=1 4=1 5=1 6=1 7=1 8=1 ");
  Overlay::Iterator it(overlay);
  it.Seek("3");
  ASSERT_TRUE(overlay.Spill().ok());
  EXPECT_EQ(overlay.run_count(), 1u);
  EXPECT_EQ(overlay.entry_count(), 9u);
  EXPECT_EQ(files.files().size(), 1u);
  it.Next();
  EXPECT_EQ(it.key(), "4");
  it.Prev();
  EXPECT_EQ(it.key(), "3");
}

TEST(OverlayTest, LargestBufferOfTheTransactionIsWrittenOut) {
  FaultyFileSystem files;
  SpillSpace space(files, "spill", "t1", 20'000);
  Overlay small(space);
  Overlay large(space);
  ASSERT_TRUE(large.Put("a", std::string(18'000, 'x')).ok());
  ASSERT_TRUE(small.Put("a", std::string(3'000, 'y')).ok());
  EXPECT_EQ(large.run_count(), 1u);
  EXPECT_EQ(small.run_count(), 0u);
  EXPECT_LE(space.memory_bytes(), 20'000u);
  EXPECT_EQ(Found(large, "a").size(), 18'000u);
}

TEST(OverlayTest, FilesVanishWithTheOverlay) {
  FaultyFileSystem files;
  SpillSpace space(files, "spill", "t1", kLarge);
  {
    Overlay overlay(space);
    for (int i = 0; i < 20; ++i) {
      ASSERT_TRUE(overlay.Put(std::to_string(i), "1").ok());
      ASSERT_TRUE(overlay.Spill().ok());
      EXPECT_LE(overlay.run_count(), Overlay::kMaxRuns);
      EXPECT_EQ(files.files().size(), overlay.run_count());
    }
    EXPECT_EQ(files.files().begin()->first.substr(0, 9), "spill/t1-");
  }
  EXPECT_TRUE(files.files().empty());
  EXPECT_EQ(space.memory_bytes(), 0u);
}

TEST(OverlayTest, LeftoversAreRemovedAndStrangersKept) {
  FaultyFileSystem files;
  ASSERT_TRUE(files.WriteDurably("spill/t0-7.spill", "left").ok());
  ASSERT_TRUE(files.WriteDurably("spill/notes.txt", "mine").ok());
  ASSERT_TRUE(files.WriteDurably("other/t0-7.spill", "elsewhere").ok());
  ASSERT_TRUE(SpillSpace::RemoveLeftovers(files, "spill").ok());
  EXPECT_EQ(files.files().size(), 2u);
  EXPECT_EQ(files.files().count("spill/t0-7.spill"), 0u);
}

TEST(OverlayTest, EveryDamagedByteOfARunIsNoticed) {
  FaultyFileSystem files;
  SpillSpace space(files, "spill", "t1", kLarge);
  Overlay overlay(space);
  for (int i = 0; i < 20; ++i) ASSERT_TRUE(overlay.Put("key" + std::to_string(i), "payload").ok());
  ASSERT_TRUE(overlay.Spill().ok());
  std::string& content = *files.files().begin()->second;
  for (size_t i = 0; i < content.size(); ++i) {
    content[i] ^= 0x10;
    EXPECT_EQ(overlay.Find("key7").status().code(), absl::StatusCode::kDataLoss) << i;
    Overlay::Iterator it(overlay);
    it.SeekToFirst();
    EXPECT_FALSE(it.Valid());
    EXPECT_EQ(it.status().code(), absl::StatusCode::kDataLoss) << i;
    content[i] ^= 0x10;
  }
  content.pop_back();
  EXPECT_EQ(overlay.Find("key7").status().code(), absl::StatusCode::kDataLoss);
}

TEST(OverlayTest, SpilledEntriesTakeTwoBytesOfMemoryEach) {
  FaultyFileSystem files;
  SpillSpace space(files, "spill", "t1", size_t{4} << 20);
  Overlay overlay(space);
  base::SeededRandom random(TestSeed(1));
  constexpr uint64_t kEntries = 300'000;
  const std::string payload(80, 'p');
  for (uint64_t i = 0; i < kEntries; ++i) {
    ASSERT_TRUE(overlay.Put("key-" + std::to_string(random.Next64()), payload).ok());
    ASSERT_LE(space.memory_bytes(), space.memory_budget_bytes());
  }
  EXPECT_GT(overlay.run_count(), 0u);
  // 10 bits of filter and a 300th of an index entry each; a block for each run at most.
  EXPECT_LT(overlay.run_memory_bytes(), kEntries * 2 + Overlay::kMaxRuns * (size_t{40} << 10));
  EXPECT_EQ(overlay.entry_count(), kEntries);
}

// Random operations on several overlays of one space, beside a std::map each.
class OracleRun {
 public:
  OracleRun(uint64_t seed, size_t budget)
      : random_(seed), space_(files_, "spill", "t", budget), overlays_(3) {
    for (Side& side : overlays_) {
      side.overlay = std::make_unique<Overlay>(space_);
      side.it = std::make_unique<Overlay::Iterator>(*side.overlay);
    }
  }

  void Step() {
    Side& side = overlays_[Below(overlays_.size())];
    switch (Below(8)) {
      case 0:
      case 1:
      case 2:
        return Put(side);
      case 3:
        return Find(side);
      case 4:
        return SeekSomewhere(side);
      default:
        return Move(side);
    }
  }

  void CheckEverything() {
    for (Side& side : overlays_) {
      std::string expected;
      std::string reversed;
      for (const auto& [key, payload] : side.model) {
        const std::string entry = key + "=" + payload + " ";
        expected += entry;
        reversed.insert(0, entry);
      }
      EXPECT_EQ(Walk(*side.overlay, true), expected);
      EXPECT_EQ(Walk(*side.overlay, false), reversed);
      EXPECT_GE(side.overlay->entry_count(), side.model.size());
      ASSERT_TRUE(side.overlay->Spill().ok());
      EXPECT_LE(side.overlay->run_count(), Overlay::kMaxRuns);
    }
  }

  FaultyFileSystem& files() { return files_; }
  uint64_t Below(uint64_t bound) { return random_.Next64() % bound; }
  uint64_t spills() const { return spills_; }
  uint64_t failures() const { return failures_; }

 private:
  struct Side {
    std::unique_ptr<Overlay> overlay;
    std::unique_ptr<Overlay::Iterator> it;
    Model model;
  };

  std::string Key() {
    std::string key = Below(2) == 0 ? "" : "prefixes";
    for (uint64_t i = Below(9); i > 0; --i) key.push_back("\0ab"[Below(3)]);
    return key;
  }

  void Put(Side& side) {
    const std::string key = Key();
    std::string payload(Below(Below(50) == 0 ? 5'000 : 60), static_cast<char>('a' + Below(26)));
    const size_t runs = side.overlay->run_count();
    const absl::Status status = side.overlay->Put(key, payload);
    // A failed write-out loses nothing: the write is there.
    if (!status.ok()) CheckFault(status);
    spills_ += side.overlay->run_count() != runs ? 1 : 0;
    side.model[key] = std::move(payload);
  }

  void Find(Side& side) {
    const std::string key = Key();
    const auto found = side.overlay->Find(key);
    if (!found.ok()) return CheckFault(found.status());
    const auto expected = side.model.find(key);
    ASSERT_EQ(found->has_value(), expected != side.model.end());
    if (found->has_value()) {
      ASSERT_EQ(**found, expected->second);
    }
  }

  void SeekSomewhere(Side& side) {
    const std::string key = Key();
    switch (Below(4)) {
      case 0:
        side.it->SeekToLast();
        return Expect(side, Before(side.model, side.model.end()));
      case 1:
        side.it->SeekBefore(key);
        return Expect(side, Before(side.model, side.model.lower_bound(key)));
      default:
        side.it->Seek(key);
        return Expect(side, side.model.lower_bound(key));
    }
  }

  void Move(Side& side) {
    for (uint64_t i = Below(4); i > 0 && side.it->Valid(); --i) {
      const std::string key(side.it->key());
      if (Below(2) == 0) {
        side.it->Next();
        Expect(side, side.model.upper_bound(key));
      } else {
        side.it->Prev();
        Expect(side, Before(side.model, side.model.lower_bound(key)));
      }
    }
  }

  static Model::const_iterator Before(const Model& model, Model::const_iterator at) {
    return at == model.begin() ? model.end() : std::prev(at);
  }

  void Expect(const Side& side, Model::const_iterator expected) {
    if (!side.it->status().ok()) {
      ASSERT_FALSE(side.it->Valid());
      return CheckFault(side.it->status());
    }
    ASSERT_EQ(side.it->Valid(), expected != side.model.end());
    if (!side.it->Valid()) return;
    ASSERT_EQ(side.it->key(), expected->first);
    ASSERT_EQ(side.it->payload(), expected->second);
  }

  void CheckFault(const absl::Status& status) {
    ++failures_;
    ASSERT_EQ(ReasonOf(status), Reason::kUnavailable) << status;
    ASSERT_GT(files_.faults(), 0u);
  }

  base::SeededRandom random_;
  FaultyFileSystem files_;
  SpillSpace space_;
  std::vector<Side> overlays_;
  uint64_t spills_ = 0;
  uint64_t failures_ = 0;
};

TEST(OverlayTest, AgreesWithAMapWhileSpillingAndMerging) {
  for (const size_t budget : {size_t{8} << 10, size_t{64} << 10, kLarge}) {
    const uint64_t seed = TestSeed(budget);
    SCOPED_TRACE(testing::Message() << "seed " << seed << ", budget " << budget);
    OracleRun run(seed, budget);
    for (int i = 0; i < 80'000 && !testing::Test::HasFatalFailure(); ++i) run.Step();
    if (budget != kLarge) {
      EXPECT_GT(run.spills(), 40u);
    }
    EXPECT_EQ(run.failures(), 0u);
    run.CheckEverything();
  }
}

TEST(OverlayTest, FailingFileSystemCostsErrorsButNoWrites) {
  for (const uint64_t period : {1, 2, 5, 17, 100}) {
    const uint64_t seed = TestSeed(period);
    SCOPED_TRACE(testing::Message() << "seed " << seed << ", every " << period);
    OracleRun run(seed, size_t{16} << 10);
    for (int round = 0; round < 8; ++round) {
      run.files().FailEvery(round % 2 == 0 ? 0 : period);
      for (int i = 0; i < 2'000 && !testing::Test::HasFatalFailure(); ++i) run.Step();
    }
    EXPECT_GT(run.failures(), 0u);
    run.files().FailEvery(0);
    run.CheckEverything();
  }
}

}  // namespace
}  // namespace sop::txn
