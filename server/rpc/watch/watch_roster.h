#pragma once

#include <set>
#include <string>
#include <string_view>

#include "absl/status/status.h"
#include "absl/time/time.h"
#include "core/base/mutex.h"

namespace sop::rpc {

// The watches of a server: reminds them of their heartbeats, and ends them when the server stops or
// their database is deleted. Thread-safe.
class WatchRoster {
 public:
  // One watch. Its functions return soon, and do not call the roster.
  class Watcher {
   public:
    virtual ~Watcher() = default;
    // Called twice a second or so with the monotonic time.
    virtual void Tick(absl::Duration now) = 0;
    // Sees to it that the watch ends with `why`.
    virtual void Stop(const absl::Status& why) = 0;
    // As the request names it, "default" if it names none. Constant.
    virtual std::string_view database_name() const = 0;
  };

  // UNAVAILABLE when the server stops: the watcher is not in then.
  absl::Status Enter(Watcher& watcher) SOP_EXCLUDES(mu_);
  // The watcher is not called any more when this returns.
  void Leave(Watcher& watcher) SOP_EXCLUDES(mu_);

  void Tick(absl::Duration now) SOP_EXCLUDES(mu_);
  // The server stops: ends all there are and takes no more.
  void Drain() SOP_EXCLUDES(mu_);
  void EndAll(std::string_view database) SOP_EXCLUDES(mu_);
  size_t size() const SOP_EXCLUDES(mu_);

 private:
  mutable base::Mutex mu_;
  std::set<Watcher*> watchers_ SOP_GUARDED_BY(mu_);
  bool draining_ SOP_GUARDED_BY(mu_) = false;
};

}  // namespace sop::rpc
