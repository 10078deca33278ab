#include "core/txn/commit/recent_groups.h"

#include <utility>

namespace sop::txn {
namespace {

// Every conflict check visits each group above its snapshot, so they must stay few.
constexpr size_t kMostGroups = 16;
constexpr size_t kMostBytes = size_t{4} << 20;

}  // namespace

void RecentGroups::Add(std::shared_ptr<const CommitGroup> group) {
  bytes_ += group->bytes;
  groups_.push_back(std::move(group));
}

void RecentGroups::Trim(Sequence oldest) {
  while (!groups_.empty() && groups_.front()->last <= oldest) {
    window_.Forget(groups_.front()->last);
    bytes_ -= groups_.front()->bytes;
    groups_.pop_front();
  }
  while (groups_.size() > kMostGroups || bytes_ > kMostBytes) MoveOldest();
}

void RecentGroups::MoveAll() {
  while (!groups_.empty()) MoveOldest();
}

void RecentGroups::AppendAbove(Sequence since, std::vector<const CommitGroup*>* groups) const {
  for (const auto& group : groups_) {
    if (group->last > since) groups->push_back(group.get());
  }
}

void RecentGroups::MoveOldest() {
  const CommitGroup& group = *groups_.front();
  // Snapshots lie between groups, so the group's last sequence says all.
  for (const auto& [tree, net] : group.trees) {
    for (const NetWrites::Entry& entry : net.writes) {
      window_.Add(tree, entry.key(), group.last, entry.write.change);
    }
  }
  bytes_ -= group.bytes;
  groups_.pop_front();
}

}  // namespace sop::txn
