#include "server/rpc/watch/watch_roster.h"

#include <fmt/format.h>

#include "core/base/bytes.h"
#include "core/base/error.h"

namespace sop::rpc {
namespace {

absl::Status Stopping() {
  return Error(Reason::kUnavailable, "the server is stopping: go on from the last position");
}

}  // namespace

absl::Status WatchRoster::Enter(Watcher& watcher) {
  const base::MutexLock lock(mu_);
  if (draining_) return Stopping();
  watchers_.insert(&watcher);
  return absl::OkStatus();
}

void WatchRoster::Leave(Watcher& watcher) {
  const base::MutexLock lock(mu_);
  watchers_.erase(&watcher);
}

// Watchers are called under the lock, so that Leave waits for a call under way.
void WatchRoster::Tick(absl::Duration now) {
  const base::MutexLock lock(mu_);
  for (Watcher* const watcher : watchers_) watcher->Tick(now);
}

void WatchRoster::Drain() {
  const base::MutexLock lock(mu_);
  draining_ = true;
  for (Watcher* const watcher : watchers_) watcher->Stop(Stopping());
}

void WatchRoster::EndAll(std::string_view database) {
  const base::MutexLock lock(mu_);
  for (Watcher* const watcher : watchers_) {
    if (watcher->database_name() != database) continue;
    watcher->Stop(Error(Reason::kUnavailable,
                        fmt::format("database '{}' is being deleted", base::Printable(database))));
  }
}

size_t WatchRoster::size() const {
  const base::MutexLock lock(mu_);
  return watchers_.size();
}

}  // namespace sop::rpc
