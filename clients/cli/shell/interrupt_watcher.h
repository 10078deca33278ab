#pragma once

#include <atomic>
#include <thread>

#include "clients/cli/session/interruption.h"

namespace sop::cli {

// Makes an interruption of every SIGINT (Ctrl-C) that reaches the process, instead of its end. Made
// before other threads are, which must not take the signal themselves. Confined to its owner.
class InterruptWatcher {
 public:
  // `interruption` must outlive this.
  explicit InterruptWatcher(Interruption& interruption);
  ~InterruptWatcher();
  InterruptWatcher(const InterruptWatcher&) = delete;
  InterruptWatcher& operator=(const InterruptWatcher&) = delete;

 private:
  void Watch();

  Interruption& interruption_;
  // Set before the watcher is woken by a SIGINT of our own.
  std::atomic<bool> ended_{false};
  std::thread thread_;
};

}  // namespace sop::cli
