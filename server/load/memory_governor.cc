#include "server/load/memory_governor.h"

#include <algorithm>
#include <utility>

namespace sop::load {
namespace {

constexpr absl::Duration kBetweenRebalances = absl::Seconds(1);
// Of the limit: what must be held, and how much of it unused, before the allocator is told to give
// it back at once. A burst of large messages leaves as many pages behind as it took, and the next
// one may not find them.
constexpr int64_t kNearLimitShare = 8;
constexpr int64_t kUnusedShare = 32;

}  // namespace

void MemoryGovernor::Tick(absl::Duration now) {
  base::MemoryBudget& budget = *parts_.budget;
  const ProcessMemory memory = parts_.measure();
  // Pages that the allocator keeps for a second are left out: counting them would make caches
  // shrink more the more they shrank. What is kept or fragmented beyond a tenth counts all the
  // same: requests have to wait for it.
  const int64_t limit = budget.limit_bytes();
  const int64_t held = std::max(memory.allocated + memory.resident - memory.allocator_resident,
                                memory.resident - limit / 10);
  budget.SetOverhead(std::max<int64_t>(0, held - budget.firm_bytes() - budget.cached_bytes()));
  const bool near = memory.resident > limit - limit / kNearLimitShare;
  if (near && memory.allocator_resident - memory.allocated > limit / kUnusedShare) {
    parts_.give_back();
  }
  if (parts_.rebalance_caches == nullptr) return;
  // An excess is dropped at once: nobody may be inserting, which is when caches drop by themselves.
  if (now - rebalanced_ < kBetweenRebalances && budget.cache_excess() == 0) return;
  rebalanced_ = now;
  parts_.rebalance_caches();
}

}  // namespace sop::load
