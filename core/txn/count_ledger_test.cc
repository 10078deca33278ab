#include "core/txn/count_ledger.h"

#include <algorithm>
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
    for (const CountLedger::Node& node : ledger_.InnerNodes(Sequence{through})) {
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

TEST(CountLedgerTest, SaysWhatAPlainListSays) {
  const uint64_t seed = TestSeed(5);
  for (uint64_t i = 0; i < 50 && !testing::Test::HasFailure(); ++i) {
    SCOPED_TRACE(fmt::format("SOP_SEED={}", seed + i));
    LedgerOracle(seed + i).Run(400);
  }
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
