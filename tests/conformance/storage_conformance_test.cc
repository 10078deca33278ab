#include <atomic>
#include <memory>
#include <ostream>
#include <string>
#include <thread>
#include <vector>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "core/base/checksum.h"
#include "core/base/error.h"
#include "core/base/random.h"
#include "tests/conformance/storage_under_test.h"

namespace sop::conformance {
namespace {

using memory::Fault;
using memory::FaultAction;
using persistence::CommitRecord;
using persistence::Durability;
using persistence::NodeAction;
using persistence::Space;
using persistence::StorageSnapshot;
using ::testing::ElementsAre;
using ::testing::IsEmpty;
using ::testing::Pair;

using Snapshot = std::shared_ptr<const StorageSnapshot>;

constexpr TreeId kTree{7};
constexpr TreeId kNextTree{8};

struct Kind {
  const char* name;
  std::unique_ptr<StorageUnderTest> (*make)();
};

void PrintTo(const Kind& kind, std::ostream* out) { *out << kind.name; }

class StorageConformanceTest : public ::testing::TestWithParam<Kind> {
 protected:
  // A record of one sequence after the tail.
  CommitRecord Next() const {
    CommitRecord record;
    record.first = record.last = Sequence{storage_->log().Tail().value + 1};
    return record;
  }

  void Commit(const CommitRecord& record, Durability durability = Durability::kSynced) {
    const auto result =
        storage_->log().Append(Sequence{record.first.value - 1}, record, durability);
    ASSERT_TRUE(result.ok()) << result.status();
    ASSERT_TRUE(std::holds_alternative<persistence::Committed>(*result));
    EXPECT_EQ(std::get<persistence::Committed>(*result).tail, record.last);
    EXPECT_EQ(storage_->log().Tail(), record.last);
  }

  void CommitNode(NodeId node, NodeAction action, std::string bytes) {
    CommitRecord record = Next();
    record.nodes = {{kTree, node, action, std::move(bytes)}};
    Commit(record);
  }

  void CommitRows(std::vector<persistence::RowChange> rows) {
    CommitRecord record = Next();
    record.rows = std::move(rows);
    Commit(record);
  }

  void CommitValues(std::vector<persistence::ValueChange> values) {
    CommitRecord record = Next();
    record.values = std::move(values);
    Commit(record);
  }

  Snapshot Take() { return storage_->nodes().TakeSnapshot().value(); }

  static std::string Node(const Snapshot& snapshot, NodeId node, TreeId tree = kTree) {
    return snapshot->ReadNode(tree, node).value().value_or("none");
  }

  static std::vector<std::pair<std::string, std::string>> Rows(const Snapshot& snapshot,
                                                               Space space,
                                                               std::string_view begin = "",
                                                               std::string_view end = "") {
    std::vector<std::pair<std::string, std::string>> rows;
    const auto status =
        snapshot->ScanRows(space, begin, end, [&](std::string_view key, std::string_view value) {
          rows.emplace_back(key, value);
          return true;
        });
    EXPECT_TRUE(status.ok()) << status;
    return rows;
  }

  void Reopen() { storage_ = &database_->Reopen(Concatenate); }

  std::unique_ptr<StorageUnderTest> database_ = GetParam().make();
  memory::FaultInjectingStorage* storage_ = &database_->Reopen(Concatenate);
};

TEST_P(StorageConformanceTest, EmptyDatabaseHasNothing) {
  EXPECT_EQ(storage_->log().Tail(), Sequence{0});
  EXPECT_FALSE(storage_->database_id().IsZero());
  const Snapshot snapshot = Take();
  EXPECT_EQ(snapshot->sequence(), Sequence{0});
  EXPECT_EQ(Node(snapshot, kRootNode), "none");
  EXPECT_EQ(snapshot->ReadRow(Space::kMeta, "k").value(), std::nullopt);
  EXPECT_EQ(snapshot->ReadValue(kTree, Serial{1}).value(), std::nullopt);
  EXPECT_THAT(Rows(snapshot, Space::kMeta), IsEmpty());
  EXPECT_THAT(Rows(snapshot, Space::kOutcomes), IsEmpty());
}

TEST_P(StorageConformanceTest, RecordIsSeenWholeOrNotAtAll) {
  const Snapshot before = Take();
  CommitRecord record = Next();
  record.last.value += 9;
  record.nodes = {{kTree, kRootNode, NodeAction::kPut, "image"},
                  {kNextTree, NodeId{5}, NodeAction::kMerge, "+delta"}};
  record.rows = {{Space::kMeta, "m", "1"}, {Space::kOutcomes, "o", "2"}};
  record.values = {{kTree, Serial{3}, "value"}};
  Commit(record);
  const Snapshot after = Take();
  EXPECT_EQ(after->sequence(), Sequence{10});
  EXPECT_EQ(Node(after, kRootNode), "image");
  EXPECT_EQ(Node(after, NodeId{5}, kNextTree), "()+delta");
  EXPECT_EQ(after->ReadRow(Space::kMeta, "m").value(), "1");
  EXPECT_EQ(after->ReadRow(Space::kOutcomes, "o").value(), "2");
  EXPECT_EQ(after->ReadValue(kTree, Serial{3}).value(), "value");

  EXPECT_EQ(before->sequence(), Sequence{0});
  EXPECT_EQ(Node(before, kRootNode), "none");
  EXPECT_EQ(Node(before, NodeId{5}, kNextTree), "none");
  EXPECT_EQ(before->ReadRow(Space::kMeta, "m").value(), std::nullopt);
  EXPECT_EQ(before->ReadRow(Space::kOutcomes, "o").value(), std::nullopt);
  EXPECT_EQ(before->ReadValue(kTree, Serial{3}).value(), std::nullopt);
}

TEST_P(StorageConformanceTest, MergesAndPutsApplyInCommitOrder) {
  CommitNode(kRootNode, NodeAction::kMerge, "+a");
  CommitNode(kRootNode, NodeAction::kMerge, "+b");
  const Snapshot merged = Take();
  CommitNode(kRootNode, NodeAction::kPut, "image");
  CommitNode(kRootNode, NodeAction::kMerge, "+c");
  const Snapshot put = Take();
  CommitNode(kRootNode, NodeAction::kRemove, "");
  const Snapshot removed = Take();
  CommitNode(kRootNode, NodeAction::kMerge, "+d");
  database_->Settle();
  EXPECT_EQ(Node(merged, kRootNode), "()+a+b");
  EXPECT_EQ(Node(put, kRootNode), "image+c");
  EXPECT_EQ(Node(removed, kRootNode), "none");
  EXPECT_EQ(Node(Take(), kRootNode), "()+d");
}

TEST_P(StorageConformanceTest, RowsAreOrderedBytesOfTheirSpace) {
  using std::string_literals::operator""s;
  CommitRows({{Space::kMeta, "", "empty"},
              {Space::kMeta, "\0"s, "nul"},
              {Space::kMeta, "a", "1"},
              {Space::kMeta, "a\xff", "2"},
              {Space::kMeta, "b", "3"},
              {Space::kMeta, "\xff\xff\xff\xff", "last"},
              {Space::kOutcomes, "a", "other"}});
  const Snapshot snapshot = Take();
  EXPECT_THAT(Rows(snapshot, Space::kMeta),
              ElementsAre(Pair("", "empty"), Pair("\0"s, "nul"), Pair("a", "1"), Pair("a\xff", "2"),
                          Pair("b", "3"), Pair("\xff\xff\xff\xff", "last")));
  EXPECT_THAT(Rows(snapshot, Space::kMeta, "a", "b"),
              ElementsAre(Pair("a", "1"), Pair("a\xff", "2")));
  EXPECT_THAT(Rows(snapshot, Space::kMeta, "a", "a"), IsEmpty());
  EXPECT_THAT(Rows(snapshot, Space::kMeta, "b", "a"), IsEmpty());
  EXPECT_THAT(Rows(snapshot, Space::kOutcomes), ElementsAre(Pair("a", "other")));
  int visited = 0;
  ASSERT_TRUE(snapshot
                  ->ScanRows(Space::kMeta, "", "",
                             [&](std::string_view, std::string_view) { return ++visited < 2; })
                  .ok());
  EXPECT_EQ(visited, 2);
}

TEST_P(StorageConformanceTest, RowsAreReplacedAndRemoved) {
  CommitRows({{Space::kMeta, "a", "1"}, {Space::kMeta, "b", "1"}});
  const Snapshot before = Take();
  CommitRows({{Space::kMeta, "a", "2"}, {Space::kMeta, "b", std::nullopt}});
  database_->Settle();
  EXPECT_THAT(Rows(before, Space::kMeta), ElementsAre(Pair("a", "1"), Pair("b", "1")));
  EXPECT_THAT(Rows(Take(), Space::kMeta), ElementsAre(Pair("a", "2")));
  EXPECT_EQ(Take()->ReadRow(Space::kMeta, "b").value(), std::nullopt);
}

TEST_P(StorageConformanceTest, ValuesOfEverySizeComeBack) {
  std::vector<persistence::ValueChange> values;
  for (const size_t size : {0, 1, 1023, 1024, 1025, 4096, 65535, 65536}) {
    values.push_back(
        {kTree, Serial{size + 1}, std::string(size, static_cast<char>('a' + size % 7))});
  }
  CommitValues(values);
  for (int pass = 0; pass < 3; ++pass) {
    Snapshot snapshot = Take();
    for (const auto& value : values) {
      EXPECT_EQ(snapshot->ReadValue(kTree, value.value_id).value(), value.value);
      EXPECT_EQ(snapshot->ReadValue(kNextTree, value.value_id).value(), std::nullopt);
    }
    snapshot.reset();  // the folder is held while one lives
    pass == 0 ? database_->Settle() : Reopen();
  }
}

TEST_P(StorageConformanceTest, FreedValuesStayForEarlierSnapshots) {
  CommitValues({{kTree, Serial{1}, std::string(5000, 'x')}});
  const Snapshot before = Take();
  CommitValues({{kTree, Serial{1}, std::nullopt}});
  database_->Settle();
  EXPECT_EQ(before->ReadValue(kTree, Serial{1}).value(), std::string(5000, 'x'));
  EXPECT_EQ(Take()->ReadValue(kTree, Serial{1}).value(), std::nullopt);
}

TEST_P(StorageConformanceTest, DroppedTreeGoesWholeAndAlone) {
  CommitRecord record = Next();
  record.nodes = {{TreeId{6}, NodeId{~uint64_t{0}}, NodeAction::kPut, "before"},
                  {kTree, NodeId{0}, NodeAction::kPut, "first"},
                  {kTree, NodeId{~uint64_t{0}}, NodeAction::kPut, "last"},
                  {kNextTree, NodeId{0}, NodeAction::kPut, "after"}};
  record.values = {{TreeId{6}, Serial{~uint64_t{0}}, "before"},
                   {kTree, Serial{0}, std::string(3000, 'v')},
                   {kTree, Serial{~uint64_t{0}}, std::string(3000, 'w')},
                   {kNextTree, Serial{0}, "after"}};
  Commit(record);
  const Snapshot before = Take();
  record = Next();
  record.nodes = {{kTree, kRootNode, NodeAction::kMerge, "of the same record"}};
  record.dropped_trees = {kTree};
  Commit(record);
  for (int pass = 0; pass < 2; ++pass) {
    const Snapshot after = Take();
    EXPECT_EQ(Node(after, NodeId{0}), "none");
    EXPECT_EQ(Node(after, kRootNode), "none");
    EXPECT_EQ(Node(after, NodeId{~uint64_t{0}}), "none");
    EXPECT_EQ(after->ReadValue(kTree, Serial{0}).value(), std::nullopt);
    EXPECT_EQ(after->ReadValue(kTree, Serial{~uint64_t{0}}).value(), std::nullopt);
    EXPECT_EQ(Node(after, NodeId{~uint64_t{0}}, TreeId{6}), "before");
    EXPECT_EQ(Node(after, NodeId{0}, kNextTree), "after");
    EXPECT_EQ(after->ReadValue(kNextTree, Serial{0}).value(), "after");
    EXPECT_EQ(after->ReadValue(TreeId{6}, Serial{~uint64_t{0}}).value(), "before");
    EXPECT_EQ(Node(before, NodeId{0}), "first");
    EXPECT_EQ(before->ReadValue(kTree, Serial{0}).value(), std::string(3000, 'v'));
    database_->Settle();
  }
}

TEST_P(StorageConformanceTest, ReopenedDatabaseIsTheSame) {
  const Uuid id = storage_->database_id();
  CommitNode(kRootNode, NodeAction::kPut, "image");
  CommitNode(kRootNode, NodeAction::kMerge, "+a");
  CommitRows({{Space::kOutcomes, "o", "1"}});
  CommitRecord record = Next();
  record.last.value += 6;
  record.rows = {{Space::kMeta, "m", "1"}};
  Commit(record, Durability::kRelaxed);
  const Sequence tail = storage_->log().Tail();
  Reopen();
  EXPECT_EQ(storage_->database_id(), id);
  EXPECT_EQ(storage_->log().Tail(), tail);
  EXPECT_EQ(Take()->sequence(), tail);
  EXPECT_EQ(Node(Take(), kRootNode), "image+a");
  EXPECT_EQ(Take()->ReadRow(Space::kOutcomes, "o").value(), "1");
  EXPECT_EQ(Take()->ReadRow(Space::kMeta, "m").value(), "1");
  CommitNode(kRootNode, NodeAction::kMerge, "+b");
  database_->Settle();
  Reopen();
  EXPECT_EQ(Node(Take(), kRootNode), "image+a+b");
}

TEST_P(StorageConformanceTest, SizeOfATreeIsItsOwn) {
  base::SeededRandom random(3);
  CommitRecord record = Next();
  for (uint64_t i = 0; i < 200; ++i) {
    std::string image(4096, '\0');
    for (char& c : image) c = static_cast<char>(random.Next64());
    record.nodes.push_back({kTree, NodeId{i + 1}, NodeAction::kPut, image});
    record.values.push_back({kTree, Serial{i + 1}, image});
  }
  Commit(record);
  database_->Settle();
  const uint64_t expected = 2 * 200 * 4096;
  const uint64_t size = storage_->nodes().ApproximateSize(kTree).value();
  EXPECT_GT(size, expected / 2);
  EXPECT_LT(size, expected * 2);
  EXPECT_LT(storage_->nodes().ApproximateSize(kNextTree).value(), expected / 10);
  EXPECT_GT(storage_->nodes().FreeBytes().value(), 0U);
}

TEST_P(StorageConformanceTest, ReadersRunBesideTheCommitter) {
  CommitNode(kRootNode, NodeAction::kPut, "");
  const Snapshot first = Take();
  std::vector<std::thread> readers;
  std::atomic<bool> done{false};
  std::atomic<int> wrong{0};
  for (int i = 0; i < 2; ++i) {
    readers.emplace_back([&] {
      while (!done.load()) {
        if (Node(first, kRootNode) != "") ++wrong;
        const auto latest = storage_->nodes().TakeSnapshot();
        if (!latest.ok() || Node(*latest, kRootNode).size() + 1 != (*latest)->sequence().value) {
          ++wrong;
        }
      }
    });
  }
  for (int i = 0; i < 300; ++i) {
    CommitRecord record = Next();
    record.nodes = {{kTree, kRootNode, NodeAction::kMerge, "x"}};
    Commit(record, Durability::kRelaxed);
  }
  done = true;
  for (std::thread& reader : readers) reader.join();
  EXPECT_EQ(wrong, 0);
}

TEST_P(StorageConformanceTest, RefusedRecordLeavesNoTrace) {
  Fault fault;
  fault.status = Error(Reason::kDiskFull, "no space");
  storage_->Arm(fault);
  CommitRecord record = Next();
  record.nodes = {{kTree, kRootNode, NodeAction::kPut, "refused"}};
  EXPECT_EQ(storage_->log().Append(Sequence{0}, record, Durability::kSynced).status(),
            fault.status);
  EXPECT_EQ(storage_->log().Tail(), Sequence{0});
  EXPECT_EQ(Node(Take(), kRootNode), "none");
  record.nodes[0].bytes = "accepted";
  Commit(record);
  Reopen();
  EXPECT_EQ(Node(Take(), kRootNode), "accepted");
}

TEST_P(StorageConformanceTest, FailStopEndsWithTheNextOpening) {
  for (const bool written : {false, true}) {
    const Sequence tail = storage_->log().Tail();
    Fault fault;
    fault.action = written ? FaultAction::kFailWritten : FaultAction::kFailLost;
    fault.status = Error(Reason::kUnavailable, "sync failed");
    storage_->Arm(fault);
    CommitRecord record = Next();
    record.nodes = {{kTree, kRootNode, NodeAction::kMerge, "+x"}};
    for (int i = 0; i < 3; ++i) {
      EXPECT_EQ(storage_->log().Append(tail, record, Durability::kSynced).status(), fault.status);
    }
    Reopen();
    EXPECT_EQ(storage_->log().Tail(), written ? record.last : tail);
    EXPECT_EQ(Node(Take(), kRootNode), written ? "()+x" : "none");
  }
  CommitNode(kRootNode, NodeAction::kMerge, "+y");
  EXPECT_EQ(Node(Take(), kRootNode), "()+x+y");
}

TEST_P(StorageConformanceTest, TailMovedBringsTheForeignRecord) {
  Fault fault;
  fault.action = FaultAction::kTailMoves;
  fault.foreign = [](Sequence tail) {
    CommitRecord record;
    record.first.value = tail.value + 1;
    record.last.value = tail.value + 4;
    record.nodes = {{kTree, kRootNode, NodeAction::kMerge, "+theirs"}};
    return record;
  };
  storage_->Arm(fault);
  CommitRecord record = Next();
  record.nodes = {{kTree, kRootNode, NodeAction::kMerge, "+ours"}};
  const auto result = storage_->log().Append(Sequence{0}, record, Durability::kSynced);
  ASSERT_TRUE(result.ok()) << result.status();
  ASSERT_TRUE(std::holds_alternative<persistence::TailMoved>(*result));
  EXPECT_EQ(std::get<persistence::TailMoved>(*result).records,
            std::vector{fault.foreign(Sequence{0})});
  record.first = record.last = Sequence{5};
  Commit(record);
  EXPECT_EQ(Node(Take(), kRootNode), "()+theirs+ours");
}

INSTANTIATE_TEST_SUITE_P(Storages, StorageConformanceTest,
                         ::testing::Values(Kind{"Memory", MemoryUnderTest},
                                           Kind{"RocksDb", RocksDbUnderTest}),
                         [](const auto& info) { return info.param.name; });

}  // namespace
}  // namespace sop::conformance
