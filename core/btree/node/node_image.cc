#include "core/btree/node/node_image.h"

#include <algorithm>

#include <fmt/format.h>

#include "core/base/checksum.h"
#include "core/base/error.h"
#include "core/base/status_macros.h"

namespace sop::btree {
namespace {

constexpr uint8_t kFormat = 1;
constexpr size_t kChildSize = 16;

absl::Status Damaged(std::string_view what) {
  return Error(Reason::kDamaged, fmt::format("node image is damaged: {}", what));
}

}  // namespace

std::string EncodeReference(const persistence::ValueReference& reference) {
  std::string out;
  base::AppendLittle64(&out, reference.value_id.value);
  base::AppendLittle64(&out, reference.checksum);
  base::AppendVarint(&out, reference.size);
  return out;
}

std::optional<persistence::ValueReference> DecodeReference(std::string_view bytes) {
  base::ByteReader reader(bytes);
  persistence::ValueReference reference;
  if (!reader.GetLittle64(&reference.value_id.value) || !reader.GetLittle64(&reference.checksum) ||
      !reader.GetVarint(&reference.size) || !reader.empty()) {
    return std::nullopt;
  }
  return reference;
}

NodeImage::NodeImage(std::string bytes)
    : bytes_(std::move(bytes)),
      kind_(static_cast<NodeKind>(bytes_[1])),
      level_(static_cast<uint8_t>(bytes_[2])) {
  slots_ = base::LoadLittle32(bytes_.data() + 28);
  const uint32_t prefix_size = base::LoadLittle32(bytes_.data() + 32);
  prefix_ = std::string_view(bytes_).substr(kHeaderSize + slots_ * 8ULL, prefix_size);
}

std::shared_ptr<const NodeImage> NodeImage::Adopt(std::string bytes) {
  return std::shared_ptr<const NodeImage>(new NodeImage(std::move(bytes)));
}

absl::StatusOr<std::shared_ptr<const NodeImage>> NodeImage::Parse(std::string bytes) {
  if (bytes.size() < kHeaderSize) return Damaged("shorter than its header");
  if (static_cast<uint8_t>(bytes[0]) != kFormat) {
    return Damaged(fmt::format("unknown format {}", static_cast<uint8_t>(bytes[0])));
  }
  const auto kind = static_cast<NodeKind>(bytes[1]);
  if (kind == NodeKind::kDamaged) return Damaged("marked when a delta did not fit it");
  if (kind != NodeKind::kLeaf && kind != NodeKind::kInner) return Damaged("unknown kind");
  const std::string_view body = std::string_view(bytes).substr(8);
  if (base::Checksum32(body) != base::LoadLittle32(bytes.data() + 4)) return Damaged("checksum");
  const uint64_t slots = base::LoadLittle32(bytes.data() + 28);
  const uint64_t prefix_size = base::LoadLittle32(bytes.data() + 32);
  if (kHeaderSize + slots * 8 + prefix_size > bytes.size()) return Damaged("slots out of bounds");
  std::shared_ptr<NodeImage> image(new NodeImage(std::move(bytes)));
  SOP_RETURN_IF_ERROR(image->CheckCells());
  image->cells_in_order_ = image->FindCellsInOrder();
  return image;
}

absl::Status NodeImage::CheckCells() const {
  const size_t heap = kHeaderSize + slots_ * 8ULL + prefix_.size();
  std::string_view previous;
  for (uint32_t slot = 0; slot < slots_; ++slot) {
    const uint32_t offset = base::LoadLittle32(bytes_.data() + kHeaderSize + slot * 8ULL);
    if (offset < heap || offset >= bytes_.size()) return Damaged("cell out of bounds");
    base::ByteReader reader(std::string_view(bytes_).substr(offset));
    std::string_view key_suffix;
    if (is_leaf()) {
      uint64_t suffix_size;
      uint64_t payload_size;
      std::string_view payload;
      std::string_view ride_on;
      if (!reader.GetVarint(&suffix_size) || !reader.GetVarint(&payload_size) ||
          !reader.GetBytes(suffix_size, &key_suffix) || !reader.GetBytes(payload_size, &payload) ||
          payload.size() < NodeImage::kItemFixedSize) {
        return Damaged("leaf cell");
      }
      base::ByteReader item_reader(payload.substr(NodeImage::kItemFixedSize));
      if (!item_reader.GetLengthPrefixed(&ride_on)) return Damaged("item");
    } else {
      std::string_view child;
      if (!reader.GetLengthPrefixed(&key_suffix) || !reader.GetBytes(kChildSize, &child)) {
        return Damaged("inner cell");
      }
    }
    if (NodeImageBuilder::HeadOf(key_suffix) != head(slot)) return Damaged("key head");
    if (slot > (is_leaf() ? 0U : 1U) && key_suffix <= previous) return Damaged("key order");
    previous = key_suffix;
  }
  return absl::OkStatus();
}

uint32_t NodeImage::CellEnd(uint32_t slot) const {
  uint64_t suffix_size;
  uint64_t payload_size = kChildSize;
  const char* p = ReadVarint(cell(slot), &suffix_size);
  if (is_leaf()) p = ReadVarint(p, &payload_size);
  return static_cast<uint32_t>(p - bytes_.data() +
                               static_cast<ptrdiff_t>(suffix_size + payload_size));
}

bool NodeImage::FindCellsInOrder() const {
  if (slots_ == 0) return true;
  if (cell_offset(0) != kHeaderSize + slots_ * 8ULL + prefix_.size()) return false;
  for (uint32_t slot = 0; slot < slots_; ++slot) {
    if (CellEnd(slot) != cell_offset(slot + 1)) return false;
  }
  return true;
}

std::string_view NodeImage::suffix(uint32_t slot) const {
  const char* p = cell(slot);
  uint64_t size;
  p = ReadVarint(p, &size);
  if (is_leaf()) {
    uint64_t payload_size;
    p = ReadVarint(p, &payload_size);
  }
  return {p, size};
}

std::string NodeImage::Key(uint32_t slot) const {
  std::string key;
  AssignKey(slot, &key);
  return key;
}

void NodeImage::AssignKey(uint32_t slot, std::string* key) const {
  key->clear();
  if (slot == 0 && !is_leaf()) return;
  key->append(prefix_);
  key->append(suffix(slot));
}

ChildView NodeImage::child(uint32_t slot) const {
  const char* p = cell(slot);
  uint64_t suffix_size;
  p = ReadVarint(p, &suffix_size) + suffix_size;
  return {NodeId{base::LoadLittle64(p)}, base::LoadLittle64(p + 8)};
}

void NodeImage::PrefetchHeads() const {
  // Where the first three steps of a binary search may look: one wait for memory instead of three.
  constexpr uint32_t kParts = 8;
  if (slots_ < kParts * kParts) return;
  const char* const heads = bytes_.data() + kHeaderSize;
  for (uint32_t part = 1; part < kParts; ++part) {
    __builtin_prefetch(heads + slots_ / kParts * part * 8ULL);
  }
}

uint32_t NodeImage::LowerBoundFrom(uint32_t first, std::string_view key, bool* exact) const {
  *exact = false;
  const size_t shared = std::min(prefix_.size(), key.size());
  // An empty view may be null, which memcmp is not to be given even for no bytes.
  const int against_prefix = shared == 0 ? 0 : std::memcmp(key.data(), prefix_.data(), shared);
  if (against_prefix < 0 || (against_prefix == 0 && key.size() < prefix_.size())) return first;
  if (against_prefix > 0) return slots_;
  key.remove_prefix(prefix_.size());
  const uint32_t key_head = NodeImageBuilder::HeadOf(key);
  uint32_t low = first;
  uint32_t high = slots_;
  PrefetchHeads();
  while (low < high) {
    const uint32_t middle = (low + high) / 2;
    const uint32_t middle_head = head(middle);
    int order;
    if (middle_head != key_head) {
      order = middle_head < key_head ? -1 : 1;
    } else {
      order = suffix(middle).compare(key);
    }
    if (order == 0) {
      *exact = true;
      return middle;
    }
    if (order < 0) {
      low = middle + 1;
    } else {
      high = middle;
    }
  }
  return low;
}

uint32_t NodeImage::LowerBound(std::string_view key, bool* exact) const {
  return LowerBoundFrom(0, key, exact);
}

uint32_t NodeImage::ChildSlot(std::string_view key) const {
  bool exact;
  const uint32_t slot = LowerBoundFrom(1, key, &exact);
  return exact ? slot : slot - 1;
}

// The first four bytes of a suffix as a number that orders like them; short ones are padded with 0.
uint32_t NodeImageBuilder::HeadOf(std::string_view suffix) {
  if (suffix.size() >= 4) return base::LoadBig32(suffix.data());
  uint32_t head = 0;
  for (size_t i = 0; i < 4; ++i) {
    head = (head << 8) | (i < suffix.size() ? static_cast<uint8_t>(suffix[i]) : 0);
  }
  return head;
}

void NodeImageBuilder::AddItem(std::string_view key, const ItemView& item) {
  entries_.push_back({key, item, {}});
}

void NodeImageBuilder::AddChild(std::string_view key, const ChildView& child) {
  // Slot 0 is minus infinity and must not shorten the prefix of the others.
  entries_.push_back({entries_.empty() ? std::string_view() : key, {}, child});
}

size_t NodeImageBuilder::PrefixSize() const {
  const size_t first = kind_ == NodeKind::kInner ? 1 : 0;
  if (entries_.size() <= first) return 0;
  return base::CommonPrefix(entries_[first].key, entries_.back().key);
}

size_t NodeImageBuilder::ItemCost(std::string_view key, const ItemView& item) {
  return 8 + key.size() + NodeImage::kItemFixedSize + item.ride_on.size() + item.value.size() + 6;
}

size_t NodeImageBuilder::ChildCost(std::string_view key) { return 8 + 2 + key.size() + kChildSize; }

void NodeImageBuilder::AppendCell(const Entry& entry, size_t prefix_size, std::string* out) const {
  const std::string_view suffix = entry.key.substr(std::min(prefix_size, entry.key.size()));
  if (kind_ == NodeKind::kLeaf) {
    AppendItem(suffix, entry.item, out);
    return;
  }
  AppendChild(suffix, entry.child, out);
}

void NodeImageBuilder::AppendChild(std::string_view suffix, const ChildView& child,
                                   std::string* out) {
  base::AppendLengthPrefixed(out, suffix);
  base::AppendLittle64(out, child.child.value);
  base::AppendLittle64(out, child.count);
}

void NodeImageBuilder::AppendItem(std::string_view suffix, const ItemView& item, std::string* out) {
  base::AppendVarint(out, suffix.size());
  base::AppendVarint(out, NodeImage::kItemFixedSize + base::VarintSize(item.ride_on.size()) +
                              item.ride_on.size() + item.value.size());
  out->append(suffix);
  out->push_back(static_cast<char>(item.flags));
  out->push_back(static_cast<char>(item.format));
  base::AppendLittle64(out, item.version.value);
  base::AppendLengthPrefixed(out, item.ride_on);
  out->append(item.value);
}

void NodeImageBuilder::StoreHeader(const Shape& shape, const Stamps& stamps, std::string* out) {
  char* const header = out->data();
  header[0] = static_cast<char>(kFormat);
  header[1] = static_cast<char>(shape.kind);
  header[2] = static_cast<char>(shape.level);
  base::StoreLittle64(header + 8, stamps.sequence.value);
  base::StoreLittle64(header + 16, stamps.counts_sequence.value);
  base::StoreLittle32(header + 24, stamps.delta_bytes);
  base::StoreLittle32(header + 28, static_cast<uint32_t>(shape.slots));
  base::StoreLittle32(header + 32, static_cast<uint32_t>(shape.prefix_size));
}

std::string NodeImageBuilder::Build(const Stamps& stamps) const {
  const size_t prefix_size = PrefixSize();
  const size_t heap = NodeImage::kHeaderSize + entries_.size() * 8 + prefix_size;
  size_t estimate = heap;
  for (const Entry& entry : entries_) {
    estimate += kind_ == NodeKind::kInner ? ChildCost(entry.key) : ItemCost(entry.key, entry.item);
  }
  std::string out;
  out.reserve(estimate);
  out.resize(NodeImage::kHeaderSize + entries_.size() * 8);
  StoreHeader({kind_, level_, entries_.size(), prefix_size}, stamps, &out);
  if (prefix_size > 0) out.append(entries_.back().key.substr(0, prefix_size));
  for (size_t i = 0; i < entries_.size(); ++i) {
    const std::string_view key = entries_[i].key;
    char* const slot = out.data() + NodeImage::kHeaderSize + i * 8;
    base::StoreLittle32(slot, static_cast<uint32_t>(out.size()));
    base::StoreLittle32(slot + 4, HeadOf(key.substr(std::min(prefix_size, key.size()))));
    AppendCell(entries_[i], prefix_size, &out);
  }
  base::StoreLittle32(out.data() + 4, base::Checksum32(std::string_view(out).substr(8)));
  return out;
}

}  // namespace sop::btree
