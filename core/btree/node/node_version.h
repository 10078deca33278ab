#pragma once

#include <array>
#include <atomic>
#include <cstdint>
#include <list>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "absl/container/inlined_vector.h"
#include "absl/status/statusor.h"
#include "core/base/ids.h"
#include "core/btree/node/delta.h"
#include "core/btree/node/node_image.h"

namespace sop::btree {

// A delta that sits on top of an image in memory, its operations resolved: only kPut (with the
// whole item, ride-on changes and counters worked out) and kErase. Immutable.
struct PendingDelta {
  std::string bytes;                // what `operations` point into
  std::list<std::string> resolved;  // items that had to be worked out
  PlacedOperations operations;      // ascending by key
  std::shared_ptr<const PendingDelta> older;
  // Bloom filter over the keys of the chain from here, two bits a key: most look-ups of a key that
  // no delta touches end here.
  std::array<uint64_t, 8> filter = {};
  int depth = 1;           // deltas in the chain from here
  size_t chain_bytes = 0;  // bytes of the chain from here
};

// How many items more are below the child at a slot.
struct SlotGrowth {
  uint32_t slot = 0;
  int64_t amount = 0;
};

// Item counts of the children of an inner node: a vector that versions share, and the few changes
// since, ascending by slot.
struct ChildCounts {
  static constexpr size_t kMaxChanges = 16;

  uint64_t at(uint32_t slot) const;

  std::shared_ptr<const std::vector<uint64_t>> base;
  absl::InlinedVector<SlotGrowth, kMaxChanges> changes;
};

// One version of one node as readers use it: an immutable base image and, for a leaf, a few pending
// deltas, newest first. Inner nodes are always whole images with the exact item count of every
// child beside them.
//
// Invariants:
// 1. At most kMaxPendingDeltas deltas; they never outgrow a share of the image.
// 2. item_count() is exact: items in a leaf, items below an inner node.
// Thread-safe: immutable (the order of a leaf with deltas is built once, on first use).
class NodeVersion {
 public:
  static constexpr int kMaxPendingDeltas = 16;

  // A node with no delta pending. For inner nodes the counts are those in the image.
  static std::shared_ptr<const NodeVersion> FromImage(std::shared_ptr<const NodeImage> image);

  // An inner node with these counts, one per slot.
  static std::shared_ptr<const NodeVersion> WithCounts(std::shared_ptr<const NodeImage> image,
                                                       std::vector<uint64_t> counts);

  // `inner` with other counts: `growth` ascends by slot, one entry a slot.
  static std::shared_ptr<const NodeVersion> Grown(const NodeVersion& inner,
                                                  std::span<const SlotGrowth> growth);

  // `leaf` with one more delta (kPut, kErase, kSetRideOn, kAdd only; encoded). Folds into a fresh
  // image when the chain is full. DATA_LOSS if the delta does not decode or does not fit.
  static absl::StatusOr<std::shared_ptr<const NodeVersion>> Extend(
      const std::shared_ptr<const NodeVersion>& leaf, std::string delta);
  // By what a delta makes a leaf larger.
  struct Growth {
    int64_t items = 0;
    int64_t bytes = 0;  // of the folded image, about

    // Counts that `key` gets `after` in place of `before`; null: no item.
    void Count(std::string_view key, const ItemView* before, const ItemView* after);
  };
  // The same for a delta just made, whose growth is known; `*bytes` becomes its encoding.
  static absl::StatusOr<std::shared_ptr<const NodeVersion>> Extend(
      const std::shared_ptr<const NodeVersion>& leaf, const DeltaView& delta, const Growth& growth,
      std::string* bytes);

  // `leaf` as a single fresh image that carries `delta_bytes`.
  static std::shared_ptr<const NodeVersion> Folded(const NodeVersion& leaf, uint32_t delta_bytes);

  ~NodeVersion();
  NodeVersion(const NodeVersion&) = delete;
  NodeVersion& operator=(const NodeVersion&) = delete;

  const NodeImage& image() const { return *image_; }
  const std::shared_ptr<const NodeImage>& shared_image() const { return image_; }
  bool has_pending_deltas() const { return deltas_ != nullptr; }
  // Not less than the size of the image that folding would give.
  size_t size_bound() const { return image_->size() + (deltas_ ? deltas_->chain_bytes : 0); }
  // The size of that image, about.
  size_t folded_bytes() const {
    return static_cast<size_t>(static_cast<int64_t>(image_->size()) + grown_bytes_);
  }
  bool is_leaf() const { return image_->is_leaf(); }
  int level() const { return image_->level(); }
  // The commit that last changed the node itself (counts of children apart).
  Sequence sequence() const { return sequence_; }
  uint64_t item_count() const { return item_count_; }
  // Bytes of deltas since the node was last stored whole, pending ones included.
  uint64_t delta_bytes() const { return delta_bytes_; }
  // Approximate memory, image included.
  size_t charge() const;

  // A hint to the processor: what a look-up reads before it reaches the image's bytes.
  void Prefetch() const {
    __builtin_prefetch(image_.get());
    if (deltas_ != nullptr) __builtin_prefetch(&deltas_->filter);
  }

  // --- Leaves ---

  // Fills `*item` (views that live as long as this version) and returns true if `key` is there.
  bool Find(std::string_view key, ItemView* item) const;

  // Items in key order, [0, item_count()).
  uint32_t LowerBound(std::string_view key, bool* exact) const;
  void AssignKey(uint32_t index, std::string* key) const;
  ItemView item(uint32_t index) const;
  // An item and its key in two parts, without a copy: shared prefix (may be empty) and rest.
  ItemView Entry(uint32_t index, std::string_view* prefix, std::string_view* rest) const {
    if (deltas_ != nullptr) {
      KeyParts(index, prefix, rest);
      return item(index);
    }
    *prefix = image_->prefix();
    ItemView entry;
    image_->Read(index, rest, &entry);
    return entry;
  }
  // The key in two parts, without a copy: shared prefix (may be empty) and rest.
  void KeyParts(uint32_t index, std::string_view* prefix, std::string_view* rest) const;

  // --- Inner nodes ---

  uint32_t children() const { return image_->slots(); }
  NodeId child(uint32_t slot) const { return image_->child(slot).child; }
  uint64_t child_count(uint32_t slot) const {
    return counts_ == nullptr ? image_->child(slot).count : counts_->at(slot);
  }
  // Of all children.
  std::vector<uint64_t> CopyCounts() const;
  // Items below the children in [0, end).
  uint64_t CountBefore(uint32_t end) const;
  // The child that item `rank` of this node is below, and its rank there; nothing if there are
  // fewer items.
  struct Place {
    uint32_t slot = 0;
    uint64_t rank = 0;
  };
  std::optional<Place> Locate(uint64_t rank) const;

 private:
  // Entry of a leaf that has deltas: a slot of the image, or an operation.
  struct OrderEntry {
    const DeltaOperation* operation = nullptr;
    uint32_t slot = 0;
  };
  using Order = std::vector<OrderEntry>;

  // Only this class can make one, so only it can call the constructor.
  struct Key {
    explicit Key() = default;
  };

 public:
  NodeVersion(Key key, std::shared_ptr<const NodeImage> image,
              std::shared_ptr<const PendingDelta> deltas);

 private:
  static absl::StatusOr<std::shared_ptr<const NodeVersion>> Push(
      const std::shared_ptr<const NodeVersion>& leaf, std::shared_ptr<PendingDelta> pending,
      Sequence sequence, const Growth* known_growth);
  static std::shared_ptr<NodeVersion> Make(std::shared_ptr<const NodeImage> image,
                                           std::shared_ptr<const PendingDelta> deltas);
  const Order& order() const;
  std::vector<const DeltaOperation*> NewestOperations() const;
  const DeltaOperation* FindPending(std::string_view key) const;

  // What look-ups read comes first, together.
  const std::shared_ptr<const NodeImage> image_;
  const std::shared_ptr<const PendingDelta> deltas_;
  Sequence sequence_;
  uint64_t item_count_ = 0;
  // Built by the first reader that needs it; the exchange in order() publishes, the acquire load
  // there pairs with it.
  mutable std::atomic<const Order*> order_{nullptr};
  uint64_t delta_bytes_ = 0;
  int64_t grown_bytes_ = 0;  // by which folding changes the size of the image
  // Inner: null for those of the image. Apart, because leaves are many and have none.
  std::unique_ptr<const ChildCounts> counts_;
};

using NodeRef = std::shared_ptr<const NodeVersion>;

}  // namespace sop::btree
