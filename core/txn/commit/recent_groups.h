#pragma once

#include <cstddef>
#include <deque>
#include <memory>
#include <vector>

#include "core/txn/commit/commit_group.h"
#include "core/txn/commit/conflict_window.h"

namespace sop::txn {

// The groups published last, in front of the conflict window. Only a transaction with a snapshot
// from before a group can conflict with it, so a group that no snapshot is older than is dropped
// and never enters the window: under short transactions that is nearly every group. What is needed
// for longer is moved into the window.
//
// Invariant: every change above the oldest snapshot is here or in the window, unless the window
// itself no longer reaches so far back.
// Confined to the committer.
class RecentGroups {
 public:
  explicit RecentGroups(ConflictWindow& window) : window_(window) {}

  // REQUIRES: `group` is published and newer than all before it.
  void Add(std::shared_ptr<const CommitGroup> group);

  // No transaction reads a snapshot below `oldest`. Drops what nobody can conflict with and moves
  // the oldest of too many into the window.
  void Trim(Sequence oldest);

  // Moves everything into the window.
  void MoveAll();

  // Appends the groups above `since`.
  void AppendAbove(Sequence since, std::vector<const CommitGroup*>* groups) const;

 private:
  void MoveOldest();

  ConflictWindow& window_;
  std::deque<std::shared_ptr<const CommitGroup>> groups_;  // oldest first
  size_t bytes_ = 0;
};

}  // namespace sop::txn
