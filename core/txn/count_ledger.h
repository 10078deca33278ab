#pragma once

#include <cstdint>
#include <deque>
#include <optional>
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
// changes here in (image's counts_sequence, S].
//
// Behind a snapshot that is held open for hours records would pile up. Compact keeps, of what was
// folded, only what the snapshots there are can ask for: a snapshot S before a folding needs what
// came up to S, one sum for each child between two snapshots; nobody needs the rest. So memory
// follows the snapshots and the nodes that changed before them, not the groups.
//
// Invariants:
// 1. Complete answers exactly for every snapshot that each Compact was told of, and every image of
//    the node that such a snapshot sees.
// 2. Sums never reach across a place where an image's counts begin: a folding, or a NoteImage.
//
// Thread-safe.
class CountLedger {
 public:
  // Records arrive in sequence order.
  void Add(Sequence sequence, std::span<const TreeCountChange> changes) SOP_EXCLUDES(mu_);

  struct Node {
    TreeId tree;
    NodeId inner;
  };
  // The group `sequence` wrote the node whole: the counts in its image are those as of `sequence`.
  // After the group's Add.
  void NoteImage(Sequence sequence, const Node& node) SOP_EXCLUDES(mu_);
  // Images up to `sequence` may have been written that nobody noted: they are never summed up.
  void AssumeImages(Sequence through) SOP_EXCLUDES(mu_);
  // Takes back everything above `sequence`: a group that was not written.
  void DropAbove(Sequence sequence) SOP_EXCLUDES(mu_);
  // Forgets records up to `sequence`: they are folded and no snapshot below it is left.
  void DropThrough(Sequence sequence) SOP_EXCLUDES(mu_);

  // The group `folded` folded every record in (after, through] into its node.
  struct Folding {
    Sequence after;
    Sequence through;
    Sequence folded;
  };
  // `folding` has become visible. Keeps, of it and of all before, what `snapshots` need: all that
  // there are, ascending.
  void Compact(const Folding& folding, std::span<const Sequence> snapshots) SOP_EXCLUDES(mu_);

  // Commits in (after, through].
  struct Span {
    Sequence after;
    Sequence through;
  };

  // Adds to `counts[i]` what happened in `span` below `children[i]` of the node.
  void Complete(const Node& node, const Span& span, std::span<const NodeId> children,
                std::span<uint64_t> counts) const SOP_EXCLUDES(mu_);

  // As of which commit the node's counts are in storage, where every record up to `folded` is
  // folded and the node has changed since. Nothing if an image may have been written that nobody
  // noted.
  std::optional<Sequence> StoredAsOf(const Node& node, Sequence folded) const SOP_EXCLUDES(mu_);

  // Nodes that a record in `span` touches.
  std::vector<Node> InnerNodes(const Span& span) const SOP_EXCLUDES(mu_);

  // Sequences of the records in (after, through], ascending.
  std::vector<Sequence> Records(Sequence after, Sequence through) const SOP_EXCLUDES(mu_);

  // Records that are not folded or not yet compacted.
  size_t records() const SOP_EXCLUDES(mu_);
  // Changes kept, sums and noted images included.
  size_t entries() const SOP_EXCLUDES(mu_);

 private:
  struct Entry {
    Sequence sequence;
    NodeId child;  // 0: an image was written, nothing before may be summed up with what follows
    int64_t amount;
  };
  using Key = std::pair<TreeId, NodeId>;
  using Entries = std::deque<Entry>;
  struct Epoch {
    Folding folding;
    size_t snapshots;  // of the last time it was compacted
  };

  static Entries::const_iterator FirstAfter(const Entries& entries, Sequence sequence);
  void CompactNode(const Folding& folding, std::span<const Sequence> snapshots, Entries* entries)
      SOP_REQUIRES(mu_);
  // The record of `sequence`, the newest one.
  std::vector<Key>& TouchedBy(Sequence sequence) SOP_REQUIRES(mu_);

  mutable base::SharedMutex mu_;
  absl::flat_hash_map<Key, Entries> nodes_ SOP_GUARDED_BY(mu_);
  // Foldings of which something is kept, oldest first.
  std::deque<Epoch> epochs_ SOP_GUARDED_BY(mu_);
  Sequence unnoted_through_ SOP_GUARDED_BY(mu_);
  // Which nodes a record touches, oldest first.
  std::deque<std::pair<Sequence, std::vector<Key>>> order_ SOP_GUARDED_BY(mu_);
};

}  // namespace sop::txn
