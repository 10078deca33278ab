#include "core/btree/node/splice.h"

#include <algorithm>
#include <cstring>

#include "core/base/bytes.h"
#include "core/base/checksum.h"

namespace sop::btree {
namespace {

constexpr size_t kSlotSize = 8;

// Where an operation meets the slots of the leaf.
struct Edit {
  const DeltaOperation* operation = nullptr;
  uint32_t slot = 0;
  bool replaces = false;  // the item at `slot`; else it goes before it
};

bool Adds(const Edit& edit) { return edit.operation->kind == DeltaKind::kPut; }

// The slots and cells of the image that is being made. Confined to one thread.
class Splicer {
 public:
  Splicer(const NodeImage& node, uint32_t slots, const NodeImageBuilder::Stamps& stamps,
          size_t most_bytes)
      : node_(node) {
    out_.reserve(most_bytes);
    out_.resize(NodeImage::kHeaderSize + slots * kSlotSize);
    NodeImageBuilder::StoreHeader({node.kind(), node.level(), slots, node.prefix().size()}, stamps,
                                  &out_);
    out_.append(node.prefix());
  }

  // Slots [begin, end) of the node, as they are.
  void Copy(uint32_t begin, uint32_t end) {
    if (begin == end) return;
    const uint32_t from = node_.cell_offset(begin);
    const uint32_t to = node_.cell_offset(end);
    const auto shift = static_cast<uint32_t>(out_.size()) - from;
    for (uint32_t slot = begin; slot < end; ++slot) {
      Place(node_.cell_offset(slot) + shift, node_.head(slot));
    }
    out_.append(node_.bytes(), from, to - from);
  }

  void Add(std::string_view key, const ItemView& item) {
    NodeImageBuilder::AppendItem(PlaceNext(key), item, &out_);
  }
  void Add(std::string_view key, const ChildView& child) {
    NodeImageBuilder::AppendChild(PlaceNext(key), child, &out_);
  }

  std::string Finish() {
    base::StoreLittle32(out_.data() + 4, base::Checksum32(std::string_view(out_).substr(8)));
    return std::move(out_);
  }

 private:
  // Gives a slot to the cell that comes next and returns the suffix of its key.
  std::string_view PlaceNext(std::string_view key) {
    const std::string_view suffix = key.substr(node_.prefix().size());
    Place(static_cast<uint32_t>(out_.size()), NodeImageBuilder::HeadOf(suffix));
    return suffix;
  }

  void Place(uint32_t offset, uint32_t head) {
    char* const slot = out_.data() + NodeImage::kHeaderSize + next_++ * kSlotSize;
    base::StoreLittle32(slot, offset);
    base::StoreLittle32(slot + 4, head);
  }

  const NodeImage& node_;
  std::string out_;
  size_t next_ = 0;
};

}  // namespace

std::optional<std::string> SpliceLeaf(const NodeImage& leaf,
                                      std::span<const DeltaOperation* const> operations,
                                      const NodeImageBuilder::Stamps& stamps) {
  // The prefix stays what it is, so a leaf that mostly changes is better built anew.
  if (operations.size() > leaf.slots() || !leaf.cells_in_order()) return std::nullopt;
  std::vector<Edit> edits;
  edits.reserve(operations.size());
  size_t more_bytes = 0;
  size_t fewer_bytes = 0;
  uint32_t slots = leaf.slots();
  for (const DeltaOperation* operation : operations) {
    Edit edit{operation, 0, false};
    edit.slot = leaf.LowerBound(operation->key, &edit.replaces);
    if (edit.replaces) {
      --slots;
      fewer_bytes += leaf.cell_offset(edit.slot + 1) - leaf.cell_offset(edit.slot);
    }
    if (Adds(edit)) {
      if (!operation->key.starts_with(leaf.prefix())) return std::nullopt;
      ++slots;
      more_bytes += NodeImageBuilder::ItemCost(operation->key, operation->item);
    }
    edits.push_back(edit);
  }
  if (slots == 0) return std::nullopt;
  Splicer splicer(leaf, slots, stamps, leaf.size() + more_bytes - fewer_bytes);
  uint32_t copied = 0;
  for (const Edit& edit : edits) {
    splicer.Copy(copied, edit.slot);
    copied = edit.slot + (edit.replaces ? 1 : 0);
    if (Adds(edit)) splicer.Add(edit.operation->key, edit.operation->item);
  }
  splicer.Copy(copied, leaf.slots());
  return splicer.Finish();
}

std::optional<std::string> SpliceInner(const NodeImage& inner, std::span<const ChildLink> links,
                                       const NodeImageBuilder::Stamps& stamps) {
  if (inner.slots() < 2 || !inner.cells_in_order()) return std::nullopt;
  size_t more_bytes = 0;
  for (const ChildLink& link : links) {
    if (!link.key.starts_with(inner.prefix())) return std::nullopt;
    more_bytes += NodeImageBuilder::ChildCost(link.key);
  }
  const auto slots = inner.slots() + static_cast<uint32_t>(links.size());
  Splicer splicer(inner, slots, stamps, inner.size() + more_bytes);
  uint32_t copied = 0;
  for (const ChildLink& link : links) {
    splicer.Copy(copied, link.slot + 1);
    copied = link.slot + 1;
    splicer.Add(link.key, link.child);
  }
  splicer.Copy(copied, inner.slots());
  return splicer.Finish();
}

}  // namespace sop::btree
