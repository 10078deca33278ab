#include "core/base/memory/memory_budget.h"

#include <thread>
#include <vector>

#include "gtest/gtest.h"

namespace sop::base {
namespace {

constexpr int64_t kLimit = 1600;

TEST(MemoryBudgetTest, ReserveEndsWhereTheShareOfCachesBegins) {
  MemoryBudget budget(kLimit);
  EXPECT_TRUE(budget.Reserve(1499));
  EXPECT_TRUE(budget.HasRoom(1));
  EXPECT_FALSE(budget.HasRoom(2));
  EXPECT_FALSE(budget.Reserve(2));
  EXPECT_EQ(budget.firm_bytes(), 1499);
  EXPECT_TRUE(budget.Reserve(1));
  budget.Charge(-1500);
  EXPECT_EQ(budget.firm_bytes(), 0);
}

TEST(MemoryBudgetTest, CachesGiveWayToWhatIsFirmAndToOverhead) {
  MemoryBudget budget(kLimit);
  budget.ChargeCache(1600);
  EXPECT_FALSE(budget.cache_exceeded());
  ASSERT_TRUE(budget.Reserve(100));
  EXPECT_EQ(budget.cache_excess(), 100);
  budget.SetOverhead(300);
  EXPECT_EQ(budget.cache_excess(), 400);
  budget.ChargeCache(-400);
  EXPECT_FALSE(budget.cache_exceeded());
}

TEST(MemoryBudgetTest, WhatIsCachedRefusesNobody) {
  MemoryBudget budget(kLimit);
  budget.ChargeCache(kLimit);
  EXPECT_TRUE(budget.Reserve(1500));
}

TEST(MemoryBudgetTest, AFullProcessStillHasRoomForASixteenthOrOneRequest) {
  constexpr int64_t kMiB = int64_t{1} << 20;
  struct Case {
    size_t limit;
    int64_t room;
  };
  for (const auto& [limit, room] :
       {Case{320 * kMiB, 20 * kMiB}, Case{64 * kMiB, 12 * kMiB}, Case{1'600, 320}}) {
    MemoryBudget budget(limit);
    budget.SetOverhead(10 * static_cast<int64_t>(limit));
    EXPECT_FALSE(budget.Reserve(room + 1)) << limit;
    EXPECT_TRUE(budget.Reserve(room)) << limit;
    EXPECT_FALSE(budget.Reserve(1)) << limit;
  }
}

TEST(MemoryChargeTest, GivesBackWhatItHolds) {
  auto budget = std::make_shared<MemoryBudget>(kLimit);
  {
    MemoryCharge charge(budget);
    EXPECT_TRUE(charge.Grow(1000));
    EXPECT_FALSE(charge.Grow(501));
    EXPECT_EQ(charge.bytes(), 1000);
    charge.Set(2000);  // held already: charged, room or not
    EXPECT_EQ(budget->firm_bytes(), 2000);
    MemoryCharge moved(std::move(charge));
    EXPECT_EQ(moved.bytes(), 2000);
    EXPECT_EQ(budget->firm_bytes(), 2000);
  }
  EXPECT_EQ(budget->firm_bytes(), 0);
}

TEST(MemoryChargeTest, ThreadsLeaveNothingBehind) {
  auto budget = std::make_shared<MemoryBudget>(kLimit);
  std::vector<std::thread> threads;
  for (int i = 0; i < 4; ++i) {
    threads.emplace_back([&] {
      for (int round = 0; round < 10'000; ++round) {
        MemoryCharge charge(budget);
        (void)charge.Grow(round % 700);
      }
    });
  }
  for (std::thread& thread : threads) thread.join();
  EXPECT_EQ(budget->firm_bytes(), 0);
}

}  // namespace
}  // namespace sop::base
