#pragma once

#include <cstdint>
#include <deque>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "absl/container/flat_hash_map.h"
#include "absl/status/status.h"
#include "core/base/ids.h"
#include "core/base/mutex.h"
#include "core/btree/tree_writer.h"

namespace sop::txn {

// A change of the item count below one child of one inner node, by one commit group.
struct TreeCountChange {
  TreeId tree;
  btree::CountChange change;
};

// docs/formats/count_record.md: what a group did to counts, as one row in Space::kMeta.
std::string EncodeCountRecord(std::span<const TreeCountChange> changes);
absl::StatusOr<std::vector<TreeCountChange>> DecodeCountRecord(std::string_view bytes);
// The row's key. Ascends with the sequence.
std::string CountRecordKey(Sequence sequence);
absl::StatusOr<Sequence> CountRecordSequence(std::string_view key);
inline constexpr std::string_view kCountRecordsBegin = "c";
inline constexpr std::string_view kCountRecordsEnd = "d";

// The count records that are not folded into inner nodes yet, or were folded but may still be
// needed by an older snapshot. An inner node read from storage at snapshot S is its image plus the
// changes here in (image's counts_sequence, S]. Thread-safe.
class CountLedger {
 public:
  // Records arrive in sequence order.
  void Add(Sequence sequence, std::span<const TreeCountChange> changes) SOP_EXCLUDES(mu_);
  // Takes back everything above `sequence`: a group that was not written.
  void DropAbove(Sequence sequence) SOP_EXCLUDES(mu_);
  // Forgets records up to `sequence`: they are folded and no snapshot below it is left.
  void DropThrough(Sequence sequence) SOP_EXCLUDES(mu_);

  struct Node {
    TreeId tree;
    NodeId inner;
  };
  // Commits in (after, through].
  struct Span {
    Sequence after;
    Sequence through;
  };

  // Adds to `counts[i]` what happened in `span` below `children[i]` of the node.
  void Complete(const Node& node, const Span& span, std::span<const NodeId> children,
                std::span<uint64_t> counts) const SOP_EXCLUDES(mu_);

  // Nodes that a record up to `through` touches.
  std::vector<Node> InnerNodes(Sequence through) const SOP_EXCLUDES(mu_);

  // Sequences of the records in (after, through], ascending.
  std::vector<Sequence> Records(Sequence after, Sequence through) const SOP_EXCLUDES(mu_);

  size_t records() const SOP_EXCLUDES(mu_);

 private:
  struct Entry {
    Sequence sequence;
    NodeId child;
    int64_t amount;
  };
  using Key = std::pair<TreeId, NodeId>;

  mutable base::SharedMutex mu_;
  absl::flat_hash_map<Key, std::deque<Entry>> nodes_ SOP_GUARDED_BY(mu_);
  // Which nodes a record touches, oldest first.
  std::deque<std::pair<Sequence, std::vector<Key>>> order_ SOP_GUARDED_BY(mu_);
};

}  // namespace sop::txn
