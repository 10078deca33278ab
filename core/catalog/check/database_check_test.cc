#include "core/catalog/check/database_check.h"

#include <algorithm>
#include <set>

#include <gmock/gmock.h>

#include "core/btree/node/apply.h"
#include "core/catalog/database_fixture_test.h"
#include "storage/memory/memory_storage.h"

namespace sop::check {
namespace {

using catalog::TestDatabase;
using persistence::CommitRecord;
using persistence::NodeAction;
using ::testing::Contains;
using ::testing::ElementsAre;
using ::testing::Key;

// A database in memory with two stores of some levels, one with values outside its nodes, that is
// closed, damaged by raw records and checked.
class DatabaseCheckTest : public ::testing::Test {
 protected:
  static constexpr int kItems = 4000;

  DatabaseCheckTest() {
    TestDatabase database(std::make_unique<memory::MemoryStorage>(state_, &btree::Apply));
    EXPECT_TRUE(database.Create("small").ok());
    EXPECT_TRUE(database.Create("large").ok());
    for (int i = 0; i < kItems; i += 100) PutHundred(database, i);
    small_ = TreeOf(database, "small");
    large_ = TreeOf(database, "large");
  }

  static void PutHundred(TestDatabase& database, int first) {
    auto stores = database.Begin();
    catalog::OrderedStore small(**stores->Open("small"));
    catalog::OrderedStore large(**stores->Open("large"));
    const std::string value(5000, 'v');
    for (int i = first; i < first + 100; ++i) {
      const catalog::WriteItem item{.key = btree::Key(btree::Scalar(fmt::format("key {:05}", i))),
                                    .value = "value"};
      EXPECT_TRUE(small.Upsert({&item, 1}).ok());
      if (i % 10 != 0) continue;
      const catalog::WriteItem outside{.key = item.key, .value = value};
      EXPECT_TRUE(large.Upsert({&outside, 1}).ok());
    }
    EXPECT_TRUE(database.Commit(std::move(stores)).ok());
  }

  static TreeId TreeOf(TestDatabase& database, std::string_view name) {
    return (*database.Begin()->Open(name))->entry().trees.front().tree;
  }

  CheckReport Check() {
    memory::MemoryStorage storage(state_, &btree::Apply);
    auto report = CheckStorage(storage, {.threads = 3}, base::SystemClock());
    EXPECT_TRUE(report.ok()) << report.status();
    return *std::move(report);
  }

  // What is found wrong, as "STORE KIND", each once.
  std::set<std::string> Found() {
    std::set<std::string> found;
    for (const Finding& finding : Check().findings) {
      found.insert(fmt::format("{} {}", finding.store, FindingName(finding.kind)));
    }
    return found;
  }

  void Write(CommitRecord record) {
    memory::MemoryStorage storage(state_, &btree::Apply);
    const Sequence tail = storage.log().Tail();
    record.first = record.last = Sequence{tail.value + 1};
    ASSERT_TRUE(storage.log().Append(tail, record, persistence::Durability::kSynced).ok());
  }
  void WriteNode(TreeId tree, NodeId node, NodeAction action, std::string bytes = {}) {
    CommitRecord record;
    record.nodes = {{tree, node, action, std::move(bytes)}};
    Write(std::move(record));
  }

  struct Node {
    NodeId id;
    std::shared_ptr<const btree::NodeImage> image;
  };
  std::vector<Node> Nodes(TreeId tree) {
    std::vector<Node> nodes;
    memory::MemoryStorage storage(state_, &btree::Apply);
    const auto snapshot = storage.nodes().TakeSnapshot().value();
    EXPECT_TRUE(
        snapshot
            ->ScanNodes({.begin = {tree, 0}, .end = {{TreeId{tree.value + 1}, 0}}},
                        [&](TreeId, NodeId id, std::string_view bytes) {
                          nodes.push_back({id, *btree::NodeImage::Parse(std::string(bytes))});
                          return true;
                        })
            .ok());
    return nodes;
  }
  Node FindNode(TreeId tree, int level) {
    const std::vector<Node> nodes = Nodes(tree);
    const auto found = std::find_if(nodes.begin(), nodes.end(), [level](const Node& node) {
      return node.image->level() == level && node.id != kRootNode;
    });
    EXPECT_NE(found, nodes.end());
    return *found;
  }

  const std::shared_ptr<memory::MemoryState> state_ =
      std::make_shared<memory::MemoryState>(Uuid{1, 2});
  TreeId small_;
  TreeId large_;
};

TEST_F(DatabaseCheckTest, SoundDatabaseIsSoundAndCounted) {
  const CheckReport report = Check();
  EXPECT_TRUE(report.sound()) << ToText(report);
  EXPECT_EQ(report.stores, 2U);
  EXPECT_EQ(report.trees, 3U);
  EXPECT_EQ(report.items, kItems + kItems / 10 + 2U);
  EXPECT_EQ(report.values, kItems / 10U);
  EXPECT_GE(FindNode(small_, 1).image->slots(), 2U);  // three levels
  EXPECT_THAT(ToJson(report), ::testing::StartsWith("{\"sound\":true,\"database_id\":\"0000"));
}

TEST_F(DatabaseCheckTest, LostLeafSaysWhichKeysAndHowMany) {
  const Node leaf = FindNode(small_, 0);
  WriteNode(small_, leaf.id, NodeAction::kRemove);
  const CheckReport report = Check();
  ASSERT_EQ(report.finding_count, 1U) << ToText(report);
  const Finding& finding = report.findings.front();
  EXPECT_EQ(finding.kind, FindingKind::kNodeMissing);
  EXPECT_EQ(finding.store, "small");
  EXPECT_EQ(finding.tree, small_);
  EXPECT_EQ(finding.unreadable_items, leaf.image->slots());
  EXPECT_LE(finding.low, leaf.image->Key(0));
  EXPECT_GT(finding.high.value_or("\xff"), leaf.image->Key(leaf.image->slots() - 1));
}

TEST_F(DatabaseCheckTest, LostInnerNodeIsFoundAndItsLeavesAreOrphans) {
  WriteNode(small_, FindNode(small_, 1).id, NodeAction::kRemove);
  EXPECT_THAT(Found(), ElementsAre("small NODE_MISSING", "small NODE_ORPHAN"));
}

TEST_F(DatabaseCheckTest, DamagedImageIsFound) {
  const Node leaf = FindNode(small_, 0);
  std::string bytes = leaf.image->bytes();
  bytes[bytes.size() / 2] ^= 1;
  WriteNode(small_, leaf.id, NodeAction::kPut, bytes);
  EXPECT_THAT(Found(), ElementsAre("small NODE_UNREADABLE"));
}

TEST_F(DatabaseCheckTest, OlderCopyOfALeafIsFoundByItsCount) {
  const Node leaf = FindNode(small_, 0);
  btree::NodeImageBuilder builder(btree::NodeKind::kLeaf, 0);
  std::vector<std::string> keys;
  for (uint32_t i = 0; i + 1 < leaf.image->slots(); ++i) keys.push_back(leaf.image->Key(i));
  for (uint32_t i = 0; i < keys.size(); ++i) builder.AddItem(keys[i], leaf.image->item(i));
  WriteNode(small_, leaf.id, NodeAction::kPut,
            builder.Build({leaf.image->sequence(), leaf.image->counts_sequence(), 0}));
  EXPECT_THAT(Found(), ElementsAre("small COUNT_DIFFERS"));
}

TEST_F(DatabaseCheckTest, SwappedLeavesAreOutsideTheirRanges) {
  std::vector<Node> leaves = Nodes(small_);
  std::erase_if(leaves, [](const Node& node) { return node.image->level() > 0; });
  ASSERT_GE(leaves.size(), 2U);
  WriteNode(small_, leaves[0].id, NodeAction::kPut, leaves[1].image->bytes());
  WriteNode(small_, leaves[1].id, NodeAction::kPut, leaves[0].image->bytes());
  EXPECT_THAT(Found(), Contains("small KEY_ORDER"));
}

TEST_F(DatabaseCheckTest, NodeOfTheFutureIsFound) {
  const Node leaf = FindNode(small_, 0);
  btree::NodeImageBuilder builder(btree::NodeKind::kLeaf, 0);
  std::vector<std::string> keys;
  for (uint32_t i = 0; i < leaf.image->slots(); ++i) keys.push_back(leaf.image->Key(i));
  for (uint32_t i = 0; i < keys.size(); ++i) builder.AddItem(keys[i], leaf.image->item(i));
  WriteNode(small_, leaf.id, NodeAction::kPut, builder.Build({Sequence{1'000'000}, {}, 0}));
  EXPECT_THAT(Found(), ElementsAre("small SEQUENCE_DIFFERS"));
}

TEST_F(DatabaseCheckTest, OrphansAreFound) {
  const Node leaf = FindNode(small_, 0);
  CommitRecord record;
  record.nodes = {{small_, NodeId{99}, NodeAction::kPut, leaf.image->bytes()},
                  {TreeId{77}, kRootNode, NodeAction::kPut, leaf.image->bytes()}};
  record.values = {{large_, Serial{99}, "value"}, {TreeId{78}, Serial{99}, "value"}};
  Write(std::move(record));
  EXPECT_THAT(Found(), ElementsAre(" TREE_ORPHAN", "large VALUE_ORPHAN", "small NODE_ORPHAN"));
  EXPECT_EQ(Check().finding_count, 4U);
}

TEST_F(DatabaseCheckTest, MissingAndOtherValuesAreFound) {
  std::vector<Serial> ids;
  {
    memory::MemoryStorage storage(state_, &btree::Apply);
    const auto snapshot = storage.nodes().TakeSnapshot().value();
    ASSERT_TRUE(snapshot
                    ->ScanValues({},
                                 [&](TreeId, Serial id, std::string_view) {
                                   ids.push_back(id);
                                   return true;
                                 })
                    .ok());
  }
  ASSERT_EQ(ids.size(), kItems / 10U);
  CommitRecord record;
  record.values = {{large_, ids[3], std::nullopt},
                   {large_, ids[5], std::string(5000, 'w')},
                   {large_, ids[7], std::string(4999, 'v')}};
  Write(std::move(record));
  EXPECT_THAT(Found(), ElementsAre("large VALUE_DAMAGED", "large VALUE_MISSING"));
  EXPECT_EQ(Check().finding_count, 3U);
}

TEST_F(DatabaseCheckTest, EachValueInPiecesIsFoundOnce) {
  {
    TestDatabase database(std::make_unique<memory::MemoryStorage>(state_, &btree::Apply));
    for (int i = 0; i < 5; ++i) {
      const std::string value(persistence::kMaxWholeValueBytes + 1, static_cast<char>('a' + i));
      ASSERT_TRUE(database.Put("large", btree::Scalar(fmt::format("pieces {}", i)), value).ok());
    }
  }
  EXPECT_TRUE(Check().sound());
  EXPECT_EQ(Check().values, kItems / 10U + 5);
  std::vector<Serial> pieces;
  {
    memory::MemoryStorage storage(state_, &btree::Apply);
    const auto snapshot = storage.nodes().TakeSnapshot().value();
    ASSERT_TRUE(snapshot
                    ->ScanValues({},
                                 [&](TreeId, Serial id, std::string_view bytes) {
                                   if (bytes.size() != 5000) pieces.push_back(id);
                                   return true;
                                 })
                    .ok());
  }
  ASSERT_EQ(pieces.size(), 25U);
  CommitRecord record;
  record.values = {{large_, pieces[0], std::nullopt},
                   {large_, pieces[6], std::nullopt},
                   {large_, pieces[14], std::string("2")},
                   {large_, pieces[18], std::string(100, 'd')}};
  Write(std::move(record));
  EXPECT_EQ(Check().finding_count, 4U);
  EXPECT_THAT(Found(), ElementsAre("large VALUE_DAMAGED", "large VALUE_MISSING"));
}

TEST_F(DatabaseCheckTest, DamagedRowsAndCatalogAreFound) {
  CommitRecord record;
  record.rows = {{persistence::Space::kMeta, "t", "\x01"},
                 {persistence::Space::kMeta, "stranger", "x"},
                 {persistence::Space::kMeta, "c12345678", "x"},
                 {persistence::Space::kOutcomes, "short", "x"}};
  Write(std::move(record));
  const CheckReport report = Check();
  EXPECT_EQ(report.finding_count, 4U) << ToText(report);
  EXPECT_THAT(Found(), ElementsAre(" ROW_DAMAGED"));
  WriteNode(kCatalogTree, kRootNode, NodeAction::kPut, "no node");
  EXPECT_THAT(Found(), Contains("catalog NODE_UNREADABLE"));
}

TEST_F(DatabaseCheckTest, CheckEndsWhenNobodyWantsIt) {
  memory::MemoryStorage storage(state_, &btree::Apply);
  const auto stopped = CheckStorage(
      storage, {.wanted = [] { return Error(Reason::kCancelled, "enough"); }}, base::SystemClock());
  EXPECT_EQ(ReasonOf(stopped.status()), Reason::kCancelled);
}

}  // namespace
}  // namespace sop::check
