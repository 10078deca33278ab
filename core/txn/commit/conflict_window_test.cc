#include "core/txn/commit/conflict_window.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <map>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "core/base/random.h"
#include "core/txn/test_seed.h"

namespace sop::txn {
namespace {

constexpr TreeId kTree{1};
constexpr size_t kLarge = size_t{1} << 20;
constexpr auto kStructural = ChangeKind::kStructural;
constexpr auto kValueOnly = ChangeKind::kValueOnly;

TEST(ConflictWindowTest, ChangeAfterSnapshotConflicts) {
  ConflictWindow window(kLarge, Sequence{10});
  window.Add(kTree, "a", Sequence{11}, kStructural);
  window.Add(kTree, "b", Sequence{12}, kStructural);

  const ProbeResult changed = window.Probe(kTree, "a", Sequence{10}, ReadMode::kItem);
  EXPECT_EQ(changed.outcome, ProbeOutcome::kChanged);
  EXPECT_EQ(changed.key, "a");
  EXPECT_EQ(window.Probe(kTree, "a", Sequence{11}, ReadMode::kItem).outcome,
            ProbeOutcome::kUnchanged);
  EXPECT_EQ(window.Probe(kTree, "c", Sequence{10}, ReadMode::kItem).outcome,
            ProbeOutcome::kUnchanged);
  EXPECT_EQ(window.Probe(TreeId{2}, "a", Sequence{10}, ReadMode::kItem).outcome,
            ProbeOutcome::kUnchanged);
}

TEST(ConflictWindowTest, KeyOnlyReadIgnoresChangeOfValueButNotAnEarlierInsert) {
  ConflictWindow window(kLarge, Sequence{0});
  window.Add(kTree, "a", Sequence{1}, kStructural);
  window.Add(kTree, "a", Sequence{2}, kValueOnly);

  EXPECT_EQ(window.Probe(kTree, "a", Sequence{0}, ReadMode::kKeyOnly).outcome,
            ProbeOutcome::kChanged);
  EXPECT_EQ(window.Probe(kTree, "a", Sequence{1}, ReadMode::kKeyOnly).outcome,
            ProbeOutcome::kUnchanged);
  EXPECT_EQ(window.Probe(kTree, "a", Sequence{1}, ReadMode::kItem).outcome, ProbeOutcome::kChanged);
  EXPECT_EQ(window.ProbeRange(kTree, "", "", Sequence{1}, ReadMode::kKeyOnly).outcome,
            ProbeOutcome::kUnchanged);
  EXPECT_EQ(window.ProbeRange(kTree, "", "", Sequence{1}, ReadMode::kItem).outcome,
            ProbeOutcome::kChanged);
}

TEST(ConflictWindowTest, RangeIsHalfOpen) {
  ConflictWindow window(kLarge, Sequence{0});
  window.Add(kTree, "b", Sequence{1}, kStructural);
  const auto probe = [&](std::string_view begin, std::string_view end) {
    return window.ProbeRange(kTree, begin, end, Sequence{0}, ReadMode::kItem).outcome;
  };
  EXPECT_EQ(probe("a", "b"), ProbeOutcome::kUnchanged);
  EXPECT_EQ(probe("b", "c"), ProbeOutcome::kChanged);
  EXPECT_EQ(probe("b", ""), ProbeOutcome::kChanged);
  EXPECT_EQ(probe(std::string_view("b\0", 2), ""), ProbeOutcome::kUnchanged);
  EXPECT_EQ(probe("", "bb"), ProbeOutcome::kChanged);
}

TEST(ConflictWindowTest, KeysThatDifferOnlyInTrailingZerosAreDistinct) {
  ConflictWindow window(kLarge, Sequence{0});
  window.Add(kTree, std::string("a\0", 2), Sequence{1}, kStructural);
  EXPECT_EQ(window.Probe(kTree, "a", Sequence{0}, ReadMode::kItem).outcome,
            ProbeOutcome::kUnchanged);
  EXPECT_EQ(window.Probe(kTree, std::string("a\0", 2), Sequence{0}, ReadMode::kItem).outcome,
            ProbeOutcome::kChanged);
}

TEST(ConflictWindowTest, SnapshotBeforeTheStartIsBeyondReach) {
  ConflictWindow window(kLarge, Sequence{10});
  EXPECT_EQ(window.reach(), Sequence{10});
  EXPECT_EQ(window.Probe(kTree, "a", Sequence{9}, ReadMode::kItem).outcome,
            ProbeOutcome::kBeyondReach);
  EXPECT_EQ(window.Probe(kTree, "a", Sequence{10}, ReadMode::kItem).outcome,
            ProbeOutcome::kUnchanged);
  EXPECT_EQ(window.ProbeRange(kTree, "", "", Sequence{9}, ReadMode::kItem).outcome,
            ProbeOutcome::kBeyondReach);
  window.Add(kTree, "a", Sequence{11}, kStructural);
  EXPECT_EQ(window.Probe(kTree, "a", Sequence{9}, ReadMode::kItem).outcome, ProbeOutcome::kChanged);
}

TEST(ConflictWindowTest, ForgottenCommitsAreBeyondReach) {
  ConflictWindow window(kLarge, Sequence{0});
  window.Add(kTree, "a", Sequence{1}, kStructural);
  window.Forget(Sequence{5});
  EXPECT_EQ(window.reach(), Sequence{5});
  // "a" may have changed again between 1 and 5.
  EXPECT_EQ(window.Probe(kTree, "a", Sequence{2}, ReadMode::kItem).outcome,
            ProbeOutcome::kBeyondReach);
  EXPECT_EQ(window.Probe(kTree, "a", Sequence{5}, ReadMode::kItem).outcome,
            ProbeOutcome::kUnchanged);
}

// Everything that was ever committed, listed or not.
class FullHistory {
 public:
  void Add(TreeId tree, std::string key, Sequence sequence, ChangeKind kind) {
    changes_[{tree, std::move(key)}].push_back({sequence, kind});
  }

  bool Changed(TreeId tree, const std::string& key, Sequence since, ReadMode mode) const {
    const auto at = changes_.find({tree, key});
    return at != changes_.end() && Changed(at->second, since, mode);
  }

  bool RangeChanged(TreeId tree, const std::string& begin, const std::string& end, Sequence since,
                    ReadMode mode) const {
    for (auto at = changes_.lower_bound({tree, begin}); at != changes_.end(); ++at) {
      if (at->first.first != tree || (!end.empty() && at->first.second >= end)) return false;
      if (Changed(at->second, since, mode)) return true;
    }
    return false;
  }

 private:
  using Changes = std::vector<std::pair<Sequence, ChangeKind>>;

  static bool Changed(const Changes& changes, Sequence since, ReadMode mode) {
    return std::any_of(changes.begin(), changes.end(), [&](const auto& change) {
      return change.first > since && (mode == ReadMode::kItem || change.second == kStructural);
    });
  }

  std::map<std::pair<TreeId, std::string>, Changes> changes_;
};

// Runs a window beside a FullHistory.
class OracleRun {
 public:
  OracleRun(uint64_t seed, size_t budget)
      : random_(seed), budget_(budget), window_(budget, start_) {}

  void Commit() {
    now_.value += 1 + Below(2);
    const bool listed = Below(200) != 0;
    for (uint64_t i = 1 + Below(5); i > 0; --i) {
      const TreeId tree = Tree();
      const std::string key = Key();
      const ChangeKind kind = Below(2) == 0 ? kStructural : kValueOnly;
      history_.Add(tree, key, now_, kind);
      if (listed) window_.Add(tree, key, now_, kind);
    }
    if (!listed) window_.Forget(now_);
    // A generation's newest entry may exceed its share, by a block of the arena and a tree's index.
    ASSERT_LE(window_.memory_bytes(), budget_ + 2048);
  }

  void ProbePoint() {
    const TreeId tree = Tree();
    const std::string key = Key();
    const Sequence since = Since();
    const ReadMode mode = Mode();
    const ProbeResult result = window_.Probe(tree, key, since, mode);
    Check(result, since, history_.Changed(tree, key, since, mode));
    if (result.outcome == ProbeOutcome::kChanged) {
      ASSERT_EQ(result.key, key);
    }
  }

  void ProbeRange() {
    const TreeId tree = Tree();
    const std::string begin = Below(8) == 0 ? "" : Key();
    const std::string end = Below(8) == 0 ? "" : Key();
    const Sequence since = Since();
    const ReadMode mode = Mode();
    const ProbeResult result = window_.ProbeRange(tree, begin, end, since, mode);
    Check(result, since, history_.RangeChanged(tree, begin, end, since, mode));
    if (result.outcome == ProbeOutcome::kChanged) {
      ASSERT_TRUE(result.key >= begin && (end.empty() || result.key < end));
      ASSERT_TRUE(history_.Changed(tree, std::string(result.key), since, mode));
    }
  }

  uint64_t Below(uint64_t bound) { return random_.Next64() % bound; }
  Sequence reach() const { return window_.reach(); }
  Sequence now() const { return now_; }
  int certain() const { return certain_; }

 private:
  TreeId Tree() { return TreeId{static_cast<uint32_t>(Below(3))}; }
  ReadMode Mode() { return Below(2) == 0 ? ReadMode::kItem : ReadMode::kKeyOnly; }

  // Short keys over two letters and zero, with and without a long common prefix.
  std::string Key() {
    std::string key = Below(2) == 0 ? "" : "prefixes";
    for (uint64_t i = Below(6); i > 0; --i) key.push_back("\0ab"[Below(3)]);
    return key;
  }

  // Mostly recent, as far back as the very first.
  Sequence Since() {
    const uint64_t back = Below(4) == 0 ? Below(now_.value + 1) : Below(50);
    return Sequence{now_.value - std::min(back, now_.value)};
  }

  void Check(const ProbeResult& result, Sequence since, bool changed) {
    if (result.outcome == ProbeOutcome::kBeyondReach) {
      ASSERT_LT(since, window_.reach());
      return;
    }
    ++certain_;
    ASSERT_EQ(result.outcome == ProbeOutcome::kChanged, changed) << "since " << since.value;
  }

  base::SeededRandom random_;
  const size_t budget_;
  const Sequence start_{5};
  Sequence now_ = start_;
  ConflictWindow window_;
  FullHistory history_;
  int certain_ = 0;
};

TEST(ConflictWindowTest, NeverContradictsTheFullHistory) {
  for (const size_t budget : {size_t{1}, size_t{4} << 10, size_t{40} << 10, kLarge}) {
    const uint64_t seed = TestSeed(budget);
    SCOPED_TRACE(testing::Message() << "seed " << seed << ", budget " << budget);
    OracleRun run(seed, budget);
    for (int i = 0; i < 40'000 && !testing::Test::HasFatalFailure(); ++i) {
      switch (run.Below(3)) {
        case 0:
          run.Commit();
          break;
        case 1:
          run.ProbePoint();
          break;
        default:
          run.ProbeRange();
      }
    }
    EXPECT_GT(run.certain(), budget < (size_t{40} << 10) ? 1'000 : 10'000);
  }
}

TEST(ConflictWindowTest, ReachesAsFarAsTheBudgetAllows) {
  constexpr size_t kBudget = size_t{1} << 20;
  ConflictWindow window(kBudget, Sequence{0});
  base::SeededRandom random(TestSeed(1));
  constexpr uint64_t kCommits = 100'000;
  for (uint64_t i = 1; i <= kCommits; ++i) {
    window.Add(kTree, "key" + std::to_string(random.Next64()), Sequence{i}, kStructural);
    ASSERT_LE(window.memory_bytes(), kBudget + (size_t{64} << 10));
  }
  // 120 bytes for a key of 23; at this budget blocks of the arena are up to a quarter unused.
  EXPECT_GT(kCommits - window.reach().value, kBudget / 160);
  EXPECT_GT(window.reach(), Sequence{0});
}

TEST(ConflictWindowTest, WindowsShareAPoolAndAnsweredProbesStayRight) {
  auto pool = std::make_shared<base::MemoryBudget>(size_t{256} << 10);
  std::vector<std::unique_ptr<ConflictWindow>> windows;
  for (int i = 0; i < 10; ++i) {
    windows.push_back(
        std::make_unique<ConflictWindow>(size_t{1} << 20, Sequence{0}, base::MemoryCharge(pool)));
  }
  constexpr uint64_t kCommits = 5'000;
  for (uint64_t i = 1; i <= kCommits; ++i) {
    for (auto& window : windows) window->Add(kTree, std::to_string(i), Sequence{i}, kStructural);
  }
  size_t memory = 0;
  for (const auto& window : windows) {
    memory += window->memory_bytes();
    EXPECT_LT(window->reach(), Sequence{kCommits});
    const uint64_t since = window->reach().value;
    EXPECT_EQ(
        window->Probe(kTree, std::to_string(since + 1), Sequence{since}, ReadMode::kItem).outcome,
        ProbeOutcome::kChanged);
  }
  EXPECT_LE(memory, size_t{256 + 10 * 40} << 10) << "the pool, and a small generation each";
  windows.clear();
  EXPECT_EQ(pool->firm_bytes(), 0);
}

TEST(ConflictWindowTest, LargeBudgetForgetsNothing) {
  ConflictWindow window(size_t{64} << 20, Sequence{0});
  for (uint64_t i = 1; i <= 50'000; ++i) {
    window.Add(kTree, std::to_string(i), Sequence{i}, kStructural);
  }
  EXPECT_EQ(window.reach(), Sequence{0});
  for (uint64_t i = 1; i <= 50'000; ++i) {
    ASSERT_EQ(window.Probe(kTree, std::to_string(i), Sequence{i - 1}, ReadMode::kKeyOnly).outcome,
              ProbeOutcome::kChanged);
    ASSERT_EQ(window.Probe(kTree, std::to_string(i), Sequence{i}, ReadMode::kItem).outcome,
              ProbeOutcome::kUnchanged);
  }
}

}  // namespace
}  // namespace sop::txn
