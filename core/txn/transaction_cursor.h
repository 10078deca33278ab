#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "core/btree/tree.h"
#include "core/txn/transaction.h"

namespace sop::txn {

// A position in one tree as its transaction sees it: snapshot and own writes merged. What was
// passed over is in the read set as one range once the cursor is moved elsewhere or destroyed. Do
// not write to the tree while a cursor on it is in use; seek again afterwards. Confined to its
// transaction.
class TransactionCursor {
 public:
  ~TransactionCursor();

  // Confines the cursor to the keys in [begin, end), an empty `end` meaning no upper bound: it is
  // not Valid() outside, and nothing outside joins the read set. REQUIRES: called before the first
  // seek; seeks are to keys from `begin` to `end`.
  void Within(std::string_view begin, std::string_view end) {
    begin_ = begin;
    end_ = end;
  }

  absl::Status Seek(std::string_view key);        // first item >= key
  absl::Status SeekBefore(std::string_view key);  // last item < key
  absl::Status SeekToFirst();
  absl::Status SeekToLast();
  // Item number `rank` in key order, from 0. O(log n) plus the transaction's own writes. Remembers
  // as a count that the rank depends on what is before it.
  absl::Status SeekToRank(uint64_t rank);

  bool Valid() const { return valid_; }
  // REQUIRES: Valid().
  absl::Status Next() {
    const bool plain = direction_ == Direction::kForward && !own_.has_value();
    if (!plain || !base_->NextInLeaf()) return NextAnywhere();
    base_->ReadInLeaf(&key_, &item_);
    valid_ = end_.empty() || key_ < end_;
    return absl::OkStatus();
  }
  absl::Status Previous();
  // Items [begin, end) of one leaf that follow each other from the current one on, nothing of them
  // written by the transaction: to be read with NodeVersion's accessors, then skipped. Empty when
  // only key() and item() tell.
  struct Run {
    const btree::NodeVersion* leaf = nullptr;
    uint32_t begin = 0;
    uint32_t end = 0;
  };
  // REQUIRES: Valid(). Until the cursor moves.
  Run LeafRun() const;
  // Moves forward by `items` of LeafRun(), one or more.
  absl::Status Skip(uint32_t items);

  // REQUIRES: Valid(). Views until the cursor moves.
  std::string_view key() const { return key_; }
  btree::ItemView item() const { return item_; }

 private:
  friend class Transaction;
  enum class Direction { kForward, kBackward };

  TransactionCursor(Transaction& transaction, TreeSlot tree, ReadMode mode, Tracking tracking);
  absl::Status SeekForward(std::string_view key);
  absl::Status SeekBackward(std::optional<std::string_view> key);
  // Starts a range of the read set at `anchor`; no anchor means the tree's end.
  void Begin(Direction direction, std::optional<std::string_view> anchor);
  // Adds what was passed over since Begin to the read set.
  void FlushCovered();
  bool IsWithin(std::string_view key) const {
    return key >= begin_ && (end_.empty() || key < end_);
  }
  // Takes the nearer one of the two positions, or skips it if its item is erased.
  absl::Status Settle();
  absl::StatusOr<bool> Take(bool base_has_it, bool own_has_it);
  absl::Status NextAnywhere();
  absl::Status StepBase();
  void StepOwn();
  absl::StatusOr<std::optional<uint64_t>> BaseRankOf(uint64_t rank, std::string* own_key);

  Transaction& transaction_;
  const TreeSlot tree_;
  const ReadMode mode_;
  const bool tracked_;
  SnapshotSource source_;
  std::optional<btree::Cursor> base_;     // absent for a tree that has no id yet
  std::optional<Overlay::Iterator> own_;  // absent while nothing was written
  Direction direction_ = Direction::kForward;
  bool valid_ = false;
  bool at_base_ = false;  // base_ stands on key_
  bool at_own_ = false;   // own_ stands on key_
  std::string_view key_;
  btree::ItemView item_;
  btree::Item merged_;  // backs item_ when an own write made or changed it
  std::string begin_;
  std::string end_;
  std::optional<std::string> anchor_;
  bool covering_ = false;
};

}  // namespace sop::txn
