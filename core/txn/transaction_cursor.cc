#include <algorithm>
#include <utility>

#include "core/base/status_macros.h"
#include "core/txn/transaction.h"
#include "core/txn/transaction_cursor.h"

namespace sop::txn {
namespace {

// The least key above `key`.
std::string After(std::string_view key) {
  std::string after(key);
  after.push_back('\0');
  return after;
}

}  // namespace

std::unique_ptr<TransactionCursor> Transaction::OpenCursor(TreeSlot tree, ReadMode mode,
                                                           Tracking tracking) {
  return std::unique_ptr<TransactionCursor>(new TransactionCursor(*this, tree, mode, tracking));
}

TransactionCursor::TransactionCursor(Transaction& transaction, TreeSlot tree, ReadMode mode,
                                     Tracking tracking)
    : transaction_(transaction),
      tree_(tree),
      mode_(mode),
      tracked_(transaction.Tracks(tracking)),
      source_(transaction.snapshot()) {
  Transaction::Tree& opened = transaction_.at(tree);
  if (opened.id.has_value()) base_.emplace(source_, *opened.id);
}

TransactionCursor::~TransactionCursor() { FlushCovered(); }

void TransactionCursor::Begin(Direction direction, std::optional<std::string_view> anchor) {
  FlushCovered();
  const Overlay& overlay = transaction_.at(tree_).overlay;
  if (!own_.has_value() && !overlay.empty()) own_.emplace(overlay);
  direction_ = direction;
  valid_ = false;
  if (!tracked_) return;
  covering_ = true;
  anchor_.reset();
  if (anchor.has_value()) anchor_.emplace(*anchor);
}

void TransactionCursor::FlushCovered() {
  if (!covering_) return;
  covering_ = false;
  if (direction_ == Direction::kForward) {
    transaction_.read_set_.AddRange(tree_.index, anchor_.value_or(std::string()),
                                    valid_ ? After(key_) : end_, mode_);
  } else {
    transaction_.read_set_.AddRange(tree_.index, valid_ ? key_ : begin_,
                                    anchor_.value_or(std::string()), mode_);
  }
}

absl::Status TransactionCursor::SeekForward(std::string_view key) {
  if (base_.has_value()) SOP_RETURN_IF_ERROR(base_->Seek(key));
  if (own_.has_value()) own_->Seek(key);
  return Settle();
}

absl::Status TransactionCursor::SeekBackward(std::optional<std::string_view> key) {
  if (base_.has_value()) {
    SOP_RETURN_IF_ERROR(key.has_value() ? base_->SeekBefore(*key) : base_->SeekToLast());
  }
  if (own_.has_value()) {
    if (key.has_value()) {
      own_->SeekBefore(*key);
    } else {
      own_->SeekToLast();
    }
  }
  return Settle();
}

absl::Status TransactionCursor::Seek(std::string_view key) {
  Begin(Direction::kForward, key);
  SOP_RETURN_IF_ERROR(SeekForward(key));
  return transaction_.CoarsenIfNeeded();
}

absl::Status TransactionCursor::SeekToFirst() { return Seek({}); }

absl::Status TransactionCursor::SeekBefore(std::string_view key) {
  Begin(Direction::kBackward, key);
  SOP_RETURN_IF_ERROR(SeekBackward(key));
  return transaction_.CoarsenIfNeeded();
}

absl::Status TransactionCursor::SeekToLast() {
  Begin(Direction::kBackward, std::nullopt);
  SOP_RETURN_IF_ERROR(SeekBackward(std::nullopt));
  return transaction_.CoarsenIfNeeded();
}

absl::Status TransactionCursor::StepBase() {
  return direction_ == Direction::kForward ? base_->Next() : base_->Previous();
}

void TransactionCursor::StepOwn() {
  if (direction_ == Direction::kForward) {
    own_->Next();
  } else {
    own_->Prev();
  }
}

absl::StatusOr<bool> TransactionCursor::Take(bool base_has_it, bool own_has_it) {
  at_base_ = base_has_it;
  at_own_ = own_has_it;
  if (!own_has_it) {
    key_ = base_->key();
    item_ = base_->item();
    return true;
  }
  key_ = own_->key();
  SOP_ASSIGN_OR_RETURN(const OwnWrite write, DecodeOwnWrite(own_->payload()));
  btree::Item before;
  if (base_has_it) before = btree::Item(base_->item());
  SOP_ASSIGN_OR_RETURN(auto after, ApplyOwnWrite(write, base_has_it ? &before : nullptr));
  if (!after.has_value()) return false;
  merged_ = *std::move(after);
  item_ = merged_.view();
  return true;
}

absl::Status TransactionCursor::Settle() {
  for (;;) {
    if (own_.has_value()) SOP_RETURN_IF_ERROR(own_->status());
    const bool base = base_.has_value() && base_->Valid();
    const bool own = own_.has_value() && own_->Valid();
    valid_ = base || own;
    if (!valid_) return absl::OkStatus();
    int order = base ? -1 : 1;
    if (base && own) {
      order = base_->key().compare(own_->key());
      if (direction_ == Direction::kBackward) order = -order;
    }
    SOP_ASSIGN_OR_RETURN(const bool there, Take(order <= 0, own && order >= 0));
    if (there) {
      valid_ = IsWithin(key_);
      return absl::OkStatus();
    }
    valid_ = false;
    if (at_base_) SOP_RETURN_IF_ERROR(StepBase());
    StepOwn();
  }
}

absl::Status TransactionCursor::NextAnywhere() {
  if (direction_ == Direction::kBackward) {
    const std::string current(key_);
    Begin(Direction::kForward, current);
    return SeekForward(After(current));
  }
  if (at_base_) SOP_RETURN_IF_ERROR(StepBase());
  if (at_own_) StepOwn();
  return Settle();
}

TransactionCursor::Run TransactionCursor::LeafRun() const {
  const bool own_ahead = own_.has_value() && own_->Valid();
  if (direction_ == Direction::kBackward || !at_base_ || own_ahead) return {};
  const btree::NodeVersion& leaf = *base_->leaf();
  Run run = {
      .leaf = &leaf, .begin = base_->index(), .end = static_cast<uint32_t>(leaf.item_count())};
  bool exact;
  if (!end_.empty()) run.end = std::min(run.end, leaf.LowerBound(end_, &exact));
  return run;
}

absl::Status TransactionCursor::Skip(uint32_t items) {
  SOP_RETURN_IF_ERROR(base_->Advance(items));
  return Settle();
}

absl::Status TransactionCursor::Previous() {
  if (direction_ == Direction::kForward) {
    const std::string current(key_);
    Begin(Direction::kBackward, After(current));
    return SeekBackward(current);
  }
  if (at_base_) SOP_RETURN_IF_ERROR(StepBase());
  if (at_own_) StepOwn();
  return Settle();
}

// Between two own writes the base's items are contiguous, so one pass over the own writes finds in
// which stretch the rank falls: the rank in the base, or nothing and the key of an own write.
absl::StatusOr<std::optional<uint64_t>> TransactionCursor::BaseRankOf(uint64_t rank,
                                                                      std::string* own_key) {
  Transaction::Tree& tree = transaction_.at(tree_);
  int64_t growth = 0;
  Overlay::Iterator own(tree.overlay);
  for (own.SeekToFirst(); own.Valid(); own.Next()) {
    uint64_t before = 0;
    if (tree.id.has_value()) {
      SOP_ASSIGN_OR_RETURN(before, btree::Rank(source_, *tree.id, own.key()));
    }
    const auto merged_rank = static_cast<uint64_t>(static_cast<int64_t>(before) + growth);
    if (rank < merged_rank) break;
    SOP_ASSIGN_OR_RETURN(const OwnWrite write, DecodeOwnWrite(own.payload()));
    if (tracked_) transaction_.read_set_.AddPoint(tree_.index, own.key(), ReadMode::kKeyOnly);
    SOP_ASSIGN_OR_RETURN(const auto base, transaction_.GetBase(tree, own.key()));
    SOP_ASSIGN_OR_RETURN(const auto after,
                         ApplyOwnWrite(write, base.has_value() ? &*base : nullptr));
    if (after.has_value() && rank == merged_rank) {
      *own_key = std::string(own.key());
      return std::nullopt;
    }
    growth += static_cast<int64_t>(after.has_value()) - static_cast<int64_t>(base.has_value());
  }
  SOP_RETURN_IF_ERROR(own.status());
  return static_cast<uint64_t>(static_cast<int64_t>(rank) - growth);
}

absl::Status TransactionCursor::SeekToRank(uint64_t rank) {
  FlushCovered();
  valid_ = false;
  std::string key;
  SOP_ASSIGN_OR_RETURN(const std::optional<uint64_t> base_rank, BaseRankOf(rank, &key));
  const auto id = transaction_.at(tree_).id;
  if (base_rank.has_value()) {
    if (base_.has_value()) SOP_RETURN_IF_ERROR(base_->SeekToRank(*base_rank));
    if (!base_.has_value() || !base_->Valid()) {
      // Beyond the end: depends on the number of all items.
      return transaction_.Count(tree_, {}, {}).status();
    }
    key = std::string(base_->key());
  }
  if (tracked_ && id.has_value() && !key.empty()) {
    SOP_ASSIGN_OR_RETURN(const uint64_t before, btree::Rank(source_, *id, key));
    transaction_.read_set_.AddCount(tree_.index, {}, key, before);
  }
  return Seek(key);
}

}  // namespace sop::txn
