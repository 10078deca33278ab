#include "core/btree/node/node_version.h"

#include <algorithm>
#include <cstring>
#include <numeric>
#include <utility>

#include "core/base/bytes.h"
#include "core/base/checksum.h"
#include "core/base/error.h"
#include "core/base/status_macros.h"
#include "core/btree/node/splice.h"

namespace sop::btree {
namespace {

// Deltas may hold this share of the image's bytes before they are folded into it.
constexpr size_t kPendingShare = 2;
constexpr size_t kPendingFloor = 4096;

const DeltaOperation* FindIn(const PendingDelta& delta, std::string_view key) {
  const auto it = std::lower_bound(
      delta.operations.begin(), delta.operations.end(), key,
      [](const DeltaOperation& operation, std::string_view k) { return operation.key < k; });
  return it != delta.operations.end() && it->key == key ? &*it : nullptr;
}

// The first eight bytes as a number that orders like them.
uint64_t HeadOf(std::string_view key) {
  if (key.size() >= 8) return base::LoadBig64(key.data());
  char padded[8] = {};
  if (!key.empty()) std::memcpy(padded, key.data(), key.size());
  return base::LoadBig64(padded);
}

using Filter = std::array<uint64_t, 8>;

// One of a key's two bits: word and place are the low nine bits of `hash`.
bool BitOf(const Filter& filter, uint64_t hash) {
  return (filter[hash & 7] >> (hash >> 3 & 63) & 1) != 0;
}

void AddTo(Filter* filter, std::string_view key) {
  const uint64_t hash = base::Checksum64(key);
  for (const uint64_t part : {hash, hash >> 32})
    (*filter)[part & 7] |= uint64_t{1} << (part >> 3 & 63);
}

bool MayHave(const Filter& filter, std::string_view key) {
  const uint64_t hash = base::Checksum64(key);
  return BitOf(filter, hash) && BitOf(filter, hash >> 32);
}

absl::Status DoesNotFit() { return Error(Reason::kDamaged, "node delta does not fit its node"); }

// Turns kSetRideOn and kAdd into the item that results.
absl::Status Resolve(const NodeVersion& leaf, PendingDelta* delta, DeltaOperation* operation) {
  ItemView before;
  const bool found = leaf.Find(operation->key, &before);
  ItemView& item = operation->item;
  if (operation->kind == DeltaKind::kSetRideOn) {
    if (!found) return DoesNotFit();
    const std::string_view ride_on = item.ride_on;
    delta->resolved.emplace_back(before.value);
    item = before;
    item.ride_on = ride_on;
    item.value = delta->resolved.back();
  } else {
    int64_t value = operation->amount;
    if (found) {
      if (before.flags != kItemIsCounter || before.value.size() != 8) return DoesNotFit();
      value = static_cast<int64_t>(base::LoadLittle64(before.value.data()) +
                                   static_cast<uint64_t>(operation->amount));
      delta->resolved.emplace_back(before.ride_on);
      item.ride_on = delta->resolved.back();
      item.format = before.format;
    }
    std::string bytes;
    base::AppendLittle64(&bytes, static_cast<uint64_t>(value));
    delta->resolved.push_back(std::move(bytes));
    item.flags = kItemIsCounter;
    item.value = delta->resolved.back();
  }
  item.version = operation->sequence;
  operation->kind = DeltaKind::kPut;
  return absl::OkStatus();
}

}  // namespace

uint64_t ChildCounts::at(uint32_t slot) const {
  uint64_t count = (*base)[slot];
  for (const SlotGrowth& change : changes) {
    if (change.slot == slot) count += static_cast<uint64_t>(change.amount);
  }
  return count;
}

NodeVersion::NodeVersion(Key /*key*/, std::shared_ptr<const NodeImage> image,
                         std::shared_ptr<const PendingDelta> deltas)
    : image_(std::move(image)), deltas_(std::move(deltas)) {
  sequence_ = image_->sequence();
  delta_bytes_ = image_->delta_bytes();
}

NodeVersion::~NodeVersion() { delete order_.load(std::memory_order_acquire); }

std::shared_ptr<NodeVersion> NodeVersion::Make(std::shared_ptr<const NodeImage> image,
                                               std::shared_ptr<const PendingDelta> deltas) {
  return std::make_shared<NodeVersion>(Key(), std::move(image), std::move(deltas));
}

NodeRef NodeVersion::FromImage(std::shared_ptr<const NodeImage> image) {
  auto version = Make(std::move(image), nullptr);
  if (version->is_leaf()) {
    version->item_count_ = version->image().slots();
  } else {
    version->item_count_ = version->CountBefore(version->children());
  }
  return version;
}

NodeRef NodeVersion::WithCounts(std::shared_ptr<const NodeImage> image,
                                std::vector<uint64_t> counts) {
  auto version = Make(std::move(image), nullptr);
  auto shared = std::make_shared<const std::vector<uint64_t>>(std::move(counts));
  version->counts_ = std::make_unique<const ChildCounts>(ChildCounts{std::move(shared), {}});
  version->item_count_ = version->CountBefore(version->children());
  return version;
}

NodeRef NodeVersion::Grown(const NodeVersion& inner, std::span<const SlotGrowth> growth) {
  auto version = Make(inner.image_, nullptr);
  version->sequence_ = inner.sequence_;
  version->item_count_ = inner.item_count_;
  ChildCounts counts;
  if (inner.counts_ != nullptr) counts = *inner.counts_;
  for (const SlotGrowth& change : growth) {
    version->item_count_ += static_cast<uint64_t>(change.amount);
    const auto at =
        std::lower_bound(counts.changes.begin(), counts.changes.end(), change.slot,
                         [](const SlotGrowth& known, uint32_t slot) { return known.slot < slot; });
    if (at != counts.changes.end() && at->slot == change.slot) {
      at->amount += change.amount;
    } else {
      counts.changes.insert(at, change);
    }
  }
  if (counts.base == nullptr || counts.changes.size() > ChildCounts::kMaxChanges) {
    std::vector<uint64_t> whole = inner.CopyCounts();
    for (const SlotGrowth& change : growth)
      whole[change.slot] += static_cast<uint64_t>(change.amount);
    counts.base = std::make_shared<const std::vector<uint64_t>>(std::move(whole));
    counts.changes.clear();
  }
  version->counts_ = std::make_unique<const ChildCounts>(std::move(counts));
  return version;
}

std::vector<uint64_t> NodeVersion::CopyCounts() const {
  std::vector<uint64_t> counts;
  if (counts_ == nullptr) {
    counts.reserve(children());
    for (uint32_t slot = 0; slot < children(); ++slot) counts.push_back(image_->child(slot).count);
    return counts;
  }
  counts = *counts_->base;
  for (const SlotGrowth& change : counts_->changes) {
    counts[change.slot] += static_cast<uint64_t>(change.amount);
  }
  return counts;
}

uint64_t NodeVersion::CountBefore(uint32_t end) const {
  uint64_t count = 0;
  if (counts_ == nullptr) {
    for (uint32_t slot = 0; slot < end; ++slot) count += image_->child(slot).count;
    return count;
  }
  for (uint32_t slot = 0; slot < end; ++slot) count += (*counts_->base)[slot];
  for (const SlotGrowth& change : counts_->changes) {
    if (change.slot < end) count += static_cast<uint64_t>(change.amount);
  }
  return count;
}

std::optional<NodeVersion::Place> NodeVersion::Locate(uint64_t rank) const {
  std::span<const SlotGrowth> changes;
  if (counts_ != nullptr) changes = counts_->changes;
  for (uint32_t slot = 0; slot < children(); ++slot) {
    uint64_t count = counts_ == nullptr ? image_->child(slot).count : (*counts_->base)[slot];
    if (!changes.empty() && changes.front().slot == slot) {
      count += static_cast<uint64_t>(changes.front().amount);
      changes = changes.subspan(1);
    }
    if (rank < count) return Place{slot, rank};
    rank -= count;
  }
  return std::nullopt;
}

absl::StatusOr<NodeRef> NodeVersion::Extend(const NodeRef& leaf, std::string delta) {
  auto pending = std::make_shared<PendingDelta>();
  pending->bytes = std::move(delta);
  SOP_ASSIGN_OR_RETURN(DeltaView view, DecodeDelta(pending->bytes));
  pending->operations.assign(view.operations.begin(), view.operations.end());
  return Push(leaf, std::move(pending), view.sequence, nullptr);
}

void NodeVersion::Growth::Count(std::string_view key, const ItemView* before,
                                const ItemView* after) {
  if (after != nullptr) bytes += static_cast<int64_t>(NodeImageBuilder::ItemCost(key, *after));
  if (before != nullptr) bytes -= static_cast<int64_t>(NodeImageBuilder::ItemCost(key, *before));
  items += static_cast<int64_t>(after != nullptr) - static_cast<int64_t>(before != nullptr);
}

absl::StatusOr<NodeRef> NodeVersion::Extend(const NodeRef& leaf, const DeltaView& delta,
                                            const Growth& growth, std::string* bytes) {
  auto pending = std::make_shared<PendingDelta>();
  EncodeDelta(delta, &pending->bytes, &pending->operations);
  *bytes = pending->bytes;
  return Push(leaf, std::move(pending), delta.sequence, &growth);
}

absl::StatusOr<NodeRef> NodeVersion::Push(const NodeRef& leaf,
                                          std::shared_ptr<PendingDelta> pending, Sequence sequence,
                                          const Growth* known_growth) {
  if (!leaf->is_leaf()) return DoesNotFit();
  if (sequence <= leaf->sequence()) return leaf;
  Growth growth;
  size_t resolved_bytes = 0;
  if (leaf->deltas_ != nullptr) pending->filter = leaf->deltas_->filter;
  for (DeltaOperation& operation : pending->operations) {
    AddTo(&pending->filter, operation.key);
    const bool erases = operation.kind == DeltaKind::kErase;
    const bool partial =
        operation.kind == DeltaKind::kSetRideOn || operation.kind == DeltaKind::kAdd;
    if (operation.kind != DeltaKind::kPut && !partial && !erases) return DoesNotFit();
    ItemView before;
    const bool found = known_growth == nullptr && leaf->Find(operation.key, &before);
    if (partial) {
      SOP_RETURN_IF_ERROR(Resolve(*leaf, pending.get(), &operation));
      resolved_bytes += operation.item.value.size();
    }
    growth.Count(operation.key, found ? &before : nullptr, erases ? nullptr : &operation.item);
  }
  if (known_growth != nullptr) growth = *known_growth;
  pending->older = leaf->deltas_;
  pending->depth = leaf->deltas_ ? leaf->deltas_->depth + 1 : 1;
  pending->chain_bytes = pending->bytes.size() + resolved_bytes +
                         pending->operations.size() * sizeof(DeltaOperation) +
                         (leaf->deltas_ ? leaf->deltas_->chain_bytes : 0);
  const uint64_t delta_bytes = leaf->delta_bytes_ + pending->bytes.size();
  const bool full =
      pending->depth > kMaxPendingDeltas ||
      pending->chain_bytes > std::max(kPendingFloor, leaf->image_->size() / kPendingShare);
  auto version = Make(leaf->image_, std::move(pending));
  version->sequence_ = sequence;
  version->item_count_ =
      static_cast<uint64_t>(static_cast<int64_t>(leaf->item_count_) + growth.items);
  version->grown_bytes_ = leaf->grown_bytes_ + growth.bytes;
  version->delta_bytes_ = delta_bytes;
  if (full) return Folded(*version, static_cast<uint32_t>(delta_bytes));
  return version;
}

NodeRef NodeVersion::Folded(const NodeVersion& leaf, uint32_t delta_bytes) {
  const NodeImageBuilder::Stamps stamps{leaf.sequence_, Sequence{0}, delta_bytes};
  if (leaf.deltas_ != nullptr) {
    auto spliced = SpliceLeaf(*leaf.image_, leaf.NewestOperations(), stamps);
    if (spliced.has_value()) return FromImage(NodeImage::Adopt(*std::move(spliced)));
  }
  NodeImageBuilder builder(NodeKind::kLeaf, 0);
  // Keys of the image lack its prefix: they are put together in one buffer, reserved so that it
  // does not move.
  std::string_view prefix;
  std::string_view rest;
  size_t key_bytes = 0;
  for (uint32_t index = 0; index < leaf.item_count_; ++index) {
    leaf.KeyParts(index, &prefix, &rest);
    key_bytes += prefix.size() + rest.size();
  }
  std::string keys;
  keys.reserve(key_bytes);
  builder.Reserve(leaf.item_count_);
  for (uint32_t index = 0; index < leaf.item_count_; ++index) {
    leaf.KeyParts(index, &prefix, &rest);
    const size_t begin = keys.size();
    keys.append(prefix).append(rest);
    builder.AddItem(std::string_view(keys).substr(begin), leaf.item(index));
  }
  return FromImage(NodeImage::Adopt(builder.Build(stamps)));
}

size_t NodeVersion::charge() const {
  return sizeof(NodeVersion) + 64 + image_->size() + (deltas_ ? deltas_->chain_bytes : 0) +
         (counts_ ? sizeof(ChildCounts) + counts_->base->size() * sizeof(uint64_t) : 0);
}

const DeltaOperation* NodeVersion::FindPending(std::string_view key) const {
  if (!MayHave(deltas_->filter, key)) return nullptr;
  for (const PendingDelta* delta = deltas_.get(); delta != nullptr; delta = delta->older.get()) {
    if (const DeltaOperation* operation = FindIn(*delta, key)) return operation;
  }
  return nullptr;
}

bool NodeVersion::Find(std::string_view key, ItemView* item) const {
  if (deltas_ != nullptr) {
    if (const DeltaOperation* operation = FindPending(key)) {
      if (operation->kind == DeltaKind::kErase) return false;
      *item = operation->item;
      return true;
    }
  }
  bool exact;
  const uint32_t slot = image_->LowerBound(key, &exact);
  if (exact) *item = image_->item(slot);
  return exact;
}

// The newest operation of every key that a delta touches, ascending by key.
std::vector<const DeltaOperation*> NodeVersion::NewestOperations() const {
  struct Place {
    uint64_t head;  // orders like the key as far as it goes
    const DeltaOperation* operation;
    int age;
  };
  absl::InlinedVector<Place, 48> places;
  int age = 0;
  for (const PendingDelta* delta = deltas_.get(); delta != nullptr; delta = delta->older.get()) {
    for (const DeltaOperation& operation : delta->operations) {
      places.push_back({HeadOf(operation.key), &operation, age});
    }
    ++age;
  }
  std::sort(places.begin(), places.end(), [](const Place& a, const Place& b) {
    if (a.head != b.head) return a.head < b.head;
    const int order = a.operation->key.compare(b.operation->key);
    return order != 0 ? order < 0 : a.age < b.age;
  });
  std::vector<const DeltaOperation*> newest;
  newest.reserve(places.size());
  for (const Place& place : places) {
    if (!newest.empty() && newest.back()->key == place.operation->key) continue;
    newest.push_back(place.operation);
  }
  return newest;
}

const NodeVersion::Order& NodeVersion::order() const {
  if (const Order* built = order_.load(std::memory_order_acquire)) return *built;
  auto order = std::make_unique<Order>();
  order->reserve(item_count_);
  uint32_t slot = 0;
  for (const DeltaOperation* operation : NewestOperations()) {
    bool exact;
    const uint32_t place = image_->LowerBound(operation->key, &exact);
    while (slot < place) order->push_back({nullptr, slot++});
    if (exact) ++slot;
    if (operation->kind == DeltaKind::kPut) order->push_back({operation, 0});
  }
  while (slot < image_->slots()) order->push_back({nullptr, slot++});
  const Order* expected = nullptr;
  if (order_.compare_exchange_strong(expected, order.get(), std::memory_order_acq_rel)) {
    return *order.release();
  }
  return *expected;
}

uint32_t NodeVersion::LowerBound(std::string_view key, bool* exact) const {
  if (deltas_ == nullptr) return image_->LowerBound(key, exact);
  const Order& entries = order();
  bool in_image;
  const uint32_t bound = image_->LowerBound(key, &in_image);
  const auto below = [&](const OrderEntry& entry, std::string_view k) {
    return entry.operation != nullptr ? entry.operation->key < k : entry.slot < bound;
  };
  const auto it = std::lower_bound(entries.begin(), entries.end(), key, below);
  *exact = it != entries.end() &&
           (it->operation != nullptr ? it->operation->key == key : in_image && it->slot == bound);
  return static_cast<uint32_t>(it - entries.begin());
}

void NodeVersion::AssignKey(uint32_t index, std::string* key) const {
  std::string_view prefix;
  std::string_view rest;
  KeyParts(index, &prefix, &rest);
  key->assign(prefix);
  key->append(rest);
}

void NodeVersion::KeyParts(uint32_t index, std::string_view* prefix, std::string_view* rest) const {
  uint32_t slot = index;
  if (deltas_ != nullptr) {
    const OrderEntry& entry = order()[index];
    if (entry.operation != nullptr) {
      *prefix = {};
      *rest = entry.operation->key;
      return;
    }
    slot = entry.slot;
  }
  *prefix = image_->prefix();
  *rest = image_->suffix(slot);
}

ItemView NodeVersion::item(uint32_t index) const {
  if (deltas_ == nullptr) return image_->item(index);
  const OrderEntry& entry = order()[index];
  return entry.operation != nullptr ? entry.operation->item : image_->item(entry.slot);
}

}  // namespace sop::btree
