#pragma once

#include <string_view>
#include <vector>

#include "absl/status/status.h"
#include "core/btree/tree.h"
#include "core/txn/commit/commit_group.h"
#include "core/txn/commit/conflict_window.h"
#include "core/txn/transaction.h"

namespace sop::txn {

// ABORTED (kConflict): somebody else changed `key` first.
absl::Status ConflictAt(TreeId tree, std::string_view key);

// Decides whether what a transaction read in its snapshot S still holds in the newest state. Asks,
// in this order: the groups that are not yet in the conflict window, the window, and where the
// window does not reach back to S, the tree: a leaf whose sequence is not above S proves its reads,
// else the items at S and now are compared. So there is no "transaction too old".
// Confined to the committer.
class Validator {
 public:
  // `window` may be null. `groups`: not yet in the window, the one being built included. `head`:
  // the state before the group being built.
  Validator(const ConflictWindow* window, std::vector<const CommitGroup*> groups,
            btree::NodeSource& head)
      : window_(window), groups_(std::move(groups)), head_(head) {}

  // REQUIRES: every tree slot with reads is bound. OK, or ABORTED (kConflict) that names tree and
  // key in its details; DATA_LOSS and UNAVAILABLE from reading.
  absl::Status Validate(const Transaction& transaction);

  // The same for a transaction that was found valid in `since`: what it read has not changed after.
  // Its own writes are not checked.
  absl::Status ValidateSince(const Transaction& transaction, const Snapshot& since);

  // Whether `transaction` counted in a tree that the last of the groups writes: counts can only be
  // compared once those writes are in the tree.
  bool CountsDependOnLastGroup(const Transaction& transaction) const;

 private:
  absl::Status CheckReads(const Transaction& transaction);
  absl::Status CheckPoint(TreeId tree, std::string_view key, ReadMode mode);
  absl::Status CheckRange(TreeId tree, std::string_view begin, std::string_view end, ReadMode mode);
  absl::Status CheckCount(TreeId tree, std::string_view begin, std::string_view end,
                          uint64_t count);
  absl::Status CheckWrites(const Transaction& transaction);
  absl::Status ComparePoint(TreeId tree, std::string_view key, ReadMode mode);
  absl::Status CompareRange(TreeId tree, std::string_view begin, std::string_view end,
                            ReadMode mode);
  absl::Status CompareItems(TreeId tree, const KeyRange& range, ReadMode mode);

  const ConflictWindow* const window_;
  const std::vector<const CommitGroup*> groups_;
  btree::NodeSource& head_;
  const Snapshot* since_ = nullptr;
};

}  // namespace sop::txn
