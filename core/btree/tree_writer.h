#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "absl/container/btree_map.h"
#include "absl/container/flat_hash_map.h"
#include "absl/container/flat_hash_set.h"
#include "absl/functional/function_ref.h"
#include "absl/status/statusor.h"
#include "core/base/ids.h"
#include "core/btree/node/node_entries.h"
#include "core/btree/tree.h"
#include "core/persistence/storage.h"

namespace sop::btree {

struct StagedTree;
class WriteSource;

// The net effect of a commit group on one key of a tree.
struct TreeWrite {
  DeltaKind kind = DeltaKind::kPut;  // kPut, kErase, kSetRideOn or kAdd
  std::string_view key;
  Sequence sequence;
  ItemView item;       // kPut; kSetRideOn uses only ride_on
  int64_t amount = 0;  // kAdd
};

// What becomes of one node.
struct NodeResult {
  // Null: the node is gone, or nobody reads it now (PutUnread).
  NodeRef version;
  // How storage learns of it; no action: only counts of children changed (see CountChange).
  std::optional<persistence::NodeAction> action;
  std::string bytes;  // kMerge: the delta; kPut: empty if there is a version, whose image is meant
};

// `amount` items more below `child` of `inner`: kept in count records until folded.
struct CountChange {
  NodeId inner;
  NodeId child;
  int64_t amount = 0;
};

struct TreeChanges {
  absl::flat_hash_map<NodeId, NodeResult> nodes;
  std::vector<CountChange> counts;
  std::vector<persistence::ValueReference> freed_values;
};

// Turns a group's writes to one tree into new node versions, node deltas and count changes.
// Leaves first, then their parents level by level; a changed leaf leaves its parent alone unless it
// splits or merges. Node 1 stays the root for ever: when it splits, its halves get ids of their
// own.
//
// Invariant: the key range of a node changes only together with its sequence, so a leaf whose
// sequence is not above S holds at least what was readable in its range at S.
// Confined to one thread.
class TreeWriter {
 public:
  struct Options {
    NodeLimits limits;
    Sequence sequence;  // of every node version made
  };

  // `head` is the newest state, without this group. `next_node_id` gives ids never used before.
  TreeWriter(NodeSource& head, absl::FunctionRef<NodeId()> next_node_id, const Options& options)
      : head_(head), next_node_id_(next_node_id), options_(options) {}

  // REQUIRES: `writes` ascend strictly by key and outlive the call. kSetRideOn only for keys that
  // are there. DATA_LOSS and UNAVAILABLE from reading; then nothing has changed.
  absl::StatusOr<TreeChanges> Write(TreeId tree, std::span<const TreeWrite> writes);

  // What a tree was staged on, and what became of it since.
  struct StagedOn {
    NodeSource& base;
    WriteSource& writes;
    // Values staged with the leaves have Serials of sequences [first, end), and no others have. (A
    // value that was staged by itself is not theirs.)
    Sequence first_serials;
    Sequence end_serials;
    // Whether the node may differ from what `base` has.
    absl::FunctionRef<bool(NodeId node)> may_have_changed;
    // Told of keys, in places that are written, whose items differ; its error ends the writing.
    absl::FunctionRef<absl::Status(std::string_view key)> on_changed_key;
  };

  // Puts staged leaves in the place of those that they replace. Where these changed since, the
  // staged ones get deltas. REQUIRES: `head` has the staged leaves too; their sequence is below
  // options.sequence. Errors as Write, and those of StagedOn.
  absl::StatusOr<TreeChanges> WriteStaged(TreeId tree, const StagedTree& staged,
                                          const StagedOn& on);

 private:
  struct NodePart {
    std::string key;  // separator
    NodeId node;
    uint64_t count = 0;
    bool underfull = false;
  };
  // What happened to one child of an inner node.
  struct ChildChange {
    uint32_t slot = 0;
    int64_t count_change = 0;
    std::vector<NodePart> siblings;  // split off to its right
    bool underfull = false;
    bool replaced = false;  // by `siblings`, at least one
  };
  struct Parent {
    NodeId id;
    uint32_t slot = 0;
  };
  struct InnerWork {
    NodeRef node;
    std::optional<Parent> parent;
    std::vector<ChildChange> changes;
  };
  struct Leaf {
    NodeId id;
    NodeRef node;
    std::optional<Parent> parent;
    std::optional<std::string> high;
  };
  using Level = absl::btree_map<NodeId, InnerWork>;

  // The writes that lie in the range of one child.
  struct Run {
    uint32_t slot = 0;
    std::span<const TreeWrite> writes;
  };

  absl::StatusOr<NodeRef> ReadRoot();
  // The work on an inner node that a path leads through.
  InnerWork& WorkOn(NodeId id, const NodeRef& inner, const std::optional<Parent>& parent);
  // Puts `leaf` one step down, to `child` or, if that is null, what `head_` has.
  absl::Status StepDown(const Parent& parent, const NodeVersion& inner, NodeRef child, Leaf* leaf);
  absl::StatusOr<Leaf> Descend(std::string_view key);
  // All of `writes` lie in the range of `node`.
  absl::Status WriteBelow(const Leaf& node, std::span<const TreeWrite> writes);
  absl::Status WriteRuns(const Leaf& inner, std::span<const Run> runs);
  absl::Status WriteLeaf(const Leaf& leaf, std::span<const TreeWrite> writes);
  // Leaves out what changes nothing.
  DeltaView MakeDelta(const NodeVersion& leaf, std::span<const TreeWrite> writes,
                      NodeVersion::Growth* growth);
  std::vector<NodePart> DivideLeaf(const Leaf& leaf, const NodeVersion& grown,
                                   const DeltaView& delta);
  bool IsSmall(const NodeVersion& node) const;
  void Report(const std::optional<Parent>& parent, int parent_level, ChildChange change);

  // Inner nodes, from the leaves' parents up.
  absl::Status WriteLevels();
  absl::Status WriteInner(NodeId id, InnerWork& work);
  // Adds what was split off below the node to its image, run by run, and returns true; false if
  // that does not do: then the node is built anew.
  bool LinkSiblings(NodeId id, const InnerWork& work);
  void WriteCounts(NodeId id, const InnerWork& work);
  // The children as they are after `work`, with merges carried out.
  absl::StatusOr<std::vector<NodePart>> ChildrenAfter(const InnerWork& work);
  void CountKept(NodeId id, const NodeVersion& node, const std::vector<NodePart>& children);
  // Links and unlinks that lead from `node` to `children`; nothing if they cannot be said so.
  std::optional<std::string> MakeLinkDelta(const NodeVersion& node,
                                           const std::vector<NodePart>& children) const;
  absl::StatusOr<bool> TryMerge(NodePart* left, const NodePart& right, int level);
  absl::Status CollapseRoot();

  // --- Staged leaves (tree_writer_staged.cc) ---
  class ChangedLeaf;
  // The place of the leaf that has `key`; the leaf itself is not read.
  absl::StatusOr<Leaf> DescendToParent(std::string_view key);
  std::string LowOf(const Leaf& leaf) const;
  absl::StatusOr<bool> PutStagedRange(const StagedTree& staged, size_t range);
  absl::Status ReplaceLeaf(const Leaf& leaf, std::vector<NodePart> parts);
  // Lets go of a staged leaf's items from `end` on; how many are left.
  absl::StatusOr<uint64_t> CutStaged(NodeId node, std::string_view end, const StagedOn& on);
  // A change of a leaf that storage is told of and no more: who wants the leaf reads it there.
  // `bytes` are a delta, or the image of a fresh node.
  void PutUnread(NodeId node, persistence::NodeAction action, std::string bytes);

  absl::StatusOr<NodeRef> Current(NodeId id);
  // Makes `entries` the content of node `id` and, if they do not fit, of siblings to its right,
  // which are returned. The root grows a level instead. `delta` says how storage can learn of the
  // first part; `delta_bytes` are those since that node was stored whole.
  std::vector<NodePart> PutEntries(NodeId id, const NodeEntries& entries,
                                   const std::vector<size_t>& starts,
                                   std::optional<std::string> delta, uint64_t delta_bytes);
  void PutImage(NodeId id, std::string bytes);
  void RemoveNode(NodeId id);
  NodeId FreshNode();

  NodeSource& head_;
  const absl::FunctionRef<NodeId()> next_node_id_;
  const Options options_;
  TreeId tree_;
  NodeRef root_;               // as it was before
  std::vector<Level> levels_;  // inner nodes on the paths taken, by level (index 0 unused)
  absl::flat_hash_set<NodeId> fresh_;
  absl::flat_hash_set<NodeId> staged_;
  TreeChanges changes_;
};

}  // namespace sop::btree
