#pragma once

#include <deque>
#include <thread>
#include <vector>

#include "absl/functional/any_invocable.h"
#include "core/base/mutex.h"

namespace sop::base {

// A fixed set of threads that run tasks in order of arrival. Tasks may block on I/O. The destructor
// runs what is queued, then joins. Thread-safe.
class ThreadPool {
 public:
  explicit ThreadPool(int threads);
  ~ThreadPool();
  ThreadPool(const ThreadPool&) = delete;
  ThreadPool& operator=(const ThreadPool&) = delete;

  void Schedule(absl::AnyInvocable<void()> task) SOP_EXCLUDES(mu_);

 private:
  void Run() SOP_EXCLUDES(mu_);

  std::vector<std::thread> threads_;
  Mutex mu_;
  CondVar wake_;
  std::deque<absl::AnyInvocable<void()>> queue_ SOP_GUARDED_BY(mu_);
  bool stopping_ SOP_GUARDED_BY(mu_) = false;
};

}  // namespace sop::base
