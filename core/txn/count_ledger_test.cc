#include "core/txn/count_ledger.h"

#include <algorithm>
#include <map>
#include <set>
#include <utility>
#include <vector>

#include <fmt/format.h>
#include <gtest/gtest.h>

#include "core/base/bytes.h"
#include "core/base/error.h"
#include "core/base/random.h"
#include "core/txn/test_seed.h"

namespace sop::txn {
namespace {

TreeCountChange Change(uint32_t tree, uint64_t inner, uint64_t child, int64_t amount) {
  return {TreeId{tree}, {NodeId{inner}, NodeId{child}, amount}};
}

// Held against a plain list of everything that was added and not dropped.
class LedgerOracle {
 public:
  explicit LedgerOracle(uint64_t seed) : random_(seed) {}

  void Run(int steps) {
    for (int step = 0; step < steps && !testing::Test::HasFailure(); ++step) {
      switch (Below(10)) {
        case 0:
          DropAbove(Below(tail_ + 1));
          break;
        case 1:
          DropThrough(Below(tail_ + 1) / 2);
          break;
        case 2:
          CheckLists(Below(tail_ + 2));
          break;
        case 3:
        case 4:
          CheckComplete();
          break;
        default:
          Add();
          break;
      }
    }
  }

 private:
  struct Row {
    uint64_t sequence;
    TreeCountChange change;
  };

  uint64_t Below(uint64_t bound) { return random_.Next64() % bound; }

  void Add() {
    tail_ += 1 + Below(3);
    std::vector<TreeCountChange> changes;
    for (uint64_t i = Below(6); i > 0; --i) {
      changes.push_back(Change(static_cast<uint32_t>(Below(3)), Below(4), 10 + Below(5),
                               static_cast<int64_t>(Below(9)) - 4));
      rows_.push_back({tail_, changes.back()});
    }
    ledger_.Add(Sequence{tail_}, changes);
  }
  void DropAbove(uint64_t sequence) {
    ledger_.DropAbove(Sequence{sequence});
    std::erase_if(rows_, [&](const Row& row) { return row.sequence > sequence; });
    tail_ = std::min(tail_, sequence);
  }
  void DropThrough(uint64_t sequence) {
    ledger_.DropThrough(Sequence{sequence});
    std::erase_if(rows_, [&](const Row& row) { return row.sequence <= sequence; });
  }
  void CheckComplete() {
    const TreeId tree{static_cast<uint32_t>(Below(3))};
    const NodeId inner{Below(4)};
    const uint64_t after = Below(tail_ + 1);
    const uint64_t through = after + Below(tail_ + 1);
    const std::vector<NodeId> children = {NodeId{10}, NodeId{12}, NodeId{13}, NodeId{99}};
    std::vector<uint64_t> counts = {100, 200, 300, 400};
    std::vector<uint64_t> expected = counts;
    for (const Row& row : rows_) {
      if (row.sequence <= after || row.sequence > through || row.change.tree != tree ||
          row.change.change.inner != inner) {
        continue;
      }
      for (size_t i = 0; i < children.size(); ++i) {
        if (children[i] == row.change.change.child) {
          expected[i] += static_cast<uint64_t>(row.change.change.amount);
        }
      }
    }
    ledger_.Complete({tree, inner}, {Sequence{after}, Sequence{through}}, children, counts);
    EXPECT_EQ(counts, expected);
  }
  void CheckLists(uint64_t through) {
    std::vector<Sequence> sequences;
    std::vector<std::pair<TreeId, NodeId>> nodes;
    for (const Row& row : rows_) {
      if (row.sequence > through) continue;
      const Sequence sequence{row.sequence};
      if (sequences.empty() || sequences.back() != sequence) sequences.push_back(sequence);
      const std::pair node(row.change.tree, row.change.change.inner);
      if (std::find(nodes.begin(), nodes.end(), node) == nodes.end()) nodes.push_back(node);
    }
    EXPECT_EQ(ledger_.Records(Sequence{0}, Sequence{through}), sequences);
    std::vector<std::pair<TreeId, NodeId>> found;
    for (const CountLedger::Node& node : ledger_.InnerNodes({Sequence{0}, Sequence{through}})) {
      found.emplace_back(node.tree, node.inner);
    }
    std::sort(nodes.begin(), nodes.end());
    std::sort(found.begin(), found.end());
    EXPECT_EQ(found, nodes);
  }

  base::SeededRandom random_;
  CountLedger ledger_;
  std::vector<Row> rows_;
  uint64_t tail_ = 0;
};

TEST(CountLedgerTest, StoredCountsAreThoseOfTheLastFoldingOrImage) {
  CountLedger ledger;
  const CountLedger::Node node = {TreeId{1}, NodeId{2}};
  const auto add = [&](uint64_t sequence) {
    const TreeCountChange change = Change(1, 2, 3, 1);
    ledger.Add(Sequence{sequence}, {&change, 1});
  };
  add(5);
  EXPECT_EQ(ledger.StoredAsOf(node, Sequence{0}), Sequence{0});
  EXPECT_EQ(ledger.StoredAsOf(node, Sequence{4}), Sequence{4});
  ledger.NoteImage(Sequence{5}, node);
  add(6);
  add(7);
  EXPECT_EQ(ledger.StoredAsOf(node, Sequence{4}), Sequence{5});
  EXPECT_EQ(ledger.StoredAsOf(node, Sequence{6}), Sequence{6}) << "folded since";
  ledger.DropAbove(Sequence{4});
  EXPECT_EQ(ledger.StoredAsOf(node, Sequence{4}), Sequence{4}) << "the image was not written";
  ledger.AssumeImages(Sequence{9});
  EXPECT_EQ(ledger.StoredAsOf(node, Sequence{8}), std::nullopt);
  EXPECT_EQ(ledger.StoredAsOf(node, Sequence{9}), Sequence{9});
}

TEST(CountLedgerTest, SaysWhatAPlainListSays) {
  const uint64_t seed = TestSeed(5);
  for (uint64_t i = 0; i < 50 && !testing::Test::HasFailure(); ++i) {
    SCOPED_TRACE(fmt::format("SOP_SEED={}", seed + i));
    LedgerOracle(seed + i).Run(400);
  }
}

// A database's life: groups, images written whole, foldings, snapshots held. Every snapshot must be
// told the counts of its time, whichever image of the node it sees.
class HeldSnapshots {
 public:
  explicit HeldSnapshots(uint64_t seed) : random_(seed) {}

  void Run(int steps) {
    for (int step = 0; step < steps && !testing::Test::HasFailure(); ++step) {
      const uint64_t what = Below(40);
      if (what == 0) {
        Fold();
      } else if (what == 1) {
        Hold();
      } else if (what == 2 && !held_.empty()) {
        held_.erase(std::next(held_.begin(), static_cast<ptrdiff_t>(Below(held_.size()))));
      } else if (what < 8) {
        CheckAll();
      } else {
        Commit();
      }
    }
    CheckAll();
  }
  void Grow(int groups, int groups_between_folds) {
    for (int group = 1; group <= groups; ++group) {
      Commit();
      if (group % groups_between_folds == 0) Fold();
    }
  }
  void Hold() { held_.insert(tail_); }
  void Release() { held_.clear(); }
  void CheckAll() {
    for (const uint64_t snapshot : held_) CheckAt(snapshot);
    CheckAt(tail_);
  }
  void Fold() {
    const CountLedger::Folding folding{Sequence{folded_}, Sequence{tail_}, Sequence{tail_ + 1}};
    for (const auto& node : ledger_.InnerNodes({folding.after, folding.through})) {
      images_[node.inner.value][tail_ + 1] = tail_;
    }
    folded_ = tail_++;
    folds_[tail_] = folded_;
    std::vector<Sequence> snapshots;
    for (const uint64_t snapshot : held_) snapshots.push_back(Sequence{snapshot});
    const uint64_t oldest = held_.empty() ? tail_ : *held_.begin();
    snapshots.push_back(Sequence{tail_});
    while (!folds_.empty() && folds_.begin()->first <= oldest) {
      ledger_.DropThrough(Sequence{folds_.begin()->second});
      folds_.erase(folds_.begin());
    }
    ledger_.Compact(folding, snapshots);
  }
  size_t entries() const { return ledger_.entries(); }

 private:
  static constexpr uint64_t kNodes = 4;
  static constexpr uint64_t kChildren = 5;

  uint64_t Below(uint64_t bound) { return random_.Next64() % bound; }

  void Commit() {
    tail_ += 1 + Below(2);
    const uint64_t inner = 1 + Below(kNodes);
    if (Below(10) == 0) {
      // Its image holds the counts, and nobody else says what they are.
      ledger_.NoteImage(Sequence{tail_}, {TreeId{1}, NodeId{inner}});
      images_[inner][tail_] = tail_;
      const uint64_t child = 10 + Below(kChildren);
      totals_[{inner, child}][tail_] = Total(inner, child, tail_) + Below(9);
      return;
    }
    std::vector<TreeCountChange> changes;
    for (uint64_t i = 1 + Below(3); i > 0; --i) {
      const uint64_t child = 10 + Below(kChildren);
      const auto amount = static_cast<int64_t>(Below(9)) - 4;
      changes.push_back(Change(1, inner, child, amount));
      totals_[{inner, child}][tail_] = Total(inner, child, tail_) + static_cast<uint64_t>(amount);
    }
    ledger_.Add(Sequence{tail_}, changes);
  }
  static uint64_t At(const std::map<uint64_t, uint64_t>& map, uint64_t sequence) {
    const auto after = map.upper_bound(sequence);
    return after == map.begin() ? 0 : std::prev(after)->second;
  }
  uint64_t Total(uint64_t inner, uint64_t child, uint64_t at) {
    return At(totals_[{inner, child}], at);
  }
  void CheckAt(uint64_t snapshot) {
    for (uint64_t inner = 1; inner <= kNodes; ++inner) {
      const uint64_t image = At(images_[inner], snapshot);
      for (uint64_t child = 10; child < 10 + kChildren; ++child) {
        uint64_t count = Total(inner, child, image);
        const NodeId id{child};
        ledger_.Complete({TreeId{1}, NodeId{inner}}, {Sequence{image}, Sequence{snapshot}},
                         {&id, 1}, {&count, 1});
        ASSERT_EQ(count, Total(inner, child, snapshot))
            << "node " << inner << " child " << child << " at " << snapshot << " of " << tail_;
      }
    }
  }

  base::SeededRandom random_;
  CountLedger ledger_;
  uint64_t tail_ = 0;
  uint64_t folded_ = 0;
  std::set<uint64_t> held_;
  std::map<uint64_t, uint64_t> folds_;                       // group: what it folds through
  std::map<uint64_t, std::map<uint64_t, uint64_t>> images_;  // node: since when: counts as of
  std::map<std::pair<uint64_t, uint64_t>, std::map<uint64_t, uint64_t>> totals_;
};

TEST(CountLedgerTest, EverySnapshotHeldIsToldTheCountsOfItsTime) {
  const uint64_t seed = TestSeed(17);
  for (uint64_t i = 0; i < 30 && !testing::Test::HasFailure(); ++i) {
    SCOPED_TRACE(fmt::format("SOP_SEED={}", seed + i));
    HeldSnapshots(seed + i).Run(600);
  }
}

TEST(CountLedgerTest, MemoryFollowsSnapshotsNotGroups) {
  HeldSnapshots run(TestSeed(23));
  run.Grow(550, 100);
  run.Hold();
  run.Grow(20'000, 100);
  run.CheckAll();
  // What one folding has, and the sums before one snapshot.
  EXPECT_LE(run.entries(), 400u);
  for (int i = 0; i < 20; ++i) {
    run.Grow(137, 100);
    run.Hold();
    run.Grow(1'000, 100);
  }
  run.CheckAll();
  EXPECT_LE(run.entries(), 400u + 20 * 60);
  run.Release();
  run.Fold();
  EXPECT_EQ(run.entries(), 0u);
}

TEST(CountLedgerTest, RecordsAscendByKey) {
  EXPECT_LT(CountRecordKey(Sequence{255}), CountRecordKey(Sequence{256}));
  EXPECT_GE(CountRecordKey(Sequence{0}), kCountRecordsBegin);
  EXPECT_LT(CountRecordKey(Sequence{kMaxSequence}), kCountRecordsEnd);
  EXPECT_EQ(*CountRecordSequence(CountRecordKey(Sequence{kMaxSequence})), Sequence{kMaxSequence});
  EXPECT_FALSE(CountRecordSequence("c1234567").ok());
  EXPECT_FALSE(CountRecordSequence("d12345678").ok());
}

}  // namespace
}  // namespace sop::txn
