#pragma once

#include <cstdint>
#include <cstring>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <utility>

#include "absl/container/inlined_vector.h"
#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "core/base/ids.h"
#include "core/btree/node/node_version.h"

namespace sop::btree {

// Where the nodes of one consistent state come from: a snapshot, or the committer's own newest
// state. Thread-compatible.
class NodeSource {
 public:
  virtual ~NodeSource() = default;
  // The node as this state has it; null if it does not exist (an empty tree has no root).
  // DATA_LOSS for damage, UNAVAILABLE for I/O errors.
  virtual absl::StatusOr<NodeRef> Read(TreeId tree, NodeId node) = 0;
  // Of several nodes at once those that cost no I/O; versions[i] stays null for the others.
  virtual void FindCached(TreeId /*tree*/, std::span<const NodeId> /*nodes*/,
                          NodeRef* /*versions*/) {}
};

// An item and the leaf that keeps its bytes alive.
struct FoundItem {
  NodeRef leaf;
  ItemView item;
};

// O(log n). Nothing if the key is not there.
absl::StatusOr<std::optional<FoundItem>> Find(NodeSource& source, TreeId tree,
                                              std::string_view key);

// Those of several nodes that cost no I/O, with what a look-up in them will touch brought nearer to
// the processor: the waits for memory overlap. versions[i] is null for the others.
void FindAndPrefetch(NodeSource& source, TreeId tree, std::span<const NodeId> nodes,
                     NodeRef* versions);

// Find for several keys at once; found[i] is for keys[i].
absl::Status FindAll(NodeSource& source, TreeId tree, std::span<const std::string_view> keys,
                     std::optional<FoundItem>* found);

// Exact number of items in the tree. O(1) node reads.
absl::StatusOr<uint64_t> Count(NodeSource& source, TreeId tree);

// Exact number of items with keys below `key`. O(log n).
absl::StatusOr<uint64_t> Rank(NodeSource& source, TreeId tree, std::string_view key);

// Exact number of items with keys in [begin, end); an empty `end` means no upper bound. O(log n).
absl::StatusOr<uint64_t> CountRange(NodeSource& source, TreeId tree, std::string_view begin,
                                    std::string_view end);

// A position in one tree of one consistent state. After OK from a Seek or a step, Valid() says
// whether there is an item under it. The source must outlive the cursor, and its state must not
// change meanwhile. Confined to one thread.
class Cursor {
 public:
  Cursor(NodeSource& source, TreeId tree) : source_(source), tree_(tree) {}

  // First item with a key not below `key`.
  absl::Status Seek(std::string_view key);
  // The leaf responsible for `key`, at its first item not below `key`; not Valid() if there is none
  // in this leaf.
  absl::Status SeekToLeaf(std::string_view key);
  // Last item with a key below `key`.
  absl::Status SeekBefore(std::string_view key);
  absl::Status SeekToFirst();
  absl::Status SeekToLast();
  // Item number `rank` in key order, from 0. O(log n).
  absl::Status SeekToRank(uint64_t rank);

  bool Valid() const { return leaf_ != nullptr && index_ < leaf_->item_count(); }
  // REQUIRES: Valid().
  absl::Status Next();
  absl::Status Previous();

  // REQUIRES: Valid(). Views that live until the cursor moves.
  std::string_view key();
  ItemView item() const { return leaf_->item(index_); }
  // REQUIRES: Valid(). Number of items before this one; no node is read.
  uint64_t rank() const;

  // Next() where that costs next to nothing: within a leaf that has no pending deltas. False, and
  // nothing has happened, elsewhere. Then ReadInLeaf is key() and item() at once.
  bool NextInLeaf() {
    if (index_ + 1 >= plain_end_) return false;
    ++index_;
    key_ready_ = false;
    return true;
  }
  // REQUIRES: NextInLeaf() was true and nothing has moved the cursor since.
  void ReadInLeaf(std::string_view* key, ItemView* item) {
    const NodeImage& image = leaf_->image();
    std::string_view suffix;
    image.Read(index_, &suffix, item);
    // The prefix is there already, put by the first key of this leaf.
    const size_t prefix = image.prefix().size();
    if (!prefix_ready_) {
      key_.assign(image.prefix());
      prefix_ready_ = true;
    }
    key_.resize(prefix + suffix.size());
    std::memcpy(key_.data() + prefix, suffix.data(), suffix.size());
    key_ready_ = true;
    *key = key_;
  }

  // The leaf that the cursor is in, or null before the first Seek and in an empty tree. A caller
  // may read on in it with NodeVersion's own accessors and then call SkipLeaf().
  const NodeRef& leaf() const { return leaf_; }
  uint32_t index() const { return index_; }
  // Its id, or the root's while leaf() is null.
  NodeId leaf_id() const {
    return path_.empty() ? kRootNode : path_.back().node->child(path_.back().slot);
  }
  // Moves to the first item of the next non-empty leaf.
  absl::Status SkipLeaf();
  // Moves `items` further in the leaf, behind its last one to the next leaf. REQUIRES: Valid(), and
  // index() + items is at most the leaf's number of items.
  absl::Status Advance(uint32_t items);

  // The key range [low, high) that the current leaf is responsible for; no high means unbounded.
  std::string LeafLow() const;
  std::optional<std::string> LeafHigh() const;

 private:
  struct Step {
    NodeRef node;
    uint32_t slot;
  };

  void Enter(NodeRef leaf) {
    leaf_ = std::move(leaf);
    plain_end_ = leaf_->has_pending_deltas() ? 0 : static_cast<uint32_t>(leaf_->item_count());
    prefix_ready_ = false;
  }
  absl::StatusOr<NodeRef> ReadRoot();
  absl::StatusOr<NodeRef> ReadChild(const NodeRef& parent, uint32_t slot);
  // Goes down from `node` along first or last children and stops in a leaf.
  enum class Side { kFirst, kLast };
  absl::Status Descend(NodeRef node, Side side);
  // Moves to the neighbouring non-empty leaf; invalid if there is none.
  absl::Status NextLeaf();
  absl::Status PreviousLeaf();
  void Reset();

  NodeSource& source_;
  const TreeId tree_;
  absl::InlinedVector<Step, 6> path_;
  NodeRef leaf_;
  uint32_t index_ = 0;
  uint32_t plain_end_ = 0;     // items of a leaf without pending deltas, else 0
  bool prefix_ready_ = false;  // key_ begins with the image's prefix
  std::string key_;
  bool key_ready_ = false;
};

}  // namespace sop::btree
