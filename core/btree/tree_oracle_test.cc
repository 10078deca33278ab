// The tree against std::map, through both of its lives: the versions that a committer keeps in
// memory, and what storage would give back, folded from the deltas, images and count records that
// the writer reported.

#include <map>
#include <set>
#include <string>
#include <vector>

#include <fmt/format.h>
#include <gtest/gtest.h>

#include "core/base/random.h"
#include "core/btree/node/apply.h"
#include "core/btree/tree.h"
#include "core/btree/tree_writer.h"

namespace sop::btree {
namespace {

using persistence::NodeAction;

constexpr TreeId kTree{7};

// Versions as the committer holds them.
class WarmSource : public NodeSource {
 public:
  absl::StatusOr<NodeRef> Read(TreeId, NodeId node) override {
    const auto it = nodes.find(node);
    return it == nodes.end() ? nullptr : it->second;
  }
  std::map<NodeId, NodeRef> nodes;
};

// Images as storage holds them, with the count records beside.
class ColdSource : public NodeSource {
 public:
  absl::StatusOr<NodeRef> Read(TreeId, NodeId node) override {
    const auto it = images.find(node);
    if (it == images.end()) return nullptr;
    auto image = NodeImage::Parse(it->second);
    if (!image.ok()) return image.status();
    if ((*image)->is_leaf()) return NodeVersion::FromImage(*image);
    std::vector<uint64_t> counts;
    for (uint32_t slot = 0; slot < (*image)->slots(); ++slot) {
      const ChildView child = (*image)->child(slot);
      counts.push_back(child.count);
      for (const auto& [sequence, change] : count_records[node]) {
        if (sequence > (*image)->counts_sequence() && change.child == child.child) {
          counts.back() += static_cast<uint64_t>(change.amount);
        }
      }
    }
    return NodeVersion::WithCounts(*image, counts);
  }
  std::map<NodeId, std::string> images;
  std::map<NodeId, std::vector<std::pair<Sequence, CountChange>>> count_records;
};

struct Shape {
  size_t image_bytes;
  uint32_t slots;
  size_t key_space;
  size_t largest_value;
  size_t groups;
  size_t largest_group;
};

class TreeOracleTest : public testing::TestWithParam<Shape> {
 protected:
  struct Expected {
    Sequence version;
    std::string value;
    std::string ride_on;
  };

  std::string RandomKey() {
    const uint64_t number = random_.Next64() % GetParam().key_space;
    // Mixed lengths and shared prefixes.
    return number % 3 == 0
               ? fmt::format("k{:06}", number)
               : fmt::format("key/with/prefix/{:08}{}", number, std::string(number % 20, 'x'));
  }

  // One group of writes, applied to the tree in both its lives and to the map.
  void WriteGroup(int erase_percent) {
    ++sequence_.value;
    std::set<std::string> keys;
    const size_t count = 1 + random_.Next64() % GetParam().largest_group;
    for (size_t i = 0; i < count; ++i) keys.insert(RandomKey());
    std::vector<std::string> values;
    values.reserve(keys.size());
    std::vector<TreeWrite> writes;
    for (const std::string& key : keys) {
      TreeWrite write;
      write.key = key;
      write.sequence = sequence_;
      values.emplace_back(random_.Next64() % (GetParam().largest_value + 1),
                          static_cast<char>('a' + random_.Next64() % 26));
      const auto it = expected_.find(key);
      if (random_.Next64() % 100 < static_cast<uint64_t>(erase_percent)) {
        write.kind = DeltaKind::kErase;
        if (it != expected_.end()) expected_.erase(it);
      } else if (it != expected_.end() && random_.Next64() % 8 == 0) {
        write.kind = DeltaKind::kSetRideOn;
        write.item.ride_on = values.back();
        it->second.ride_on = values.back();
        it->second.version = sequence_;
      } else {
        write.item.value = values.back();
        write.item.version = sequence_;
        expected_[key] = {sequence_, values.back(), ""};
      }
      writes.push_back(write);
    }
    operations_ += writes.size();
    Store(writes);
  }

  void Store(const std::vector<TreeWrite>& writes) {
    TreeWriter::Options options;
    options.limits = {GetParam().image_bytes, GetParam().slots,
                      static_cast<uint32_t>(1 + sequence_.value / 64 % 4)};
    options.sequence = sequence_;
    const auto next = [this] { return NodeId{++next_node_}; };
    TreeWriter writer(warm_, next, options);
    auto changes = writer.Write(kTree, writes);
    ASSERT_TRUE(changes.ok()) << changes.status();
    for (auto& [id, result] : changes->nodes) {
      if (result.version == nullptr) {
        warm_.nodes.erase(id);
      } else {
        warm_.nodes[id] = result.version;
      }
      if (!result.action.has_value()) continue;
      switch (*result.action) {
        case NodeAction::kRemove:
          ASSERT_EQ(cold_.images.erase(id), 1U);
          cold_.count_records.erase(id);
          break;
        case NodeAction::kPut:
          cold_.images[id] = result.version->image().bytes();
          break;
        case NodeAction::kMerge: {
          const auto it = cold_.images.find(id);
          std::optional<std::string_view> before;
          if (it != cold_.images.end()) before = it->second;
          const std::string_view deltas[] = {result.bytes};
          cold_.images[id] = Apply(before, deltas);
          break;
        }
      }
    }
    for (const CountChange& change : changes->counts) {
      cold_.count_records[change.inner].emplace_back(sequence_, change);
    }
  }

  void CheckCursor(NodeSource& source) {
    Cursor cursor(source, kTree);
    ASSERT_TRUE(cursor.SeekToFirst().ok());
    uint64_t rank = 0;
    for (const auto& [key, item] : expected_) {
      ASSERT_TRUE(cursor.Valid());
      ASSERT_EQ(cursor.key(), key);
      ASSERT_EQ(cursor.item().value, item.value);
      ASSERT_EQ(cursor.item().ride_on, item.ride_on);
      ASSERT_EQ(cursor.item().version, item.version);
      if (rank++ % 16 == 0) {
        ASSERT_EQ(cursor.rank(), rank - 1);
        ASSERT_LE(cursor.LeafLow(), key);
        if (const auto high = cursor.LeafHigh()) {
          ASSERT_LT(key, *high);
        }
      }
      ASSERT_TRUE(cursor.Next().ok());
    }
    ASSERT_FALSE(cursor.Valid());
    ASSERT_TRUE(cursor.SeekToLast().ok());
    for (auto it = expected_.rbegin(); it != expected_.rend(); ++it) {
      ASSERT_TRUE(cursor.Valid());
      ASSERT_EQ(cursor.key(), it->first);
      ASSERT_TRUE(cursor.Previous().ok());
    }
    ASSERT_FALSE(cursor.Valid());
  }

  void CheckPoints(NodeSource& source, int probes) {
    auto count = Count(source, kTree);
    ASSERT_TRUE(count.ok());
    ASSERT_EQ(*count, expected_.size());
    Cursor cursor(source, kTree);
    for (int i = 0; i < probes; ++i) {
      const std::string key = RandomKey();
      const auto it = expected_.lower_bound(key);
      const auto found = Find(source, kTree, key);
      ASSERT_TRUE(found.ok());
      ASSERT_EQ(found->has_value(), it != expected_.end() && it->first == key);
      const auto distance = static_cast<uint64_t>(std::distance(expected_.begin(), it));
      ASSERT_EQ(*Rank(source, kTree, key), distance);
      ASSERT_TRUE(cursor.Seek(key).ok());
      ASSERT_EQ(cursor.Valid(), it != expected_.end());
      if (cursor.Valid()) {
        ASSERT_EQ(cursor.key(), it->first);
      }
      ASSERT_TRUE(cursor.SeekBefore(key).ok());
      ASSERT_EQ(cursor.Valid(), it != expected_.begin());
      if (cursor.Valid()) {
        ASSERT_EQ(cursor.key(), std::prev(it)->first);
      }
      ASSERT_TRUE(cursor.SeekToRank(distance).ok());
      ASSERT_EQ(cursor.Valid(), it != expected_.end());
      if (cursor.Valid()) {
        ASSERT_EQ(cursor.key(), it->first);
      }
    }
  }

  void CheckAll() {
    CheckCursor(warm_);
    CheckCursor(cold_);
    CheckPoints(warm_, 20);
    CheckPoints(cold_, 20);
    ASSERT_EQ(warm_.nodes.size(), cold_.images.size());
  }

  const uint64_t seed_ = static_cast<uint64_t>(testing::UnitTest::GetInstance()->random_seed()) + 1;
  base::SeededRandom random_{seed_};
  WarmSource warm_;
  ColdSource cold_;
  std::map<std::string, Expected> expected_;
  Sequence sequence_;
  uint64_t next_node_ = 1;
  size_t operations_ = 0;
};

TEST_P(TreeOracleTest, AgreesWithMapWhileGrowingAndShrinking) {
  SCOPED_TRACE(fmt::format("seed {}", seed_));
  for (size_t group = 0; group < GetParam().groups; ++group) {
    // Waves: growth, steady state, shrinking to almost nothing.
    const size_t phase = group * 8 / GetParam().groups % 4;
    constexpr int kErasePercent[] = {10, 45, 90, 97};
    ASSERT_NO_FATAL_FAILURE(WriteGroup(kErasePercent[phase]));
    if (group % (GetParam().groups / 12 + 1) == 0) {
      ASSERT_NO_FATAL_FAILURE(CheckAll());
    }
  }
  ASSERT_NO_FATAL_FAILURE(CheckAll());
  RecordProperty("operations", static_cast<int>(operations_));
}

INSTANTIATE_TEST_SUITE_P(Shapes, TreeOracleTest,
                         testing::Values(Shape{256, 2, 500, 20, 12000, 12},
                                         Shape{512, 3, 3000, 60, 12000, 30},
                                         Shape{1024, 5, 5000, 10, 7000, 60},
                                         Shape{1024, 20000, 8000, 30, 5000, 100},
                                         Shape{4096, 20000, 10000, 60, 2000, 150},
                                         Shape{16384, 20000, 15000, 40, 1000, 300},
                                         Shape{2048, 16, 400, 1500, 6000, 10}));

// A tree as a committer writes it, for tests of the writer alone.
struct WrittenTree {
  void Write(std::span<const TreeWrite> writes, const TreeWriter::Options& options) {
    const auto next = [this] { return NodeId{++next_node}; };
    TreeWriter writer(source, next, options);
    auto changes = writer.Write(kTree, writes);
    ASSERT_TRUE(changes.ok()) << changes.status();
    for (auto& [id, result] : changes->nodes) {
      if (result.action == NodeAction::kPut) ++stored_whole;
      source.nodes[id] = result.version;
    }
  }
  void WriteOne(std::string_view key, Sequence sequence, size_t value_size,
                const NodeLimits& limits = {}) {
    const std::string value(value_size, 'v');
    TreeWrite write;
    write.key = key;
    write.sequence = sequence;
    write.item.value = value;
    Write(std::span(&write, 1), {limits, sequence});
  }

  WarmSource source;
  uint64_t next_node = 1;
  int stored_whole = 0;
};

TEST(TreeWriterTest, KeysInOrderFillTheirLeaves) {
  WrittenTree tree;
  std::vector<std::string> keys;
  for (int i = 0; i < 20000; ++i) keys.push_back(fmt::format("{:08}", i));
  const std::string value(50, 'v');
  for (size_t begin = 0; begin < keys.size(); begin += 100) {
    std::vector<TreeWrite> writes;
    const Sequence sequence{begin / 100 + 1};
    for (size_t i = begin; i < begin + 100; ++i) {
      TreeWrite write;
      write.key = keys[i];
      write.sequence = sequence;
      write.item.value = value;
      writes.push_back(write);
    }
    tree.Write(writes, {{}, sequence});
  }
  size_t leaves = 0;
  size_t bytes = 0;
  for (const auto& [id, node] : tree.source.nodes) {
    if (!node->is_leaf()) continue;
    ++leaves;
    bytes += node->image().size();
  }
  EXPECT_GT(bytes / leaves, 13U * 1024);
}

TEST(TreeWriterTest, NodesAreStoredWholeByTheShareOfTheirDeltas) {
  const auto whole_among_updates = [](uint32_t delta_share) {
    WrittenTree tree;
    NodeLimits limits;
    limits.delta_share = delta_share;
    for (uint64_t i = 0; i < 2'000; ++i) {
      tree.WriteOne(fmt::format("{:02}", i % 50), Sequence{i + 1}, 100, limits);
      if (i == 49) tree.stored_whole = 0;
    }
    return tree.stored_whole;
  };
  // About 40 times the size of the leaf is updated.
  const int once = whole_among_updates(1);
  EXPECT_GT(once, 20);
  EXPECT_LT(once, 60);
  EXPECT_LT(whole_among_updates(4), once / 2);
  EXPECT_GT(whole_among_updates(4), once / 6);
}

TEST(TreeWriterTest, LeafSequenceMovesOnlyWithItsOwnKeys) {
  WrittenTree tree;
  for (uint64_t i = 0; i < 100; ++i) {
    tree.WriteOne(fmt::format("{:03}", i), Sequence{i + 1}, 1000);
  }
  Cursor first(tree.source, kTree);
  ASSERT_TRUE(first.SeekToFirst().ok());
  const Sequence before = first.leaf()->sequence();
  tree.WriteOne("099", Sequence{1000}, 10);
  ASSERT_TRUE(first.SeekToFirst().ok());
  EXPECT_EQ(first.leaf()->sequence(), before);
  ASSERT_TRUE(first.SeekToLast().ok());
  EXPECT_EQ(first.leaf()->sequence(), Sequence{1000});
}

}  // namespace
}  // namespace sop::btree
