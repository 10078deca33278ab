#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/statusor.h"
#include "core/base/ids.h"

namespace sop::persistence {

// What a record does to one node.
enum class NodeAction : uint8_t {
  kMerge = 1,   // bytes are one delta (core/btree/delta.h), to be applied to the node
  kPut = 2,     // bytes are a whole image
  kRemove = 3,  // the node is no longer reachable from this commit on
};

struct NodeChange {
  TreeId tree;
  NodeId node;
  NodeAction action = NodeAction::kMerge;
  std::string bytes;

  friend bool operator==(const NodeChange&, const NodeChange&) = default;
};

// Small rows beside the nodes. Each space is ordered by key; keys are chosen by core/txn.
enum class Space : uint8_t {
  kMeta = 1,      // count records, the tail, what is pending
  kOutcomes = 2,  // answers kept for repeated commits and requests
  kFeed = 3,      // changes of stores with a feed; trimmed from the beginning only
};

struct RowChange {
  Space space = Space::kMeta;
  std::string key;
  // Absent: the row is removed; in kFeed every row below `key` instead, which snapshots taken
  // before may stop seeing as well.
  std::optional<std::string> value;

  friend bool operator==(const RowChange&, const RowChange&) = default;
};

// A value kept outside nodes. Keys are Serials, so a value is never overwritten.
struct ValueChange {
  TreeId tree;
  Serial value_id;
  std::optional<std::string> value;  // absent: no item of this or a later commit refers to it

  friend bool operator==(const ValueChange&, const ValueChange&) = default;
};

enum class WriteKind : uint8_t { kPut = 1, kErase = 2, kSetRideOn = 3 };

// One logical write, in commit order: what a foreign committer checks its own reads against, and
// what a change feed reports.
struct LogicalWrite {
  TreeId tree;
  Sequence sequence;
  WriteKind kind = WriteKind::kPut;
  // True when the key existed before and its ride-on bytes are unchanged, so that key-only reads
  // do not conflict.
  bool value_only = false;
  std::string key;

  friend bool operator==(const LogicalWrite&, const LogicalWrite&) = default;
};

// What one group of transactions changes, as a unit that is durable whole or not at all.
// `docs/formats/record.md` has the encoding and golden bytes.
//
// Invariants:
// 1. (previous tail, last] are the sequences of the group; every delta and image carries a sequence
//    in that range.
// 2. At most one NodeChange for a node.
struct CommitRecord {
  Sequence first;
  Sequence last;
  std::vector<NodeChange> nodes;
  std::vector<RowChange> rows;
  std::vector<ValueChange> values;
  std::vector<TreeId> dropped_trees;  // every node and value of these trees goes
  // Not stored: nothing in it adds items, so that it may use space kept in reserve.
  bool only_removes = false;
  // Not stored: the StagedNodes of the storage it is appended to that it refers to, each once. They
  // become part of the database with it, before `nodes` and `values` are applied.
  std::vector<uint64_t> staged;
  std::vector<LogicalWrite> writes;  // may be empty where CommitLog::WantsWrites() is false

  friend bool operator==(const CommitRecord&, const CommitRecord&) = default;
};

// The encoding of `record`, checksum included.
// REQUIRES: 0 < record.first <= record.last <= kMaxSequence; every write is of that range.
std::string EncodeRecord(const CommitRecord& record);

// Total: damaged or unknown bytes give DATA_LOSS (kDamaged), never a crash.
absl::StatusOr<CommitRecord> DecodeRecord(std::string_view bytes);

}  // namespace sop::persistence
