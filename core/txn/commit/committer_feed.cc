// What the committer does for feeds.

#include "core/base/status_macros.h"
#include "core/txn/commit/committer.h"

namespace sop::txn {

absl::Status Committer::StartFeeds(const persistence::StorageSnapshot& snapshot) {
  SOP_RETURN_IF_ERROR(feed_retention_.Restore(snapshot));
  feed_floor_.store(feed_retention_.floor().value, std::memory_order_release);
  feed_kept_bytes_.store(feed_retention_.kept_bytes(), std::memory_order_relaxed);
  return absl::OkStatus();
}

void Committer::AddFeedRows(CommitGroup& group) {
  if (group.feed_trees.empty()) return;
  group.feed_before = feed_retention_;
  feed_retention_.Account(group.last, group.feed_bytes, absl::ToUnixMillis(options_.clock->Now()),
                          &group.record.rows);
  group.feed_floor = feed_retention_.floor();
  feed_kept_bytes_.store(feed_retention_.kept_bytes(), std::memory_order_relaxed);
}

}  // namespace sop::txn
