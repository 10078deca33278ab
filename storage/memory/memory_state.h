#pragma once

#include <map>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "core/base/ids.h"
#include "core/base/mutex.h"
#include "core/persistence/storage.h"
#include "storage/memory/versioned_map.h"

namespace sop::memory {

// What a database in memory consists of. It outlives the MemoryStorage objects over it: closing one
// and opening another over the same state is a restart, two at once are two daemons on one log.
// Every record is kept, so that a committer who fell behind can be told what it missed.
// Thread-safe.
class MemoryState {
 public:
  explicit MemoryState(Uuid database_id) : database_id_(database_id) {}
  MemoryState(const MemoryState&) = delete;
  MemoryState& operator=(const MemoryState&) = delete;

  Uuid database_id() const { return database_id_; }
  Sequence Tail() const SOP_EXCLUDES(mu_);

  // See CommitLog::Append. FAILED_PRECONDITION (kPreconditionNotMet): staged nodes that the
  // record names are not there; nothing was written. `*view` is the reader of whoever appends: it
  // moves to the tail that the result tells of.
  absl::StatusOr<persistence::AppendResult> Append(Sequence expected_tail,
                                                   const persistence::CommitRecord& record,
                                                   persistence::ApplyFunction apply, Sequence* view)
      SOP_EXCLUDES(mu_);

  // Registers a reader at the tail, whose versions stay until it is removed.
  Sequence AddReader() SOP_EXCLUDES(mu_);
  // One more reader where there is one already.
  void AddReaderAt(Sequence at) SOP_EXCLUDES(mu_);
  void RemoveReader(Sequence at) SOP_EXCLUDES(mu_);

  std::optional<std::string> ReadNode(TreeId tree, NodeId node, Sequence at) const
      SOP_EXCLUDES(mu_);
  std::optional<std::string> ReadRow(persistence::Space space, std::string_view key,
                                     Sequence at) const SOP_EXCLUDES(mu_);
  std::optional<std::string> ReadValue(TreeId tree, Serial value_id, Sequence at) const
      SOP_EXCLUDES(mu_);
  // Visits a copy of the rows in [begin, end), outside the lock.
  void ScanRows(persistence::Space space, std::string_view begin, std::string_view end, Sequence at,
                absl::FunctionRef<bool(std::string_view, std::string_view)> visit) const
      SOP_EXCLUDES(mu_);
  // Visits copies of the nodes or values in `range`, outside the lock.
  void ScanNodes(const persistence::PlaceRange& range, Sequence at,
                 absl::FunctionRef<bool(TreeId, NodeId, std::string_view)> visit) const
      SOP_EXCLUDES(mu_);
  void ScanValues(const persistence::PlaceRange& range, Sequence at,
                  absl::FunctionRef<bool(TreeId, Serial, std::string_view)> visit) const
      SOP_EXCLUDES(mu_);
  uint64_t ApproximateSize(TreeId tree) const SOP_EXCLUDES(mu_);

  // Nodes and values that wait for the record that refers to them; see StagedNodes.
  struct Staged {
    std::map<std::pair<TreeId, NodeId>, std::string> nodes;
    std::map<std::pair<TreeId, Serial>, std::string> values;
  };
  // A number that was never given before.
  uint64_t NextStagedId() SOP_EXCLUDES(mu_);
  // From now on a record may name `staged` by `id`.
  void AddStaged(uint64_t id, Staged staged) SOP_EXCLUDES(mu_);
  // Nothing if a record has taken it.
  void RemoveStaged(uint64_t id) SOP_EXCLUDES(mu_);
  size_t StagedCount() const SOP_EXCLUDES(mu_);

  size_t VersionCount() const SOP_EXCLUDES(mu_);

 private:
  using NodeKey = std::pair<TreeId, NodeId>;
  using RowKey = std::pair<persistence::Space, std::string>;
  using ValueKey = std::pair<TreeId, Serial>;
  void MoveReader(Sequence to, Sequence* reader) SOP_REQUIRES(mu_);
  std::vector<persistence::CommitRecord> RecordsFrom(Sequence expected_tail) const
      SOP_REQUIRES(mu_);
  absl::Status CheckReferences(const persistence::CommitRecord& record) const SOP_REQUIRES(mu_);
  void TakeStaged(const persistence::CommitRecord& record) SOP_REQUIRES(mu_);
  void ChangeNodes(const persistence::CommitRecord& record, persistence::ApplyFunction apply)
      SOP_REQUIRES(mu_);
  void ChangeRows(const persistence::CommitRecord& record) SOP_REQUIRES(mu_);
  void ChangeValues(const persistence::CommitRecord& record) SOP_REQUIRES(mu_);
  void DropTrees(const persistence::CommitRecord& record) SOP_REQUIRES(mu_);

  // Constant after construction.
  const Uuid database_id_;

  // Guarded by mu_.
  mutable base::Mutex mu_;
  Sequence tail_ SOP_GUARDED_BY(mu_);
  std::vector<persistence::CommitRecord> records_ SOP_GUARDED_BY(mu_);
  std::multiset<Sequence> readers_ SOP_GUARDED_BY(mu_);
  VersionedMap<NodeKey> nodes_ SOP_GUARDED_BY(mu_);
  VersionedMap<RowKey> rows_ SOP_GUARDED_BY(mu_);
  VersionedMap<ValueKey> values_ SOP_GUARDED_BY(mu_);
  std::map<uint64_t, Staged> staged_ SOP_GUARDED_BY(mu_);
  uint64_t next_staged_ SOP_GUARDED_BY(mu_) = 1;
};

}  // namespace sop::memory
