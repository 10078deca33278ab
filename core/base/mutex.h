#pragma once

#include <chrono>
#include <condition_variable>
#include <mutex>
#include <shared_mutex>

// Clang thread-safety annotations; empty for other compilers.
#if defined(__clang__)
#define SOP_THREAD_ATTRIBUTE_(x) __attribute__((x))
#else
#define SOP_THREAD_ATTRIBUTE_(x)
#endif
#define SOP_CAPABILITY(x) SOP_THREAD_ATTRIBUTE_(capability(x))
#define SOP_SCOPED_CAPABILITY SOP_THREAD_ATTRIBUTE_(scoped_lockable)
#define SOP_GUARDED_BY(x) SOP_THREAD_ATTRIBUTE_(guarded_by(x))
#define SOP_PT_GUARDED_BY(x) SOP_THREAD_ATTRIBUTE_(pt_guarded_by(x))
#define SOP_REQUIRES(...) SOP_THREAD_ATTRIBUTE_(requires_capability(__VA_ARGS__))
#define SOP_REQUIRES_SHARED(...) SOP_THREAD_ATTRIBUTE_(requires_shared_capability(__VA_ARGS__))
#define SOP_EXCLUDES(...) SOP_THREAD_ATTRIBUTE_(locks_excluded(__VA_ARGS__))
#define SOP_ACQUIRE(...) SOP_THREAD_ATTRIBUTE_(acquire_capability(__VA_ARGS__))
#define SOP_RELEASE(...) SOP_THREAD_ATTRIBUTE_(release_capability(__VA_ARGS__))
#define SOP_ACQUIRE_SHARED(...) SOP_THREAD_ATTRIBUTE_(acquire_shared_capability(__VA_ARGS__))
#define SOP_RELEASE_SHARED(...) SOP_THREAD_ATTRIBUTE_(release_shared_capability(__VA_ARGS__))
#define SOP_RELEASE_GENERIC(...) SOP_THREAD_ATTRIBUTE_(release_generic_capability(__VA_ARGS__))
#define SOP_TRY_ACQUIRE(...) SOP_THREAD_ATTRIBUTE_(try_acquire_capability(__VA_ARGS__))
#define SOP_ACQUIRED_AFTER(...) SOP_THREAD_ATTRIBUTE_(acquired_after(__VA_ARGS__))
#define SOP_NO_THREAD_SAFETY_ANALYSIS SOP_THREAD_ATTRIBUTE_(no_thread_safety_analysis)

namespace sop::base {

// std::mutex that clang's analysis and ThreadSanitizer both see. (The packaged absl::Mutex is not
// instrumented, which makes ThreadSanitizer report races that are none.) Thread-safe.
class SOP_CAPABILITY("mutex") Mutex {
 public:
  void Lock() SOP_ACQUIRE() { mu_.lock(); }
  void Unlock() SOP_RELEASE() { mu_.unlock(); }
  bool TryLock() SOP_TRY_ACQUIRE(true) { return mu_.try_lock(); }

 private:
  friend class CondVar;
  std::mutex mu_;
};

// Holds a Mutex for a scope. Confined to the thread that made it.
class SOP_SCOPED_CAPABILITY MutexLock {
 public:
  explicit MutexLock(Mutex& mu) SOP_ACQUIRE(mu) : mu_(mu) { mu_.Lock(); }
  ~MutexLock() SOP_RELEASE() { mu_.Unlock(); }
  MutexLock(const MutexLock&) = delete;
  MutexLock& operator=(const MutexLock&) = delete;

 private:
  Mutex& mu_;
};

// Readers share, writers exclude. Thread-safe.
class SOP_CAPABILITY("mutex") SharedMutex {
 public:
  void Lock() SOP_ACQUIRE() { mu_.lock(); }
  void Unlock() SOP_RELEASE() { mu_.unlock(); }
  void LockShared() SOP_ACQUIRE_SHARED() { mu_.lock_shared(); }
  void UnlockShared() SOP_RELEASE_SHARED() { mu_.unlock_shared(); }

 private:
  std::shared_mutex mu_;
};

// Holds a SharedMutex for writing for a scope. Confined to the thread that made it.
class SOP_SCOPED_CAPABILITY WriterLock {
 public:
  explicit WriterLock(SharedMutex& mu) SOP_ACQUIRE(mu) : mu_(mu) { mu_.Lock(); }
  ~WriterLock() SOP_RELEASE() { mu_.Unlock(); }
  WriterLock(const WriterLock&) = delete;
  WriterLock& operator=(const WriterLock&) = delete;

 private:
  SharedMutex& mu_;
};

// Holds a SharedMutex for reading for a scope. Confined to the thread that made it.
class SOP_SCOPED_CAPABILITY ReaderLock {
 public:
  explicit ReaderLock(SharedMutex& mu) SOP_ACQUIRE_SHARED(mu) : mu_(mu) { mu_.LockShared(); }
  ~ReaderLock() SOP_RELEASE_GENERIC() { mu_.UnlockShared(); }
  ReaderLock(const ReaderLock&) = delete;
  ReaderLock& operator=(const ReaderLock&) = delete;

 private:
  SharedMutex& mu_;
};

// Condition variable for Mutex. Always wait in a loop that tests the condition. Thread-safe.
class CondVar {
 public:
  void Wait(Mutex& mu) SOP_REQUIRES(mu) {
    std::unique_lock<std::mutex> lock(mu.mu_, std::adopt_lock);
    cv_.wait(lock);
    lock.release();
  }
  // Returns false when `timeout` passed first.
  bool WaitFor(Mutex& mu, std::chrono::nanoseconds timeout) SOP_REQUIRES(mu) {
    std::unique_lock<std::mutex> lock(mu.mu_, std::adopt_lock);
    const bool signalled = cv_.wait_for(lock, timeout) == std::cv_status::no_timeout;
    lock.release();
    return signalled;
  }
  void NotifyOne() { cv_.notify_one(); }
  void NotifyAll() { cv_.notify_all(); }

 private:
  std::condition_variable cv_;
};

}  // namespace sop::base
