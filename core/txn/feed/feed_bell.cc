#include "core/txn/feed/feed_bell.h"

#include <algorithm>
#include <utility>

namespace sop::txn {

uint64_t FeedBell::Add(TreeId tree, std::function<void()> ring) {
  const base::MutexLock lock(mu_);
  listeners_.emplace(next_, Listener{tree, std::move(ring)});
  return next_++;
}

void FeedBell::Remove(uint64_t listener) {
  const base::MutexLock lock(mu_);
  listeners_.erase(listener);
}

// Called under the lock, so that Remove waits for a call under way.
void FeedBell::Ring(std::span<const TreeId> trees) {
  const base::MutexLock lock(mu_);
  for (const auto& [id, listener] : listeners_) {
    if (std::find(trees.begin(), trees.end(), listener.tree) != trees.end()) listener.ring();
  }
}

void FeedBell::RingAll() {
  const base::MutexLock lock(mu_);
  for (const auto& [id, listener] : listeners_) listener.ring();
}

}  // namespace sop::txn
