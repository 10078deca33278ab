#include "core/txn/transaction.h"

#include <algorithm>
#include <utility>

#include <fmt/format.h>

#include "core/base/bytes.h"
#include "core/base/check.h"
#include "core/base/error.h"
#include "core/base/status_macros.h"
#include "core/btree/tree.h"
#include "core/txn/value/value_pieces.h"

namespace sop::txn {
namespace {

constexpr size_t kLateSize = 8;

// Until the committer knows better, a late field is larger than every number it will give.
void FillPlaceholder(std::optional<uint32_t> offset, std::string* bytes) {
  if (offset.has_value() && *offset + kLateSize <= bytes->size()) {
    bytes->replace(*offset, kLateSize, kLateSize, '\xff');
  }
}

// What a read set may take without asking.
constexpr size_t kFirstReadSetBytes = size_t{32} << 10;

btree::Item ItemFor(ReadMode mode, btree::ItemView item) {
  if (mode == ReadMode::kKeyOnly && !item.is_reference()) item.value = {};
  return btree::Item(item);
}

bool InRange(std::string_view key, std::string_view end) { return end.empty() || key < end; }

}  // namespace

Transaction::Transaction(TransactionId id, const TransactionOptions& options,
                         std::shared_ptr<const Snapshot> snapshot,
                         std::unique_ptr<SpillSpace> spill, const Limits& limits)
    : id_(id),
      options_(options),
      read_version_(snapshot->sequence()),
      snapshot_(std::move(snapshot)),
      spill_(std::move(spill)),
      limits_(limits),
      read_set_(std::min(limits.read_set_bytes, kFirstReadSetBytes)),
      read_charge_(spill_->charge().Another()) {}

Transaction::~Transaction() = default;

TreeSlot Transaction::OpenTree(TreeId tree, const TreeOptions& options) {
  for (size_t i = 0; i < trees_.size(); ++i) {
    if (trees_[i]->id == tree) return TreeSlot{static_cast<int>(i)};
  }
  trees_.push_back(std::make_unique<Tree>(tree, options, *spill_));
  return TreeSlot{static_cast<int>(trees_.size() - 1)};
}

TreeSlot Transaction::ProvisionalTree(const TreeOptions& options) {
  trees_.push_back(std::make_unique<Tree>(std::nullopt, options, *spill_));
  return TreeSlot{static_cast<int>(trees_.size() - 1)};
}

std::optional<TreeId> Transaction::tree_id(TreeSlot slot) const { return at(slot).id; }

bool Transaction::Tracks(Tracking tracking) const {
  return tracking == Tracking::kTracked && options_.mode == Mode::kReadWrite &&
         options_.isolation == Isolation::kSerializable;
}

absl::Status Transaction::CoarsenIfNeeded() {
  while (read_set_.over_budget()) {
    const size_t has = read_set_.budget_bytes();
    const size_t more = std::min(has, limits_.read_set_bytes - has);
    if (more == 0 || !read_charge_.Grow(static_cast<int64_t>(more))) break;
    read_set_.SetBudget(has + more);
  }
  if (!read_set_.over_budget()) return absl::OkStatus();
  const auto leaf_range = [this](int tree, std::string_view key) -> absl::StatusOr<KeyRange> {
    const auto id = trees_[static_cast<size_t>(tree)]->id;
    if (!id.has_value()) return KeyRange{};
    SnapshotSource source(*snapshot_);
    btree::Cursor cursor(source, *id);
    SOP_RETURN_IF_ERROR(cursor.SeekToLeaf(key));
    if (cursor.leaf() == nullptr) return KeyRange{};
    return KeyRange{cursor.LeafLow(), cursor.LeafHigh().value_or(std::string())};
  };
  return read_set_.Coarsen(leaf_range);
}

absl::StatusOr<std::optional<btree::Item>> Transaction::GetBase(const Tree& tree,
                                                                std::string_view key,
                                                                ReadMode mode) const {
  if (!tree.id.has_value()) return std::nullopt;
  SnapshotSource source(*snapshot_);
  SOP_ASSIGN_OR_RETURN(const auto found, btree::Find(source, *tree.id, key));
  if (!found.has_value()) return std::nullopt;
  return ItemFor(mode, found->item);
}

absl::StatusOr<std::optional<btree::Item>> Transaction::Get(TreeSlot slot, std::string_view key,
                                                            ReadMode mode, Tracking tracking) {
  const Tree& tree = at(slot);
  std::optional<std::string> payload;
  OwnWrite own;
  if (!tree.overlay.empty()) {
    SOP_ASSIGN_OR_RETURN(payload, tree.overlay.Find(key));
    if (payload.has_value()) {
      SOP_ASSIGN_OR_RETURN(own, DecodeOwnWrite(*payload));
      if (own.kind == OwnWriteKind::kPut || own.kind == OwnWriteKind::kErase) {
        return ApplyOwnWrite(own, nullptr);
      }
    }
  }
  if (Tracks(tracking)) {
    read_set_.AddPoint(slot.index, key, mode);
    SOP_RETURN_IF_ERROR(CoarsenIfNeeded());
  }
  if (!payload.has_value()) return GetBase(tree, key, mode);
  SOP_ASSIGN_OR_RETURN(std::optional<btree::Item> item, GetBase(tree, key));
  return ApplyOwnWrite(own, item.has_value() ? &*item : nullptr);
}

absl::Status Transaction::GetAll(TreeSlot slot, std::span<const std::string_view> keys,
                                 ReadMode mode, std::vector<std::optional<btree::Item>>* items) {
  const Tree& tree = at(slot);
  items->assign(keys.size(), std::nullopt);
  // Own writes are few, or the reads are not what takes the time.
  if (!tree.overlay.empty() || keys.size() == 1) {
    for (size_t i = 0; i < keys.size(); ++i) {
      SOP_ASSIGN_OR_RETURN((*items)[i], Get(slot, keys[i], mode));
    }
    return absl::OkStatus();
  }
  if (Tracks(Tracking::kTracked)) {
    for (const std::string_view key : keys) read_set_.AddPoint(slot.index, key, mode);
    SOP_RETURN_IF_ERROR(CoarsenIfNeeded());
  }
  if (!tree.id.has_value()) return absl::OkStatus();
  SnapshotSource source(*snapshot_);
  std::vector<std::optional<btree::FoundItem>> found(keys.size());
  SOP_RETURN_IF_ERROR(btree::FindAll(source, *tree.id, keys, found.data()));
  for (size_t i = 0; i < keys.size(); ++i) {
    if (found[i].has_value()) (*items)[i] = ItemFor(mode, found[i]->item);
  }
  return absl::OkStatus();
}

absl::StatusOr<int64_t> Transaction::OwnGrowth(TreeSlot slot, std::string_view begin,
                                               std::string_view end) {
  Tree& tree = at(slot);
  int64_t growth = 0;
  Overlay::Iterator own(tree.overlay);
  for (own.Seek(begin); own.Valid() && InRange(own.key(), end); own.Next()) {
    SOP_ASSIGN_OR_RETURN(const OwnWrite write, DecodeOwnWrite(own.payload()));
    const bool there_after = write.kind != OwnWriteKind::kErase;
    if (write.kind == OwnWriteKind::kPut && write.change == ChangeKind::kValueOnly) continue;
    if (write.kind == OwnWriteKind::kSetRideOn) continue;
    // Whether the key was there decides what this transaction is told.
    if (Tracks(Tracking::kTracked)) {
      read_set_.AddPoint(slot.index, own.key(), ReadMode::kKeyOnly);
    }
    SOP_ASSIGN_OR_RETURN(const auto before, GetBase(tree, own.key()));
    growth += static_cast<int64_t>(there_after) - static_cast<int64_t>(before.has_value());
  }
  SOP_RETURN_IF_ERROR(own.status());
  SOP_RETURN_IF_ERROR(CoarsenIfNeeded());
  return growth;
}

absl::StatusOr<uint64_t> Transaction::Count(TreeSlot slot, std::string_view begin,
                                            std::string_view end) {
  const Tree& tree = at(slot);
  uint64_t count = 0;
  if (tree.id.has_value()) {
    SnapshotSource source(*snapshot_);
    SOP_ASSIGN_OR_RETURN(count, btree::CountRange(source, *tree.id, begin, end));
  }
  if (Tracks(Tracking::kTracked)) {
    read_set_.AddCount(slot.index, begin, end, count);
    SOP_RETURN_IF_ERROR(CoarsenIfNeeded());
  }
  if (tree.overlay.empty()) return count;
  SOP_ASSIGN_OR_RETURN(const int64_t growth, OwnGrowth(slot, begin, end));
  return static_cast<uint64_t>(static_cast<int64_t>(count) + growth);
}

absl::Status Transaction::LoadValue(TreeSlot slot, btree::Item* item) const {
  if ((item->flags & btree::kItemValueIsReference) == 0) return absl::OkStatus();
  const TreeId tree = at(slot).id.value_or(TreeId{});
  const auto reference = btree::DecodeReference(item->value);
  if (!reference.has_value()) return Error(Reason::kDamaged, "value reference is damaged");
  auto value =
      ReadWhole(*reference, [&](uint64_t i) { return ReadPiece(at(slot), *reference, i); });
  if (!value.ok()) return snapshot_->Noted(value.status(), tree);
  item->value = *std::move(value);
  item->flags &= static_cast<uint8_t>(~btree::kItemValueIsReference);
  return absl::OkStatus();
}

absl::StatusOr<std::optional<std::string>> Transaction::ReadPiece(
    const Tree& tree, const persistence::ValueReference& value, uint64_t i) const {
  const auto own = staged_values_.find(value.value_id);
  if (own != staged_values_.end()) return own->second->ReadPiece(i);
  return snapshot_->ReadValue(tree.id.value_or(TreeId{}), value.piece(i));
}

absl::StatusOr<std::string> Transaction::LoadPiece(TreeSlot slot,
                                                   const persistence::ValueReference& value,
                                                   uint64_t i) const {
  SOP_ASSIGN_OR_RETURN(std::optional<std::string> piece, ReadPiece(at(slot), value, i));
  if (piece.has_value() && piece->size() == value.piece_size(i)) return *std::move(piece);
  return snapshot_->Noted(PieceDamaged(value), at(slot).id.value_or(TreeId{}));
}

absl::Status Transaction::CheckWritable(uint64_t bytes) const {
  if (options_.mode == Mode::kReadOnly) {
    return Error(Reason::kReadOnlyTransaction,
                 fmt::format("transaction {} is read-only", id_.ToString()));
  }
  if (write_count_ >= limits_.transaction_writes) {
    return Error(Reason::kLimitExceeded,
                 fmt::format("transaction {} holds {} writes, the limit is {}", id_.ToString(),
                             write_count_, limits_.transaction_writes),
                 {{"limit", fmt::format("{}", limits_.transaction_writes)},
                  {"limit_name", "transaction_writes"}});
  }
  if (write_bytes_ + bytes > limits_.transaction_bytes) {
    return Error(Reason::kLimitExceeded,
                 fmt::format("transaction {} would hold {} bytes of writes, the limit is {}",
                             id_.ToString(), write_bytes_ + bytes, limits_.transaction_bytes),
                 {{"limit", fmt::format("{}", limits_.transaction_bytes)},
                  {"limit_name", "transaction_bytes"}});
  }
  return absl::OkStatus();
}

absl::Status Transaction::CheckStaged(const Tree& tree, const StagedValue& value) const {
  SOP_CHECK(value.sealed());
  if (tree.id != value.tree()) {
    return Error(Reason::kInternal,
                 fmt::format("a value staged for tree {} is put into another", value.tree().value));
  }
  if (staged_values_.size() < limits_.staged_values) return absl::OkStatus();
  return Error(
      Reason::kLimitExceeded,
      fmt::format("transaction {} refers to {} values above {} bytes, the limit is {}",
                  id_.ToString(), staged_values_.size(), persistence::kMaxWholeValueBytes,
                  limits_.staged_values),
      {{"limit", fmt::format("{}", limits_.staged_values)}, {"limit_name", "staged_values"}});
}

// What is left of the key by `before`, which has it in the overlay, with `write` on top.
absl::StatusOr<std::optional<btree::Item>> Transaction::Join(TreeSlot slot, std::string_view key,
                                                             const OwnWrite& before,
                                                             const OwnWrite& write) {
  std::optional<btree::Item> base;
  if (before.kind == OwnWriteKind::kSetRideOn || before.kind == OwnWriteKind::kAdd) {
    if (Tracks(Tracking::kTracked)) {
      read_set_.AddPoint(slot.index, key, ReadMode::kItem);
      SOP_RETURN_IF_ERROR(CoarsenIfNeeded());
    }
    SOP_ASSIGN_OR_RETURN(base, GetBase(at(slot), key));
  }
  SOP_ASSIGN_OR_RETURN(const auto item, ApplyOwnWrite(before, base.has_value() ? &*base : nullptr));
  return ApplyOwnWrite(write, item.has_value() ? &*item : nullptr);
}

// Joins what the transaction meant to do to the key before with what it means to do now.
absl::Status Transaction::Write(TreeSlot slot, std::string_view key, OwnWrite write) {
  SOP_RETURN_IF_ERROR(CheckWritable(key.size() + write.value.size() + write.ride_on.size()));
  ++generation_;
  Overlay& overlay = at(slot).overlay;
  std::optional<std::string> payload;
  std::optional<btree::Item> joined;
  if (!overlay.empty()) {
    SOP_ASSIGN_OR_RETURN(payload, overlay.Find(key));
  }
  if (payload.has_value()) {
    SOP_ASSIGN_OR_RETURN(const OwnWrite before, DecodeOwnWrite(*payload));
    const bool partial = write.kind == OwnWriteKind::kSetRideOn || write.kind == OwnWriteKind::kAdd;
    if (partial && before.kind == OwnWriteKind::kAdd && write.kind == OwnWriteKind::kAdd) {
      write.amount = static_cast<int64_t>(static_cast<uint64_t>(write.amount) +
                                          static_cast<uint64_t>(before.amount));
    } else if (partial && before.kind != write.kind) {
      SOP_ASSIGN_OR_RETURN(joined, Join(slot, key, before, write));
      // Ride-on bytes of a key that this transaction erased: still erased.
      if (!joined.has_value()) return absl::OkStatus();
      write.kind = OwnWriteKind::kPut;
      write.format = joined->format;
      write.ride_on = joined->ride_on;
      write.value = joined->value;
      write.out_of_node = before.out_of_node;
      write.staged = before.staged;
      write.counter = (joined->flags & btree::kItemIsCounter) != 0;
      write.late_key_offset = before.late_key_offset;
      write.late_value_offset = before.late_value_offset;
    }
    if (before.staged && write.value != before.value) {
      const auto given_up = btree::DecodeReference(before.value);
      if (given_up.has_value()) staged_values_.erase(given_up->value_id);
    }
    if (before.change == ChangeKind::kStructural) write.change = ChangeKind::kStructural;
  } else {
    ++write_count_;
  }
  only_erases_ = only_erases_ && write.kind == OwnWriteKind::kErase;
  write_bytes_ += key.size() + write.value.size() + write.ride_on.size();
  EncodeOwnWrite(write, &payload_);
  absl::Status status = overlay.Put(key, payload_);
  if (!status.ok()) write_failure_ = status;
  return status;
}

absl::Status Transaction::Put(TreeSlot slot, std::string_view key, const ItemWrite& item,
                              ChangeKind change) {
  OwnWrite write;
  write.change = change;
  write.format = item.format;
  write.ride_on = item.ride_on;
  if (item.staged != nullptr) {
    SOP_RETURN_IF_ERROR(CheckStaged(at(slot), *item.staged));
    const persistence::ValueReference& reference = item.staged->reference();
    const std::string encoded = btree::EncodeReference(reference);
    write.staged = true;
    write.value = encoded;
    // Kept first: a write that failed on its way to a file may be there.
    const bool is_first = staged_values_.try_emplace(reference.value_id, item.staged).second;
    const absl::Status status = Write(slot, key, write);
    if (!status.ok() && write_failure_.ok() && is_first) staged_values_.erase(reference.value_id);
    return status;
  }
  write.value = item.value;
  write.out_of_node = item.placement == Placement::kOutOfNode;
  if (!item.late_key_offset.has_value() && !item.late_value_offset.has_value()) {
    return Write(slot, key, write);
  }
  std::string late_key(key);
  std::string late_value(item.value);
  FillPlaceholder(item.late_key_offset, &late_key);
  FillPlaceholder(item.late_value_offset, &late_value);
  write.value = late_value;
  write.late_key_offset = item.late_key_offset;
  write.late_value_offset = item.late_value_offset;
  // Two late keys of one transaction must not meet in the overlay: the placeholder ends in a number
  // of its own.
  if (item.late_key_offset.has_value() && *item.late_key_offset + kLateSize <= late_key.size()) {
    const uint32_t number = late_keys_++;
    for (int i = 0; i < 4; ++i) {
      late_key[*item.late_key_offset + 4 + static_cast<size_t>(i)] =
          static_cast<char>(number >> (24 - 8 * i));
    }
  }
  return Write(slot, late_key, write);
}

absl::Status Transaction::Erase(TreeSlot slot, std::string_view key) {
  OwnWrite write;
  write.kind = OwnWriteKind::kErase;
  return Write(slot, key, write);
}

absl::Status Transaction::SetRideOn(TreeSlot slot, std::string_view key, std::string_view ride_on) {
  OwnWrite write;
  write.kind = OwnWriteKind::kSetRideOn;
  write.ride_on = ride_on;
  return Write(slot, key, write);
}

absl::Status Transaction::Add(TreeSlot slot, std::string_view key, int64_t amount) {
  OwnWrite write;
  write.kind = OwnWriteKind::kAdd;
  write.amount = amount;
  return Write(slot, key, write);
}

void Transaction::Unbind() {
  for (const auto& tree : trees_) {
    if (tree->provisional) tree->id = std::nullopt;
  }
}

void Transaction::Assume(std::unique_ptr<Assumption> assumption) {
  assumptions_.push_back(std::move(assumption));
}

bool Transaction::Writes(TreeId tree) const {
  for (const auto& opened : trees_) {
    if (opened->id == tree) return !opened->overlay.empty();
  }
  return false;
}

bool Transaction::IsEmpty() const { return write_count_ == 0 && assumptions_.empty(); }

}  // namespace sop::txn
