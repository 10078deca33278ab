#pragma once

#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <vector>

#include "core/base/mutex.h"
#include "core/persistence/storage.h"

namespace sop::memory {

// A call that a fault may strike.
enum class FaultPoint {
  kAppend,
  kTakeSnapshot,
  kFreeBytes,
  kReadNode,
  kReadRow,
  kScanRows,
  kReadValue,
  kStageNodes,
  kPutNode,
  kPutValue,
  kSealNodes,
};

enum class FaultAction {
  // The call does nothing and returns `status`; the next one is untouched.
  kRefuse,
  // kAppend: the record is lost. `status` now and from every later Append.
  kFailLost,
  // kAppend: the record is written all the same. `status` now and from every later Append.
  kFailWritten,
  // kAppend: `foreign(expected_tail)` is appended first; the call returns TailMoved with it.
  kTailMoves,
  // Only `before` is called.
  kInterrupt,
};

struct Fault {
  FaultPoint point = FaultPoint::kAppend;
  // Which call from now on, 1 is the next.
  uint64_t nth = 1;
  FaultAction action = FaultAction::kRefuse;
  absl::Status status;
  // Makes the record of another committer. REQUIRES: its first is expected_tail + 1.
  std::function<persistence::CommitRecord(Sequence expected_tail)> foreign;
  // Called outside every lock before the fault strikes: to wait, to look, to call something else.
  std::function<void()> before;
};

// Decorates any Storage with planned faults. Calls without a fault go through unchanged.
// Everything it hands out must be closed before it.
// Thread-safe.
class FaultInjectingStorage : public persistence::Storage,
                              private persistence::NodeStore,
                              private persistence::CommitLog {
 public:
  explicit FaultInjectingStorage(std::unique_ptr<persistence::Storage> base);
  ~FaultInjectingStorage() override;

  // Adds a fault. Several may strike the same call; the first added wins.
  void Arm(Fault fault) SOP_EXCLUDES(mu_);
  // From now on the reserve is touched: Append answers kDiskFull to records that add anything.
  void FillDisk() SOP_EXCLUDES(mu_);
  // Calls of `point` so far.
  uint64_t Calls(FaultPoint point) const SOP_EXCLUDES(mu_);
  // Faults that have not struck.
  size_t ArmedCount() const SOP_EXCLUDES(mu_);

  // Counts a call of `point` and runs its fault's `before`. The fault, if any.
  std::optional<Fault> Strike(FaultPoint point) const SOP_EXCLUDES(mu_);
  // The same for calls that can only be refused or interrupted: the status to return.
  absl::Status StrikeStatus(FaultPoint point) const SOP_EXCLUDES(mu_);

  persistence::NodeStore& nodes() override { return *this; }
  persistence::CommitLog& log() override { return *this; }
  Uuid database_id() const override { return base_->database_id(); }
  persistence::Storage& base() { return *base_; }

 private:
  absl::StatusOr<std::shared_ptr<const persistence::StorageSnapshot>> TakeSnapshot() override;
  absl::StatusOr<std::unique_ptr<persistence::StagedNodes>> StageNodes(
      persistence::SpaceUse use) override;
  absl::StatusOr<uint64_t> FreeBytes() override;
  absl::StatusOr<uint64_t> ApproximateSize(TreeId tree) override;

  Sequence Tail() const override { return base_->log().Tail(); }
  absl::StatusOr<persistence::AppendResult> Append(Sequence expected_tail,
                                                   const persistence::CommitRecord& record,
                                                   persistence::Durability durability) override;
  bool WantsWrites() const override { return base_->log().WantsWrites(); }

  absl::Status StickyFailure() const SOP_EXCLUDES(mu_);
  absl::Status Stick(absl::Status failure) SOP_EXCLUDES(mu_);

  // Constant after construction.
  const std::unique_ptr<persistence::Storage> base_;

  // Guarded by mu_.
  mutable base::Mutex mu_;
  mutable std::vector<Fault> faults_ SOP_GUARDED_BY(mu_);  // nth counts down
  mutable std::map<FaultPoint, uint64_t> calls_ SOP_GUARDED_BY(mu_);
  absl::Status append_failure_ SOP_GUARDED_BY(mu_);
  bool disk_is_full_ SOP_GUARDED_BY(mu_) = false;
};

}  // namespace sop::memory
