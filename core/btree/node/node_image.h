#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/statusor.h"
#include "core/base/bytes.h"
#include "core/base/ids.h"
#include "core/btree/node/item.h"

namespace sop::btree {

enum class NodeKind : uint8_t {
  kLeaf = 1,     // keys with items
  kInner = 2,    // separators with children and their item counts
  kDamaged = 3,  // bytes that could not be understood, kept verbatim; see apply.h
};

// One child of an inner node: items with keys in [separator, next separator) are below `child`.
struct ChildView {
  NodeId child;
  uint64_t count = 0;  // items below it, as of the image's counts_sequence
};

// An immutable slotted page, searched in place: nothing is decoded. The layout is fixed by
// docs/formats/node.md: header, slots with a 4-byte key head, the keys' common prefix, heap.
//
// Invariants:
// 1. Keys ascend strictly.
// 2. Slot 0 of an inner node stands for minus infinity, whatever its stored key.
// Thread-safe: immutable.
class NodeImage {
 public:
  static constexpr size_t kHeaderSize = 40;

  // Checks checksum and the bounds of every cell. Total: any bytes give an image or DATA_LOSS
  // (kDamaged). A damaged image (NodeKind::kDamaged) gives DATA_LOSS too.
  static absl::StatusOr<std::shared_ptr<const NodeImage>> Parse(std::string bytes);

  // For bytes that a NodeImageBuilder has just made: no checks.
  static std::shared_ptr<const NodeImage> Adopt(std::string bytes);

  NodeKind kind() const { return kind_; }
  bool is_leaf() const { return kind() == NodeKind::kLeaf; }
  int level() const { return level_; }
  Sequence sequence() const { return Sequence{base::LoadLittle64(bytes_.data() + 8)}; }
  // Inner nodes: counts of children include every count record up to this sequence.
  Sequence counts_sequence() const { return Sequence{base::LoadLittle64(bytes_.data() + 16)}; }
  // Bytes of deltas applied since the image was last stored whole.
  uint32_t delta_bytes() const { return base::LoadLittle32(bytes_.data() + 24); }
  uint32_t slots() const { return slots_; }
  std::string_view prefix() const { return prefix_; }
  const std::string& bytes() const { return bytes_; }
  size_t size() const { return bytes_.size(); }

  // The key of `slot` without prefix().
  std::string_view suffix(uint32_t slot) const;
  std::string Key(uint32_t slot) const;
  void AssignKey(uint32_t slot, std::string* key) const;

  // REQUIRES: leaf.
  ItemView item(uint32_t slot) const {
    std::string_view key;
    ItemView item;
    Read(slot, &key, &item);
    return item;
  }
  // REQUIRES: leaf. suffix() and item() in one pass.
  void Read(uint32_t slot, std::string_view* suffix, ItemView* item) const {
    const char* p = cell(slot);
    uint64_t suffix_size;
    uint64_t payload_size;
    p = ReadVarint(p, &suffix_size);
    p = ReadVarint(p, &payload_size);
    *suffix = {p, suffix_size};
    p += suffix_size;
    const char* const end = p + payload_size;
    item->flags = static_cast<uint8_t>(p[0]);
    item->format = static_cast<uint8_t>(p[1]);
    item->version = Sequence{base::LoadLittle64(p + 2)};
    uint64_t ride_on_size;
    p = ReadVarint(p + kItemFixedSize, &ride_on_size);
    item->ride_on = {p, ride_on_size};
    p += ride_on_size;
    item->value = {p, static_cast<size_t>(end - p)};
  }
  // REQUIRES: inner.
  ChildView child(uint32_t slot) const;

  // Whether the cells lie in the order of their slots, without gaps: so they do in
  // what NodeImageBuilder makes.
  bool cells_in_order() const { return cells_in_order_; }
  // Where the cell of `slot` begins; for slots() where the image ends.
  uint32_t cell_offset(uint32_t slot) const {
    return slot == slots_ ? static_cast<uint32_t>(bytes_.size())
                          : base::LoadLittle32(bytes_.data() + kHeaderSize + slot * 8ULL);
  }
  // The first four bytes of the slot's suffix, as a number that orders like them.
  uint32_t head(uint32_t slot) const {
    return base::LoadLittle32(bytes_.data() + kHeaderSize + slot * 8ULL + 4);
  }

  // The first slot whose key is not below `key`, in [0, slots()]; `*exact` says whether it is
  // equal.
  uint32_t LowerBound(std::string_view key, bool* exact) const;
  // Hints to the processor: what LowerBound will read first, and the cell that it will find.
  void PrefetchHeads() const;
  void PrefetchCell(std::string_view key) const {
    bool exact;
    const uint32_t slot = LowerBound(key, &exact);
    if (slot < slots_) __builtin_prefetch(cell(slot));
  }

  // REQUIRES: inner with at least one slot. The slot whose child covers `key`.
  uint32_t ChildSlot(std::string_view key) const;

 private:
  friend class NodeImageBuilder;

  static constexpr size_t kItemFixedSize = 10;  // flags, format, version

  // Cells of our own making are well formed, so the fast path needs no bounds.
  static const char* ReadVarint(const char* p, uint64_t* v) {
    uint64_t result = static_cast<uint8_t>(*p++);
    if (result < 0x80) [[likely]] {
      *v = result;
      return p;
    }
    result &= 0x7f;
    for (int shift = 7;; shift += 7) {
      const uint64_t byte = static_cast<uint8_t>(*p++);
      result |= (byte & 0x7f) << shift;
      if (byte < 0x80) break;
    }
    *v = result;
    return p;
  }

  explicit NodeImage(std::string bytes);
  absl::Status CheckCells() const;
  bool FindCellsInOrder() const;
  const char* cell(uint32_t slot) const {
    return bytes_.data() + base::LoadLittle32(bytes_.data() + kHeaderSize + slot * 8ULL);
  }
  // Where the cell of `slot` ends.
  uint32_t CellEnd(uint32_t slot) const;
  // First slot in [first, slots()) not below `key`.
  uint32_t LowerBoundFrom(uint32_t first, std::string_view key, bool* exact) const;

  const std::string bytes_;
  // Copies of header fields: a look-up need not touch the header's cache line.
  NodeKind kind_ = NodeKind::kDamaged;
  uint8_t level_ = 0;
  bool cells_in_order_ = true;
  uint32_t slots_ = 0;
  std::string_view prefix_;
};

// Builds an image from entries in ascending key order. Two passes: entries are collected as views,
// then laid out once. The views must outlive Build. Confined to one thread.
class NodeImageBuilder {
 public:
  NodeImageBuilder(NodeKind kind, int level) : kind_(kind), level_(level) {}

  void AddItem(std::string_view key, const ItemView& item);
  void AddChild(std::string_view key, const ChildView& child);

  void Reserve(size_t entries) { entries_.reserve(entries); }
  size_t entries() const { return entries_.size(); }

  struct Stamps {
    Sequence sequence;
    Sequence counts_sequence;
    uint32_t delta_bytes = 0;
  };
  std::string Build(const Stamps& stamps) const;

  // Bytes that an entry adds to an image, prefix compression left out.
  static size_t ItemCost(std::string_view key, const ItemView& item);
  static size_t ChildCost(std::string_view key);

  // The parts that images are made of, for splice.h.
  static uint32_t HeadOf(std::string_view suffix);
  static void AppendItem(std::string_view suffix, const ItemView& item, std::string* out);
  static void AppendChild(std::string_view suffix, const ChildView& child, std::string* out);
  struct Shape {
    NodeKind kind = NodeKind::kLeaf;
    int level = 0;
    size_t slots = 0;
    size_t prefix_size = 0;
  };
  // Fills the header but for the checksum. REQUIRES: `*out` has room for it.
  static void StoreHeader(const Shape& shape, const Stamps& stamps, std::string* out);

 private:
  struct Entry {
    std::string_view key;
    ItemView item;
    ChildView child;
  };

  size_t PrefixSize() const;
  void AppendCell(const Entry& entry, size_t prefix_size, std::string* out) const;

  const NodeKind kind_;
  const int level_;
  std::vector<Entry> entries_;
};

}  // namespace sop::btree
