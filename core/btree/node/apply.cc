#include "core/btree/node/apply.h"

#include <algorithm>
#include <deque>
#include <utility>

#include "core/base/bytes.h"
#include "core/base/checksum.h"
#include "core/base/fault/seeded_bug.h"
#include "core/btree/node/delta.h"
#include "core/btree/node/node_image.h"
#include "core/btree/node/splice.h"

namespace sop::btree {
namespace {

constexpr uint8_t kDamagedFormat = 1;

// A node taken apart: entries in key order, as views into the image, the deltas and `owned`.
struct Entry {
  std::string_view key;
  ItemView item;
  ChildView child;
};

struct OpenNode {
  NodeKind kind = NodeKind::kLeaf;
  int level = 0;
  Sequence sequence;
  Sequence counts_sequence;
  uint32_t delta_bytes = 0;
  std::vector<Entry> entries;
  std::deque<std::string> owned;
};

OpenNode Open(const NodeImage& image) {
  OpenNode node;
  node.kind = image.kind();
  node.level = image.level();
  node.sequence = image.sequence();
  node.counts_sequence = image.counts_sequence();
  node.delta_bytes = image.delta_bytes();
  node.entries.resize(image.slots());
  for (uint32_t slot = 0; slot < image.slots(); ++slot) {
    node.owned.push_back(image.Key(slot));
    node.entries[slot].key = node.owned.back();
    if (image.is_leaf()) {
      node.entries[slot].item = image.item(slot);
    } else {
      node.entries[slot].child = image.child(slot);
    }
  }
  return node;
}

bool FitsKind(DeltaKind delta, NodeKind node) {
  switch (delta) {
    case DeltaKind::kPut:
    case DeltaKind::kErase:
    case DeltaKind::kSetRideOn:
    case DeltaKind::kAdd:
      return node == NodeKind::kLeaf;
    case DeltaKind::kLink:
    case DeltaKind::kUnlink:
    case DeltaKind::kCounts:
      return node == NodeKind::kInner;
    case DeltaKind::kCutFrom:
      return true;
  }
  return false;
}

bool AddToCounter(const DeltaOperation& operation, OpenNode* node, Entry* entry) {
  int64_t value = 0;
  if (entry->item.flags != 0) {
    if (entry->item.flags != kItemIsCounter || entry->item.value.size() != 8) return false;
    value = static_cast<int64_t>(base::LoadLittle64(entry->item.value.data()));
  }
  std::string bytes;
  base::AppendLittle64(&bytes,
                       static_cast<uint64_t>(value) + static_cast<uint64_t>(operation.amount));
  node->owned.push_back(std::move(bytes));
  entry->item.flags = kItemIsCounter;
  entry->item.version = operation.sequence;
  entry->item.value = node->owned.back();
  return true;
}

bool ApplyCounts(const DeltaOperation& operation, OpenNode* node) {
  for (Entry& entry : node->entries) {
    if (entry.child.child != operation.child) continue;
    entry.child.count += static_cast<uint64_t>(operation.amount);
    return true;
  }
  return false;
}

// Merges the operations, which ascend by key, into the entries in one pass.
bool ApplyKeyOperations(const DeltaView& delta, OpenNode* node) {
  std::vector<Entry> merged;
  merged.reserve(node->entries.size() + delta.operations.size());
  const bool inner = node->kind == NodeKind::kInner;
  size_t next = 0;
  const auto below = [&](size_t i, std::string_view key) {
    return i < node->entries.size() && ((inner && i == 0) || node->entries[i].key < key);
  };
  for (const DeltaOperation& operation : delta.operations) {
    while (below(next, operation.key)) merged.push_back(node->entries[next++]);
    const bool found = next < node->entries.size() && node->entries[next].key == operation.key;
    Entry entry = found ? node->entries[next] : Entry{};
    entry.key = operation.key;
    if (operation.kind == DeltaKind::kCutFrom) {
      if (base::HasSeededBug("cut_nothing")) break;
      next = node->entries.size();
      break;
    }
    if (found) ++next;
    switch (operation.kind) {
      case DeltaKind::kPut:
        entry.item = operation.item;
        break;
      case DeltaKind::kSetRideOn:
        if (!found) return false;
        entry.item.ride_on = operation.item.ride_on;
        entry.item.version = operation.sequence;
        break;
      case DeltaKind::kAdd:
        if (!AddToCounter(operation, node, &entry)) return false;
        break;
      case DeltaKind::kLink:
        entry.child = {operation.child, operation.count};
        break;
      default:  // kErase, kUnlink
        continue;
    }
    merged.push_back(entry);
  }
  merged.insert(merged.end(), node->entries.begin() + static_cast<ptrdiff_t>(next),
                node->entries.end());
  node->entries = std::move(merged);
  return true;
}

bool ApplyDelta(const DeltaView& delta, OpenNode* node) {
  for (const DeltaOperation& operation : delta.operations) {
    if (!FitsKind(operation.kind, node->kind)) return false;
  }
  if (!delta.operations.empty() && delta.operations.front().kind == DeltaKind::kCounts) {
    for (const DeltaOperation& operation : delta.operations) {
      if (!ApplyCounts(operation, node)) return false;
    }
    node->counts_sequence = delta.counts_sequence;
  } else if (!ApplyKeyOperations(delta, node)) {
    return false;
  }
  node->sequence = delta.sequence;
  return true;
}

std::string Close(const OpenNode& node) {
  NodeImageBuilder builder(node.kind, node.level);
  for (const Entry& entry : node.entries) {
    if (node.kind == NodeKind::kLeaf) {
      builder.AddItem(entry.key, entry.item);
    } else {
      builder.AddChild(entry.key, entry.child);
    }
  }
  return builder.Build({node.sequence, node.counts_sequence, node.delta_bytes});
}

std::string MakeDamagedImage(std::optional<std::string_view> image,
                             std::span<const std::string_view> deltas) {
  std::string out(NodeImage::kHeaderSize, '\0');
  out[0] = static_cast<char>(kDamagedFormat);
  out[1] = static_cast<char>(NodeKind::kDamaged);
  out.push_back(image.has_value() ? 1 : 0);
  base::AppendLengthPrefixed(&out, image.value_or(std::string_view()));
  base::AppendVarint(&out, deltas.size());
  for (const std::string_view delta : deltas) base::AppendLengthPrefixed(&out, delta);
  base::StoreLittle32(out.data() + 4, base::Checksum32(std::string_view(out).substr(8)));
  return out;
}

// The deltas newer than `image`, oldest first, decoded. False if one does not decode.
bool DecodeNewer(std::span<const std::string_view> deltas, Sequence sequence,
                 std::vector<DeltaView>* decoded, size_t* delta_bytes) {
  for (const std::string_view bytes : deltas) {
    auto delta = DecodeDelta(bytes);
    if (!delta.ok()) return false;
    if (delta->sequence <= sequence) continue;
    sequence = delta->sequence;
    *delta_bytes += bytes.size();
    decoded->push_back(*std::move(delta));
  }
  return true;
}

// What most deltas do: they put and erase items of a leaf, which then need not be taken apart.
// Nothing if they do something else.
std::optional<std::string> SpliceDeltas(const NodeImage& leaf, std::span<const DeltaView> deltas,
                                        size_t delta_bytes) {
  if (!leaf.is_leaf() || deltas.empty()) return std::nullopt;
  std::vector<const DeltaOperation*> operations;
  for (const DeltaView& delta : deltas) {
    for (const DeltaOperation& operation : delta.operations) {
      if (operation.kind != DeltaKind::kPut && operation.kind != DeltaKind::kErase) {
        return std::nullopt;
      }
      operations.push_back(&operation);
    }
  }
  // The newest of one key comes first among its equals and stays.
  std::reverse(operations.begin(), operations.end());
  std::stable_sort(
      operations.begin(), operations.end(),
      [](const DeltaOperation* a, const DeltaOperation* b) { return a->key < b->key; });
  const auto same = [](const DeltaOperation* a, const DeltaOperation* b) {
    return a->key == b->key;
  };
  operations.erase(std::unique(operations.begin(), operations.end(), same), operations.end());
  return SpliceLeaf(leaf, operations,
                    {deltas.back().sequence, leaf.counts_sequence(),
                     leaf.delta_bytes() + static_cast<uint32_t>(delta_bytes)});
}

}  // namespace

std::string Apply(std::optional<std::string_view> image, std::span<const std::string_view> deltas) {
  OpenNode node;
  std::shared_ptr<const NodeImage> parsed;
  if (image.has_value()) {
    auto result = NodeImage::Parse(std::string(*image));
    if (!result.ok()) return MakeDamagedImage(image, deltas);
    parsed = *std::move(result);
  }
  std::vector<DeltaView> newer;
  size_t delta_bytes = 0;
  const Sequence sequence = parsed == nullptr ? Sequence{} : parsed->sequence();
  if (!DecodeNewer(deltas, sequence, &newer, &delta_bytes)) return MakeDamagedImage(image, deltas);
  if (parsed != nullptr) {
    if (newer.empty()) return std::string(*image);
    auto spliced = SpliceDeltas(*parsed, newer, delta_bytes);
    if (spliced.has_value()) return *std::move(spliced);
    node = Open(*parsed);
  }
  for (const DeltaView& delta : newer) {
    if (!ApplyDelta(delta, &node)) return MakeDamagedImage(image, deltas);
  }
  node.delta_bytes += static_cast<uint32_t>(delta_bytes);
  return Close(node);
}

std::optional<DamagedContent> ReadDamagedImage(std::string_view bytes) {
  if (bytes.size() < NodeImage::kHeaderSize ||
      static_cast<NodeKind>(bytes[1]) != NodeKind::kDamaged) {
    return std::nullopt;
  }
  base::ByteReader reader(bytes.substr(NodeImage::kHeaderSize));
  uint8_t has_image;
  uint64_t count;
  std::string_view part;
  DamagedContent content;
  if (!reader.GetByte(&has_image) || !reader.GetLengthPrefixed(&part)) return std::nullopt;
  if (has_image != 0) content.image = std::string(part);
  if (!reader.GetVarint(&count)) return std::nullopt;
  while (count-- > 0 && reader.GetLengthPrefixed(&part)) content.deltas.emplace_back(part);
  if (reader.failed()) return std::nullopt;
  return content;
}

}  // namespace sop::btree
