#include "storage/memory/fault_injecting_storage.h"

#include <gtest/gtest.h>

#include "core/base/error.h"
#include "storage/memory/memory_storage.h"

namespace sop::memory {
namespace {

using persistence::CommitRecord;
using persistence::Durability;
using persistence::Space;

std::string Newest(std::optional<std::string_view>, std::span<const std::string_view> deltas) {
  return std::string(deltas.back());
}

class FaultInjectingStorageTest : public ::testing::Test {
 protected:
  static CommitRecord After(Sequence tail) {
    CommitRecord record;
    record.first = record.last = Sequence{tail.value + 1};
    return record;
  }

  absl::StatusOr<persistence::AppendResult> Append() {
    const Sequence tail = storage_.log().Tail();
    return storage_.log().Append(tail, After(tail), Durability::kSynced);
  }

  void Arm(FaultPoint point, uint64_t nth, FaultAction action,
           absl::Status status = absl::OkStatus()) {
    Fault fault;
    fault.point = point;
    fault.nth = nth;
    fault.action = action;
    fault.status = std::move(status);
    storage_.Arm(std::move(fault));
  }

  const absl::Status full_ = Error(Reason::kDiskFull, "disk full");
  const absl::Status broken_ = Error(Reason::kUnavailable, "sync failed");
  FaultInjectingStorage storage_{
      std::make_unique<MemoryStorage>(std::make_shared<MemoryState>(Uuid{1, 1}), Newest)};
};

TEST_F(FaultInjectingStorageTest, NthCallIsRefusedOnce) {
  Arm(FaultPoint::kAppend, 2, FaultAction::kRefuse, full_);
  EXPECT_TRUE(Append().ok());
  EXPECT_EQ(Append().status(), full_);
  EXPECT_EQ(storage_.log().Tail(), Sequence{1});
  EXPECT_EQ(storage_.ArmedCount(), 0U);
  EXPECT_TRUE(Append().ok());
  EXPECT_EQ(storage_.log().Tail(), Sequence{2});
  EXPECT_EQ(storage_.Calls(FaultPoint::kAppend), 3U);
}

TEST_F(FaultInjectingStorageTest, LostRecordFailsForEver) {
  Arm(FaultPoint::kAppend, 1, FaultAction::kFailLost, broken_);
  for (int i = 0; i < 3; ++i) EXPECT_EQ(Append().status(), broken_);
  EXPECT_EQ(storage_.base().log().Tail(), Sequence{0});
}

TEST_F(FaultInjectingStorageTest, WrittenRecordFailsForEverAndIsThere) {
  Arm(FaultPoint::kAppend, 1, FaultAction::kFailWritten, broken_);
  for (int i = 0; i < 3; ++i) EXPECT_EQ(Append().status(), broken_);
  EXPECT_EQ(storage_.base().log().Tail(), Sequence{1});
}

TEST_F(FaultInjectingStorageTest, TailMovesByAForeignRecord) {
  Fault fault;
  fault.action = FaultAction::kTailMoves;
  fault.foreign = [](Sequence tail) {
    CommitRecord record = After(tail);
    record.last.value += 2;
    record.rows = {{Space::kMeta, "foreign", "1"}};
    return record;
  };
  storage_.Arm(fault);
  const auto result = Append();
  ASSERT_TRUE(result.ok());
  ASSERT_TRUE(std::holds_alternative<persistence::TailMoved>(*result));
  EXPECT_EQ(std::get<persistence::TailMoved>(*result).records,
            std::vector{fault.foreign(Sequence{0})});
  EXPECT_EQ(storage_.log().Tail(), Sequence{3});
  EXPECT_EQ(storage_.nodes().TakeSnapshot().value()->ReadRow(Space::kMeta, "foreign").value(), "1");
}

TEST_F(FaultInjectingStorageTest, ReadsAreStruckThroughSnapshots) {
  const auto snapshot = storage_.nodes().TakeSnapshot().value();
  Arm(FaultPoint::kReadNode, 1, FaultAction::kRefuse, broken_);
  Arm(FaultPoint::kReadRow, 1, FaultAction::kRefuse, broken_);
  Arm(FaultPoint::kScanRows, 1, FaultAction::kRefuse, broken_);
  Arm(FaultPoint::kReadValue, 1, FaultAction::kRefuse, broken_);
  Arm(FaultPoint::kTakeSnapshot, 1, FaultAction::kRefuse, broken_);
  const auto scan = [&] {
    return snapshot->ScanRows(Space::kMeta, "", "",
                              [](std::string_view, std::string_view) { return true; });
  };
  EXPECT_EQ(snapshot->ReadNode(TreeId{1}, kRootNode).status(), broken_);
  EXPECT_TRUE(snapshot->ReadNode(TreeId{1}, kRootNode).ok());
  EXPECT_EQ(snapshot->ReadRow(Space::kMeta, "k").status(), broken_);
  EXPECT_TRUE(snapshot->ReadRow(Space::kMeta, "k").ok());
  EXPECT_EQ(scan(), broken_);
  EXPECT_TRUE(scan().ok());
  EXPECT_EQ(snapshot->ReadValue(TreeId{1}, Serial{1}).status(), broken_);
  EXPECT_TRUE(snapshot->ReadValue(TreeId{1}, Serial{1}).ok());
  EXPECT_EQ(storage_.nodes().TakeSnapshot().status(), broken_);
  EXPECT_TRUE(storage_.nodes().TakeSnapshot().ok());
}

TEST_F(FaultInjectingStorageTest, StagingIsStruck) {
  Arm(FaultPoint::kStageNodes, 1, FaultAction::kRefuse, broken_);
  Arm(FaultPoint::kPutValue, 1, FaultAction::kRefuse, full_);
  Arm(FaultPoint::kSealNodes, 1, FaultAction::kRefuse, full_);
  const auto stage = [this] {
    return storage_.nodes().StageNodes(persistence::SpaceUse::kAboveReserve);
  };
  EXPECT_EQ(stage().status(), broken_);
  auto staged = stage().value();
  EXPECT_EQ(staged->PutValue(TreeId{1}, Serial{1}, "x"), full_);
  EXPECT_TRUE(staged->PutValue(TreeId{1}, Serial{1}, "x").ok());
  EXPECT_EQ(staged->Seal(), full_);
  EXPECT_TRUE(staged->Seal().ok());
  Arm(FaultPoint::kReadValue, 1, FaultAction::kRefuse, broken_);
  EXPECT_EQ(staged->ReadValue(TreeId{1}, Serial{1}).status(), broken_);
  EXPECT_EQ(staged->ReadValue(TreeId{1}, Serial{1}).value(), "x");
}

TEST_F(FaultInjectingStorageTest, InterruptionMayCallTheStorage) {
  Fault fault;
  fault.action = FaultAction::kInterrupt;
  Sequence seen{99};
  fault.before = [&] { seen = storage_.nodes().TakeSnapshot().value()->sequence(); };
  storage_.Arm(fault);
  EXPECT_TRUE(Append().ok());
  EXPECT_EQ(seen, Sequence{0});
  EXPECT_EQ(storage_.log().Tail(), Sequence{1});
}

}  // namespace
}  // namespace sop::memory
