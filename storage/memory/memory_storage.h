#pragma once

#include <memory>

#include "core/base/clock.h"
#include "core/base/mutex.h"
#include "core/base/random.h"
#include "core/persistence/storage.h"
#include "storage/memory/memory_state.h"

namespace sop::memory {

// The reference implementation of Storage: oracle and fake. Nothing survives the process, but
// everything survives the MemoryStorage in its MemoryState.
//
// 1. Deltas meet images when a record is appended, so a node read is a look-up.
// 2. Several storages may share one state; each is then one committer on one log.
// 3. A storage sees what it appended and what TailMoved told it of, nothing newer: its tail and its
//    snapshots stand still while others append.
// Thread-safe.
class MemoryStorage : public persistence::Storage,
                      private persistence::NodeStore,
                      private persistence::CommitLog {
 public:
  // `state` is shared with the snapshots taken here, which may outlive this.
  MemoryStorage(std::shared_ptr<MemoryState> state, persistence::ApplyFunction apply);
  ~MemoryStorage() override;
  MemoryStorage(const MemoryStorage&) = delete;
  MemoryStorage& operator=(const MemoryStorage&) = delete;

  // An empty database with a fresh identity.
  static std::unique_ptr<MemoryStorage> Create(persistence::ApplyFunction apply, base::Clock& clock,
                                               base::Random& random);

  persistence::NodeStore& nodes() override { return *this; }
  persistence::CommitLog& log() override { return *this; }
  Uuid database_id() const override { return state_->database_id(); }

  const std::shared_ptr<MemoryState>& state() const { return state_; }

 private:
  absl::StatusOr<std::shared_ptr<const persistence::StorageSnapshot>> TakeSnapshot() override
      SOP_EXCLUDES(view_mu_);
  absl::StatusOr<std::unique_ptr<persistence::StagedNodes>> StageNodes(
      persistence::SpaceUse use) override;
  absl::StatusOr<uint64_t> FreeBytes() override;
  absl::StatusOr<uint64_t> ApproximateSize(TreeId tree) override;

  Sequence Tail() const override SOP_EXCLUDES(view_mu_);
  absl::StatusOr<persistence::AppendResult> Append(Sequence expected_tail,
                                                   const persistence::CommitRecord& record,
                                                   persistence::Durability durability) override
      SOP_EXCLUDES(view_mu_);
  bool WantsWrites() const override { return true; }

  // Constant after construction.
  const std::shared_ptr<MemoryState> state_;
  const persistence::ApplyFunction apply_;

  // Guarded by view_mu_, which is taken before the state's lock.
  mutable base::Mutex view_mu_;
  Sequence view_ SOP_GUARDED_BY(view_mu_);  // a reader of the state
};

}  // namespace sop::memory
