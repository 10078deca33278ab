#pragma once

#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include "absl/functional/function_ref.h"
#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "core/base/ids.h"
#include "core/persistence/maintenance.h"
#include "core/persistence/record.h"
#include "core/persistence/value_reference.h"

namespace sop::persistence {

// Applies deltas, oldest first, to an image (absent: the node does not exist yet). Pure and total:
// damaged input gives a damaged image. Implemented by core/btree, handed to a storage at opening.
using ApplyFunction = std::string (*)(std::optional<std::string_view> image,
                                      std::span<const std::string_view> deltas);

// Places of nodes or of values: [begin, end) in the order of (tree, number).
struct PlaceRange {
  struct Place {
    TreeId tree;
    uint64_t number = 0;

    friend auto operator<=>(const Place&, const Place&) = default;
  };
  Place begin;
  std::optional<Place> end;  // absent: no upper bound
};

// A consistent, immutable view of everything as of one commit group. Holding one keeps what it sees
// from being reclaimed. Thread-safe.
class StorageSnapshot {
 public:
  virtual ~StorageSnapshot() = default;

  // The last sequence of the newest group that this snapshot sees.
  virtual Sequence sequence() const = 0;

  // The node's image with all deltas applied, or nothing if the node does not exist. Damage inside
  // an image is not detected here (the image's own checksum is the tree's business); DATA_LOSS is a
  // block that the storage itself could not read.
  virtual absl::StatusOr<std::optional<std::string>> ReadNode(TreeId tree, NodeId node) const = 0;
  // The same, of a node that will not be read again soon: it drives nothing out of caches.
  virtual absl::StatusOr<std::optional<std::string>> ReadNodeOnce(TreeId tree, NodeId node) const {
    return ReadNode(tree, node);
  }

  virtual absl::StatusOr<std::optional<std::string>> ReadRow(Space space,
                                                             std::string_view key) const = 0;

  // Calls `visit(key, value)` for the rows in [begin, end) in key order until it returns false. An
  // empty `end` means no upper bound.
  virtual absl::Status ScanRows(
      Space space, std::string_view begin, std::string_view end,
      absl::FunctionRef<bool(std::string_view, std::string_view)> visit) const = 0;

  // The whole of a value kept outside nodes, or nothing if there is none.
  virtual absl::StatusOr<std::optional<std::string>> ReadValue(TreeId tree,
                                                               Serial value_id) const = 0;

  // Calls `visit` for the nodes in `range` in order, each with all deltas applied, until it returns
  // false. For checks and copies of everything: large reads, past the caches. DATA_LOSS at the
  // first that cannot be read; what comes behind it may be asked for by another call.
  virtual absl::Status ScanNodes(
      const PlaceRange& range,
      absl::FunctionRef<bool(TreeId, NodeId, std::string_view)> visit) const = 0;

  // The same for the values kept outside nodes.
  virtual absl::Status ScanValues(
      const PlaceRange& range,
      absl::FunctionRef<bool(TreeId, Serial, std::string_view)> visit) const = 0;
};

// Nodes and values of ids never used before, written ahead of the record that begins to refer to
// them: Put..., Seal; then a commit that names id() in `CommitRecord::staged` makes them permanent.
// Dropped before that, or left behind by a crash, they are collected: nothing has ever referred to
// them. Confined to one thread; ReadNode and ReadValue, after Seal, are thread-safe.
class StagedNodes {
 public:
  virtual ~StagedNodes() = default;
  // Ascends from 1 and is given once in the life of a database; at most kMaxStagedId.
  virtual uint64_t id() const = 0;
  // REQUIRES: not sealed; (tree, node) ascend strictly. kDiskFull, UNAVAILABLE.
  virtual absl::Status PutNode(TreeId tree, NodeId node, std::string_view image) = 0;
  // REQUIRES: not sealed; (tree, value_id) ascend strictly. kDiskFull, UNAVAILABLE.
  virtual absl::Status PutValue(TreeId tree, Serial value_id, std::string_view value) = 0;
  // On OK all of it is on stable storage, to survive a crash once a record names it.
  virtual absl::Status Seal() = 0;
  // REQUIRES: sealed, and neither dropped nor named by a record that removes the node.
  virtual absl::StatusOr<std::optional<std::string>> ReadNode(TreeId tree, NodeId node) const = 0;
  // The same for a value.
  virtual absl::StatusOr<std::optional<std::string>> ReadValue(TreeId tree,
                                                               Serial value_id) const = 0;
};

// What staged nodes may take from the disk.
enum class SpaceUse : uint8_t {
  kAboveReserve,
  kReserve,  // what only removes may use the space kept in reserve
};

// Reads of nodes, rows and values. Thread-safe.
class NodeStore {
 public:
  virtual ~NodeStore() = default;

  // A view of the newest group that this storage knows of: appended through it, or told of by
  // TailMoved. What others appended since is not in it. The committer calls this after Append(N)
  // returned and before Append(N + 1).
  virtual absl::StatusOr<std::shared_ptr<const StorageSnapshot>> TakeSnapshot() = 0;

  // Begins nodes that a later record will refer to. What it hands out must not outlive the storage.
  virtual absl::StatusOr<std::unique_ptr<StagedNodes>> StageNodes(SpaceUse use) = 0;

  // Bytes that may still be written before the disk's reserve is touched.
  virtual absl::StatusOr<uint64_t> FreeBytes() = 0;

  // Approximate bytes on disk of one tree.
  virtual absl::StatusOr<uint64_t> ApproximateSize(TreeId tree) = 0;
};

enum class Durability {
  kSynced,   // on OK the record is on stable storage
  kRelaxed,  // on OK the record survives the process, perhaps not the machine
};

struct Committed {
  Sequence tail;
};

// Somebody else appended first; `records` are theirs, oldest first, from the expected tail on.
struct TailMoved {
  std::vector<CommitRecord> records;
};

using AppendResult = std::variant<Committed, TailMoved>;

// The one order of commits of a database. One committer at a time calls Append. Thread-compatible.
class CommitLog {
 public:
  virtual ~CommitLog() = default;

  // The last sequence of the newest record that this storage knows of, see TakeSnapshot; 0 for an
  // empty database.
  virtual Sequence Tail() const = 0;

  // REQUIRES: record.first == expected_tail + 1.
  // Writes `record` atomically if the tail still is `expected_tail`; after Committed, snapshots
  // taken later see it.
  // RESOURCE_EXHAUSTED (kDiskFull): refused, nothing was written, later records may succeed.
  // FAILED_PRECONDITION (kPreconditionNotMet): refused, staged nodes that it names are not there.
  // UNAVAILABLE: an fsync or write failed; whether the record survives is unknown and every later
  // Append fails the same way until the database is opened again.
  virtual absl::StatusOr<AppendResult> Append(Sequence expected_tail, const CommitRecord& record,
                                              Durability durability) = 0;

  // Whether records must carry their logical writes (another committer may have to validate
  // against them).
  virtual bool WantsWrites() const = 0;
};

// Everything one database needs from below. Implementations own both. Thread-safe.
class Storage {
 public:
  virtual ~Storage() = default;
  virtual NodeStore& nodes() = 0;
  virtual CommitLog& log() = 0;
  // The database's identity, written when it was created.
  virtual Uuid database_id() const = 0;
  // Another number whenever the database was put back to an earlier state, or lost commits: the
  // same sequences may then stand for other commits. 0 for one that never was.
  virtual uint64_t timeline() const { return 0; }
  // Upkeep of what the storage has on disk; null where it has nothing there.
  virtual Maintenance* maintenance() { return nullptr; }
};

}  // namespace sop::persistence
