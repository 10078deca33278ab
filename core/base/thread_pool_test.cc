#include "core/base/thread_pool.h"

#include <gtest/gtest.h>

#include <atomic>
#include <chrono>
#include <memory>
#include <set>
#include <thread>
#include <vector>

namespace sop::base {
namespace {

// Lets threads wait for each other. Thread-safe.
class Gate {
 public:
  void Open() {
    MutexLock lock(mu_);
    open_ = true;
    opened_.NotifyAll();
  }
  void Wait() {
    MutexLock lock(mu_);
    while (!open_) opened_.Wait(mu_);
  }

 private:
  Mutex mu_;
  CondVar opened_;
  bool open_ SOP_GUARDED_BY(mu_) = false;
};

TEST(ThreadPoolTest, OneThreadKeepsTheOrderOfArrival) {
  std::vector<int> ran;
  {
    ThreadPool pool(1);
    for (int i = 0; i < 100; ++i) pool.Schedule([&ran, i] { ran.push_back(i); });
  }
  std::vector<int> expected;
  for (int i = 0; i < 100; ++i) expected.push_back(i);
  EXPECT_EQ(ran, expected);
}

TEST(ThreadPoolTest, TheDestructorRunsWhatIsQueued) {
  std::atomic<int> ran{0};
  Gate gate;
  {
    ThreadPool pool(2);
    for (int i = 0; i < 2; ++i) pool.Schedule([&gate] { gate.Wait(); });
    for (int i = 0; i < 50; ++i) pool.Schedule([&ran] { ran.fetch_add(1); });
    EXPECT_EQ(ran.load(), 0);
    gate.Open();
  }
  EXPECT_EQ(ran.load(), 50);
}

TEST(ThreadPoolTest, ABlockedTaskDoesNotHoldUpTheOtherThreads) {
  Gate blocked;
  Gate ran;
  ThreadPool pool(2);
  pool.Schedule([&blocked] { blocked.Wait(); });
  pool.Schedule([&ran] { ran.Open(); });
  ran.Wait();
  blocked.Open();
}

TEST(ThreadPoolTest, ATaskMayScheduleAnother) {
  Gate done;
  ThreadPool pool(1);
  pool.Schedule([&pool, &done] { pool.Schedule([&done] { done.Open(); }); });
  done.Wait();
}

TEST(ThreadPoolTest, TakesMoveOnlyTasksAndDestroysThem) {
  const auto token = std::make_shared<int>(1);
  {
    ThreadPool pool(1);
    auto owned = std::make_unique<std::shared_ptr<int>>(token);
    pool.Schedule([owned = std::move(owned)] { **owned += 1; });
  }
  EXPECT_EQ(*token, 2);
  EXPECT_EQ(token.use_count(), 1);
}

TEST(CondVarTest, WaitForTimesOutWithoutASignal) {
  Mutex mu;
  CondVar never;
  MutexLock lock(mu);
  const auto start = std::chrono::steady_clock::now();
  // Spurious wake-ups report a signal; the loop outlasts them.
  while (never.WaitFor(mu, std::chrono::milliseconds(1))) continue;
  EXPECT_GE(std::chrono::steady_clock::now() - start, std::chrono::milliseconds(1));
}

TEST(SharedMutexTest, ReadersSeeWholeWrites) {
  SharedMutex mu;
  int first = 0;
  int second = 0;
  std::atomic<int> torn{0};
  ThreadPool pool(3);
  std::atomic<int> left{3};
  Gate done;
  pool.Schedule([&] {
    for (int i = 1; i <= 2000; ++i) {
      WriterLock lock(mu);
      first = i;
      second = i;
    }
    if (left.fetch_sub(1) == 1) done.Open();
  });
  for (int reader = 0; reader < 2; ++reader) {
    pool.Schedule([&] {
      for (int i = 0; i < 2000; ++i) {
        ReaderLock lock(mu);
        if (first != second) torn.fetch_add(1);
      }
      if (left.fetch_sub(1) == 1) done.Open();
    });
  }
  done.Wait();
  EXPECT_EQ(torn.load(), 0);
  EXPECT_EQ(first, 2000);
}

}  // namespace
}  // namespace sop::base
