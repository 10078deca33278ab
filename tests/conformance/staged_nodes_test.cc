// Nodes and values that are in storage before the record that refers to them.

#include <memory>
#include <ostream>
#include <string>
#include <utility>
#include <vector>

#include <gtest/gtest.h>

#include "core/base/error.h"
#include "tests/conformance/storage_under_test.h"

namespace sop::conformance {
namespace {

using persistence::CommitRecord;
using persistence::SpaceUse;
using persistence::StagedNodes;

constexpr TreeId kTree{7};
constexpr TreeId kNextTree{8};

struct Kind {
  const char* name;
  std::unique_ptr<StorageUnderTest> (*make)();
};

void PrintTo(const Kind& kind, std::ostream* out) { *out << kind.name; }

class StagedNodesTest : public ::testing::TestWithParam<Kind> {
 protected:
  StagedNodesTest() : database_(GetParam().make()), storage_(&database_->Reopen(&Concatenate)) {}

  static NodeId Node(uint64_t ordinal) { return NodeId{MakeSerial(Sequence{50}, ordinal).value}; }
  static Serial Value(uint64_t ordinal) { return MakeSerial(Sequence{51}, ordinal); }

  std::unique_ptr<StagedNodes> Stage() {
    auto staged = *storage_->nodes().StageNodes(SpaceUse::kAboveReserve);
    EXPECT_TRUE(staged->PutNode(kTree, Node(1), "one").ok());
    EXPECT_TRUE(staged->PutValue(kTree, Value(1), std::string(5000, 'v')).ok());
    EXPECT_TRUE(staged->PutNode(kTree, Node(2), "two").ok());
    EXPECT_TRUE(staged->PutNode(kNextTree, Node(3), "three").ok());
    return staged;
  }
  absl::Status Append(std::vector<uint64_t> staged,
                      std::vector<persistence::NodeChange> nodes = {}) {
    CommitRecord record;
    record.first = Sequence{storage_->log().Tail().value + 1};
    record.last = Sequence{std::max<uint64_t>(60, record.first.value)};
    record.staged = std::move(staged);
    record.nodes = std::move(nodes);
    return storage_->log()
        .Append(Sequence{record.first.value - 1}, record, persistence::Durability::kSynced)
        .status();
  }
  std::string Read(TreeId tree, uint64_t ordinal) {
    const auto snapshot = *storage_->nodes().TakeSnapshot();
    return snapshot->ReadNode(tree, Node(ordinal))->value_or("-");
  }
  bool HasValue() {
    const auto snapshot = *storage_->nodes().TakeSnapshot();
    return snapshot->ReadValue(kTree, Value(1))->has_value();
  }

  const std::unique_ptr<StorageUnderTest> database_;
  memory::FaultInjectingStorage* storage_;
};

TEST_P(StagedNodesTest, BelongToTheRecordThatNamesThem) {
  {
    const auto staged = Stage();
    ASSERT_TRUE(staged->Seal().ok());
    EXPECT_EQ(*staged->ReadNode(kTree, Node(2)), "two");
    EXPECT_EQ(*staged->ReadNode(kTree, Node(9)), std::nullopt);
    ASSERT_TRUE(Append({staged->id()}).ok());
  }
  for (int round = 0; round < 3; ++round) {
    EXPECT_EQ(Read(kTree, 1) + Read(kTree, 2) + Read(kNextTree, 3), "onetwothree");
    EXPECT_TRUE(HasValue());
    if (round == 1) database_->Settle();
    if (round == 0) storage_ = &database_->Reopen(&Concatenate);
  }
}

TEST_P(StagedNodesTest, TheRecordChangesThemFurther) {
  const auto staged = Stage();
  ASSERT_TRUE(staged->Seal().ok());
  ASSERT_TRUE(Append({staged->id()}, {{kTree, Node(1), persistence::NodeAction::kRemove, ""},
                                      {kTree, Node(2), persistence::NodeAction::kMerge, "+"},
                                      {kNextTree, Node(3), persistence::NodeAction::kPut, "other"}})
                  .ok());
  EXPECT_EQ(Read(kTree, 1) + Read(kTree, 2) + Read(kNextTree, 3), "-two+other");
  database_->Settle();
  EXPECT_EQ(Read(kTree, 1) + Read(kTree, 2) + Read(kNextTree, 3), "-two+other");
}

TEST_P(StagedNodesTest, AreGoneWhenNoRecordNamedThem) {
  for (const bool sealed : {false, true}) {
    {
      const auto staged = Stage();
      if (sealed) ASSERT_TRUE(staged->Seal().ok());
    }
    EXPECT_EQ(Read(kTree, 1) + Read(kTree, 2) + Read(kNextTree, 3), "---") << sealed;
    EXPECT_FALSE(HasValue());
    storage_ = &database_->Reopen(&Concatenate);
    EXPECT_EQ(Read(kTree, 1) + Read(kTree, 2) + Read(kNextTree, 3), "---") << sealed;
  }
}

// The serials are given out again, to a commit that is staged or one that is not.
TEST_P(StagedNodesTest, TheirIdsMayBeUsedAgain) {
  ASSERT_TRUE(Stage()->Seal().ok());
  const auto again = Stage();
  ASSERT_TRUE(again->Seal().ok());
  ASSERT_TRUE(Append({again->id()}).ok());
  ASSERT_TRUE(Append({}, {{kTree, Node(5), persistence::NodeAction::kPut, "five"}}).ok());
  database_->Settle();
  EXPECT_EQ(Read(kTree, 1) + Read(kTree, 2) + Read(kTree, 5), "onetwofive");
}

TEST_P(StagedNodesTest, MustBeThereWhenARecordNamesThem) {
  uint64_t id = 0;
  {
    const auto staged = Stage();
    ASSERT_TRUE(staged->Seal().ok());
    id = staged->id();
  }
  const Sequence tail = storage_->log().Tail();
  EXPECT_EQ(ReasonOf(Append({id})), Reason::kPreconditionNotMet);
  EXPECT_EQ(storage_->log().Tail(), tail);
}

TEST_P(StagedNodesTest, ARecordTakesSeveralAndAnyOrder) {
  std::vector<std::unique_ptr<StagedNodes>> staged;
  std::vector<uint64_t> ids;
  for (int i = 0; i < 3; ++i) {
    staged.push_back(*storage_->nodes().StageNodes(SpaceUse::kAboveReserve));
    ids.insert(ids.begin(), staged.back()->id());
    const Serial value_id = FirstPieceOf(staged.back()->id());
    ASSERT_TRUE(staged.back()->PutValue(kTree, value_id, std::string(3000, 'a' + i)).ok());
  }
  for (int i = 2; i >= 0; --i) ASSERT_TRUE(staged[i]->Seal().ok());
  const Serial second = FirstPieceOf(staged[1]->id());
  EXPECT_EQ(*staged[1]->ReadValue(kTree, second), std::string(3000, 'b'));
  EXPECT_EQ(*staged[1]->ReadValue(kNextTree, second), std::nullopt);
  ids.erase(ids.begin() + 1);
  ASSERT_TRUE(Append(ids).ok());
  staged.clear();
  for (int round = 0; round < 3; ++round) {
    const auto snapshot = *storage_->nodes().TakeSnapshot();
    const auto read = [&](uint64_t id) { return *snapshot->ReadValue(kTree, FirstPieceOf(id)); };
    EXPECT_EQ(read(ids[0]), std::string(3000, 'c'));
    EXPECT_EQ(read(ids[1]), std::string(3000, 'a'));
    EXPECT_EQ(*snapshot->ReadValue(kTree, second), std::nullopt);
    if (round == 0) database_->Settle();
  }
}

TEST_P(StagedNodesTest, NumbersAreNeverGivenTwice) {
  uint64_t last = 0;
  for (int opening = 0; opening < 3; ++opening) {
    for (int i = 0; i < 5; ++i) {
      const auto staged = *storage_->nodes().StageNodes(SpaceUse::kAboveReserve);
      EXPECT_GT(staged->id(), last);
      last = staged->id();
    }
    storage_ = &database_->Reopen(&Concatenate);
  }
}

TEST_P(StagedNodesTest, ManyAreSplitOverFilesAndGoTogether) {
  auto staged = *storage_->nodes().StageNodes(SpaceUse::kAboveReserve);
  const std::string image(64 << 10, 'i');
  for (uint64_t i = 0; i < 1200; ++i) {
    ASSERT_TRUE(staged->PutNode(kTree, Node(i), image + std::to_string(i)).ok());
  }
  ASSERT_TRUE(staged->Seal().ok());
  EXPECT_EQ((*staged->ReadNode(kTree, Node(1199)))->size(), image.size() + 4);
  staged.reset();
  for (uint64_t i = 0; i < 1200; i += 100) EXPECT_EQ(Read(kTree, i), "-");
}

INSTANTIATE_TEST_SUITE_P(Storages, StagedNodesTest,
                         ::testing::Values(Kind{"Memory", &MemoryUnderTest},
                                           Kind{"RocksDb", &RocksDbUnderTest}),
                         [](const auto& param) { return param.param.name; });

}  // namespace
}  // namespace sop::conformance
