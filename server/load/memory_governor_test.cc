#include "server/load/memory_governor.h"

#include <string>

#include "gtest/gtest.h"

namespace sop::load {
namespace {

constexpr int64_t kMiB = int64_t{1} << 20;

// What is added to all overhead, for pages freed between two looks.
int64_t Freed(const base::MemoryBudget& budget) { return budget.limit_bytes() / 16; }

TEST(MemoryGovernorTest, WhatIsNeitherFirmNorCachedIsOverhead) {
  auto budget = std::make_shared<base::MemoryBudget>(100 * kMiB);
  budget->Charge(10 * kMiB);
  budget->ChargeCache(30 * kMiB);
  int rebalances = 0;
  int given_back = 0;
  ProcessMemory memory = {
      .resident = 80 * kMiB, .allocated = 60 * kMiB, .allocator_resident = 65 * kMiB};
  MemoryGovernor governor({.budget = budget,
                           .rebalance_caches = [&] { ++rebalances; },
                           .measure = [&] { return memory; },
                           .give_back = [&] { ++given_back; }});
  governor.Tick(absl::Seconds(1));
  // 60 allocated and 15 beside the allocator, 40 of which are accounted for.
  EXPECT_EQ(budget->overhead_bytes(), 35 * kMiB + Freed(*budget));
  EXPECT_EQ(rebalances, 1);
  governor.Tick(absl::Seconds(1.5));
  EXPECT_EQ(rebalances, 1);
  EXPECT_EQ(given_back, 0);

  memory = {.resident = 111 * kMiB,
            .allocated = 95 * kMiB,
            .allocator_resident = 100 * kMiB,
            .unused = 5 * kMiB};
  governor.Tick(absl::Seconds(1.6));
  EXPECT_EQ(rebalances, 2) << "an excess is not left for a second";
  EXPECT_EQ(given_back, 1);
  governor.Tick(absl::Seconds(1.7));
  EXPECT_EQ(given_back, 2);
  memory.unused = 0;
  governor.Tick(absl::Seconds(1.8));
  EXPECT_EQ(given_back, 2) << "there is nothing to give back";
}

TEST(MemoryGovernorTest, AnEighthMayBeKeptUnusedFarFromTheLimit) {
  auto budget = std::make_shared<base::MemoryBudget>(800 * kMiB);
  int given_back = 0;
  ProcessMemory memory = {.resident = 300 * kMiB,
                          .allocated = 190 * kMiB,
                          .allocator_resident = 290 * kMiB,
                          .unused = 100 * kMiB};
  MemoryGovernor governor(
      {.budget = budget, .measure = [&] { return memory; }, .give_back = [&] { ++given_back; }});
  governor.Tick(absl::Seconds(1));
  EXPECT_EQ(budget->overhead_bytes(), 200 * kMiB + Freed(*budget)) << "what is unused is not held";
  EXPECT_EQ(given_back, 0);
  memory.unused = 101 * kMiB;
  governor.Tick(absl::Seconds(2));
  EXPECT_EQ(given_back, 1);
}

TEST(MemoryGovernorTest, WhatIsFragmentedBeyondATenthCounts) {
  auto budget = std::make_shared<base::MemoryBudget>(100 * kMiB);
  const ProcessMemory memory = {
      .resident = 90 * kMiB, .allocated = 40 * kMiB, .allocator_resident = 80 * kMiB};
  MemoryGovernor governor({.budget = budget, .measure = [&] { return memory; }});
  governor.Tick(absl::Seconds(1));
  EXPECT_EQ(budget->overhead_bytes(), 80 * kMiB + Freed(*budget));
}

TEST(MemoryGovernorTest, AnOverheadThatWasSeenFadesSlowly) {
  auto budget = std::make_shared<base::MemoryBudget>(256 * kMiB);
  const ProcessMemory memory = {
      .resident = 96 * kMiB, .allocated = 64 * kMiB, .allocator_resident = 64 * kMiB};
  MemoryGovernor governor({.budget = budget, .measure = [&] { return memory; }});
  governor.Tick(absl::Seconds(1));
  EXPECT_EQ(budget->overhead_bytes(), 96 * kMiB + Freed(*budget));
  // Charged for what is about to be received, and not held yet.
  budget->Charge(96 * kMiB);
  governor.Tick(absl::Seconds(2));
  EXPECT_EQ(budget->overhead_bytes(), 96 * kMiB - 96 * kMiB / 64 + Freed(*budget));
  for (int i = 0; i < 300; ++i) governor.Tick(absl::Seconds(3));
  EXPECT_LT(budget->overhead_bytes(), kMiB + Freed(*budget));
}

TEST(ProcessMemoryTest, SeesWhatIsAllocated) {
  const ProcessMemory before = MeasureProcess();
  EXPECT_GT(before.resident, 0);
  const std::string block(64 << 20, 'x');
  const ProcessMemory after = MeasureProcess();
  EXPECT_EQ(block.find('y'), std::string::npos);
  EXPECT_GE(after.resident - before.resident, 60 * kMiB);
  const bool says = before.allocated != 0;  // not under sanitizers
  EXPECT_GE(after.allocated - before.allocated, says ? 60 * kMiB : 0);
  EXPECT_GE(after.allocator_resident - before.allocator_resident, says ? 60 * kMiB : 0);
}

}  // namespace
}  // namespace sop::load
