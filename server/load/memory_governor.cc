#include "server/load/memory_governor.h"

#include <algorithm>
#include <utility>

namespace sop::load {
namespace {

constexpr absl::Duration kBetweenRebalances = absl::Seconds(1);
constexpr absl::Duration kBetweenGivingBack = absl::Milliseconds(500);

}  // namespace

void MemoryGovernor::Tick(absl::Duration now) {
  base::MemoryBudget& budget = *parts_.budget;
  const ProcessMemory memory = parts_.measure();
  // Pages that the allocator keeps for a second are left out: counting them would make caches
  // shrink more the more they shrank.
  const int64_t held = memory.allocated + memory.resident - memory.allocator_resident;
  budget.SetOverhead(std::max<int64_t>(0, held - budget.firm_bytes() - budget.cached_bytes()));
  // What is fragmented beyond a tenth is worth the work of giving it back.
  const int64_t most = budget.limit_bytes() + budget.limit_bytes() / 10;
  if (memory.resident > most && now - gave_back_ >= kBetweenGivingBack) {
    gave_back_ = now;
    parts_.give_back();
  }
  if (parts_.rebalance_caches == nullptr) return;
  // An excess is dropped at once: nobody may be inserting, which is when caches drop by themselves.
  if (now - rebalanced_ < kBetweenRebalances && budget.cache_excess() == 0) return;
  rebalanced_ = now;
  parts_.rebalance_caches();
}

}  // namespace sop::load
