#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "absl/functional/function_ref.h"
#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "core/base/ids.h"
#include "core/btree/node/node_entries.h"
#include "core/btree/staged/leaf_packer.h"
#include "core/btree/tree.h"
#include "core/persistence/storage.h"

namespace sop::btree {

// The writes of one large transaction to one tree, in key order. Confined to one thread.
class WriteSource {
 public:
  virtual ~WriteSource() = default;
  // To the first write whose key is not below `key`.
  virtual absl::Status Seek(std::string_view key) = 0;
  virtual absl::Status Next() = 0;
  virtual bool Valid() const = 0;
  // REQUIRES: Valid(), here and below. Until the source moves.
  virtual std::string_view key() const = 0;
  // Whether a value that is out of the node stays where it is.
  virtual bool KeepsValue() const = 0;
  // Whether an item is there afterwards, whatever was before.
  virtual bool LeavesItem() const = 0;
  // The item that the write leaves where `before` was (null: nothing was there), its version the
  // commit's; nothing if there is none. Views until the source moves.
  virtual absl::StatusOr<std::optional<ItemView>> Apply(const ItemView* before) = 0;
};

// A leaf of a fresh id, in storage already, that no node refers to yet.
struct StagedLeaf {
  std::string low;
  NodeId node;
  uint64_t count = 0;
};

// What takes the place of one leaf of the state that was staged on: leaves [first, end).
struct StagedRange {
  NodeId replaced;                  // kRootNode where the tree was empty
  std::string low;                  // keys [low, high) were the replaced leaf's
  std::optional<std::string> high;  // absent: unbounded
  size_t first = 0;
  size_t end = 0;
  std::vector<persistence::ValueReference> freed_values;
};

// What a large transaction makes of one tree's leaves. Ranges and leaves ascend.
struct StagedTree {
  std::vector<StagedLeaf> leaves;
  std::vector<StagedRange> ranges;
};

// Keys [begin, end).
struct KeySpan {
  std::string_view begin;
  std::optional<std::string_view> end;
  bool Contains(std::string_view key) const {
    return key >= begin && (!end.has_value() || key < *end);
  }
  bool Ends(std::string_view key) const { return end.has_value() && key >= *end; }
};

// Adds to `packer` the items of `leaf` (may be null) in `span` with `writes` on top, and to `freed`
// the values out of the node to which nothing refers any more. Leaves `writes` at the first write
// beyond. REQUIRES: `writes` is at the first write of `span`.
absl::Status MergeInto(const NodeVersion* leaf, const KeySpan& span, WriteSource& writes,
                       LeafPacker* packer, std::vector<persistence::ValueReference>* freed);

// Builds, outside the committer, the leaves that a large transaction makes of a tree as one state
// has it. Confined to one thread.
class TreeStager {
 public:
  struct Options {
    NodeLimits limits;
    Sequence sequence;  // that the transaction will commit at
  };
  using PutNode = absl::FunctionRef<absl::Status(NodeId node, std::string_view image)>;

  // `next_node_id` gives ascending ids never used before.
  TreeStager(NodeSource& base, absl::FunctionRef<NodeId()> next_node_id, PutNode put_node,
             const Options& options)
      : base_(base), next_node_id_(next_node_id), put_node_(put_node), options_(options) {}

  // Errors of reading, of `writes` and of `put_node`.
  absl::StatusOr<StagedTree> Stage(TreeId tree, WriteSource& writes);

 private:
  NodeSource& base_;
  const absl::FunctionRef<NodeId()> next_node_id_;
  const PutNode put_node_;
  const Options options_;
};

}  // namespace sop::btree
