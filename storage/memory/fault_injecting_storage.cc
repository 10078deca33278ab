#include "storage/memory/fault_injecting_storage.h"

#include <utility>

#include "core/base/check.h"
#include "core/base/error.h"
#include "core/base/status_macros.h"

namespace sop::memory {

using persistence::AppendResult;
using persistence::CommitRecord;
using persistence::Space;
using persistence::StorageSnapshot;

namespace {

// Reads through the decorated storage's snapshot. Thread-safe.
class FaultInjectingSnapshot : public StorageSnapshot {
 public:
  FaultInjectingSnapshot(const FaultInjectingStorage& storage,
                         std::shared_ptr<const StorageSnapshot> base)
      : storage_(storage), base_(std::move(base)) {}

  const StorageSnapshot& base() const { return *base_; }

  Sequence sequence() const override { return base_->sequence(); }

  absl::StatusOr<std::optional<std::string>> ReadNode(TreeId tree, NodeId node) const override {
    SOP_RETURN_IF_ERROR(storage_.StrikeStatus(FaultPoint::kReadNode));
    return base_->ReadNode(tree, node);
  }

  absl::StatusOr<std::optional<std::string>> ReadRow(Space space,
                                                     std::string_view key) const override {
    SOP_RETURN_IF_ERROR(storage_.StrikeStatus(FaultPoint::kReadRow));
    return base_->ReadRow(space, key);
  }

  absl::Status ScanRows(
      Space space, std::string_view begin, std::string_view end,
      absl::FunctionRef<bool(std::string_view, std::string_view)> visit) const override {
    SOP_RETURN_IF_ERROR(storage_.StrikeStatus(FaultPoint::kScanRows));
    return base_->ScanRows(space, begin, end, visit);
  }

  absl::StatusOr<std::optional<std::string>> ReadValue(TreeId tree,
                                                       Serial value_id) const override {
    SOP_RETURN_IF_ERROR(storage_.StrikeStatus(FaultPoint::kReadValue));
    return base_->ReadValue(tree, value_id);
  }

  absl::Status ScanNodes(
      const persistence::PlaceRange& range,
      absl::FunctionRef<bool(TreeId, NodeId, std::string_view)> visit) const override {
    SOP_RETURN_IF_ERROR(storage_.StrikeStatus(FaultPoint::kReadNode));
    return base_->ScanNodes(range, visit);
  }

  absl::Status ScanValues(
      const persistence::PlaceRange& range,
      absl::FunctionRef<bool(TreeId, Serial, std::string_view)> visit) const override {
    SOP_RETURN_IF_ERROR(storage_.StrikeStatus(FaultPoint::kReadValue));
    return base_->ScanValues(range, visit);
  }

 private:
  const FaultInjectingStorage& storage_;
  const std::shared_ptr<const StorageSnapshot> base_;
};

// Stages through the decorated storage. Confined to one thread.
class FaultInjectingStagedNodes : public persistence::StagedNodes {
 public:
  FaultInjectingStagedNodes(const FaultInjectingStorage& storage,
                            std::unique_ptr<persistence::StagedNodes> base)
      : storage_(storage), base_(std::move(base)) {}

  uint64_t id() const override { return base_->id(); }
  absl::Status PutNode(TreeId tree, NodeId node, std::string_view image) override {
    SOP_RETURN_IF_ERROR(storage_.StrikeStatus(FaultPoint::kPutNode));
    return base_->PutNode(tree, node, image);
  }
  absl::Status PutValue(TreeId tree, Serial value_id, std::string_view value) override {
    SOP_RETURN_IF_ERROR(storage_.StrikeStatus(FaultPoint::kPutValue));
    return base_->PutValue(tree, value_id, value);
  }
  absl::Status Seal() override {
    SOP_RETURN_IF_ERROR(storage_.StrikeStatus(FaultPoint::kSealNodes));
    return base_->Seal();
  }
  absl::StatusOr<std::optional<std::string>> ReadNode(TreeId tree, NodeId node) const override {
    SOP_RETURN_IF_ERROR(storage_.StrikeStatus(FaultPoint::kReadNode));
    return base_->ReadNode(tree, node);
  }
  absl::StatusOr<std::optional<std::string>> ReadValue(TreeId tree,
                                                       Serial value_id) const override {
    SOP_RETURN_IF_ERROR(storage_.StrikeStatus(FaultPoint::kReadValue));
    return base_->ReadValue(tree, value_id);
  }

 private:
  const FaultInjectingStorage& storage_;
  const std::unique_ptr<persistence::StagedNodes> base_;
};

}  // namespace

FaultInjectingStorage::FaultInjectingStorage(std::unique_ptr<persistence::Storage> base)
    : base_(std::move(base)) {}

FaultInjectingStorage::~FaultInjectingStorage() = default;

void FaultInjectingStorage::Arm(Fault fault) {
  SOP_CHECK(fault.nth > 0);
  const bool only_append = fault.action == FaultAction::kFailLost ||
                           fault.action == FaultAction::kFailWritten ||
                           fault.action == FaultAction::kTailMoves;
  SOP_CHECK(!only_append || fault.point == FaultPoint::kAppend);
  SOP_CHECK(fault.action != FaultAction::kTailMoves || fault.foreign != nullptr);
  const base::MutexLock lock(mu_);
  faults_.push_back(std::move(fault));
}

uint64_t FaultInjectingStorage::Calls(FaultPoint point) const {
  const base::MutexLock lock(mu_);
  const auto calls = calls_.find(point);
  return calls == calls_.end() ? 0 : calls->second;
}

size_t FaultInjectingStorage::ArmedCount() const {
  const base::MutexLock lock(mu_);
  return faults_.size();
}

void FaultInjectingStorage::FillDisk() {
  base::MutexLock lock(mu_);
  disk_is_full_ = true;
}

std::optional<Fault> FaultInjectingStorage::Strike(FaultPoint point) const {
  std::optional<Fault> struck;
  {
    const base::MutexLock lock(mu_);
    ++calls_[point];
    for (auto fault = faults_.begin(); fault != faults_.end();) {
      const bool due = fault->point == point && --fault->nth == 0;
      if (due && !struck.has_value()) struck = *fault;
      fault = due ? faults_.erase(fault) : fault + 1;
    }
  }
  if (struck.has_value() && struck->before != nullptr) struck->before();
  return struck;
}

absl::Status FaultInjectingStorage::StrikeStatus(FaultPoint point) const {
  const std::optional<Fault> fault = Strike(point);
  const bool refused = fault.has_value() && fault->action == FaultAction::kRefuse;
  return refused ? fault->status : absl::OkStatus();
}

absl::Status FaultInjectingStorage::StickyFailure() const {
  const base::MutexLock lock(mu_);
  return append_failure_;
}

absl::Status FaultInjectingStorage::Stick(absl::Status failure) {
  const base::MutexLock lock(mu_);
  append_failure_ = std::move(failure);
  return append_failure_;
}

absl::StatusOr<AppendResult> FaultInjectingStorage::Append(Sequence expected_tail,
                                                           const CommitRecord& record,
                                                           persistence::Durability durability) {
  SOP_RETURN_IF_ERROR(StickyFailure());
  {
    base::MutexLock lock(mu_);
    if (disk_is_full_ && !record.only_removes) return Error(Reason::kDiskFull, "the disk is full");
  }
  const std::optional<Fault> fault = Strike(FaultPoint::kAppend);
  if (!fault.has_value() || fault->action == FaultAction::kInterrupt) {
    return base_->log().Append(expected_tail, record, durability);
  }
  switch (fault->action) {
    case FaultAction::kFailLost:
      return Stick(fault->status);
    case FaultAction::kFailWritten:
      SOP_RETURN_IF_ERROR(base_->log().Append(expected_tail, record, durability).status());
      return Stick(fault->status);
    case FaultAction::kTailMoves: {
      const CommitRecord foreign = fault->foreign(expected_tail);
      SOP_ASSIGN_OR_RETURN(AppendResult result,
                           base_->log().Append(expected_tail, foreign, durability));
      // Should the tail have moved by itself, the base's answer stands.
      if (!std::holds_alternative<persistence::Committed>(result)) return result;
      return persistence::TailMoved{{foreign}};
    }
    case FaultAction::kRefuse:
    case FaultAction::kInterrupt:
      break;
  }
  return fault->status;
}

absl::StatusOr<std::shared_ptr<const StorageSnapshot>> FaultInjectingStorage::TakeSnapshot() {
  SOP_RETURN_IF_ERROR(StrikeStatus(FaultPoint::kTakeSnapshot));
  SOP_ASSIGN_OR_RETURN(auto snapshot, base_->nodes().TakeSnapshot());
  return std::make_shared<const FaultInjectingSnapshot>(*this, std::move(snapshot));
}

absl::StatusOr<std::unique_ptr<persistence::StagedNodes>> FaultInjectingStorage::StageNodes(
    persistence::SpaceUse use) {
  SOP_RETURN_IF_ERROR(StrikeStatus(FaultPoint::kStageNodes));
  SOP_ASSIGN_OR_RETURN(auto staged, base_->nodes().StageNodes(use));
  return std::make_unique<FaultInjectingStagedNodes>(*this, std::move(staged));
}

absl::StatusOr<uint64_t> FaultInjectingStorage::FreeBytes() {
  SOP_RETURN_IF_ERROR(StrikeStatus(FaultPoint::kFreeBytes));
  return base_->nodes().FreeBytes();
}

absl::StatusOr<uint64_t> FaultInjectingStorage::ApproximateSize(TreeId tree) {
  return base_->nodes().ApproximateSize(tree);
}

}  // namespace sop::memory
