#include "server/load/memory_governor.h"

#include <algorithm>
#include <utility>

namespace sop::load {
namespace {

constexpr absl::Duration kBetweenRebalances = absl::Seconds(1);
// Of the limit: what may be kept unused before the allocator is told to give it back, and that once
// so much is held that little is left. A burst of large messages leaves as many pages behind as it
// took, and the next one may not find them.
constexpr int64_t kUnusedShare = 8;
constexpr int64_t kNearLimitShare = 8;
constexpr int64_t kUnusedShareNearLimit = 32;
// Of the limit: room for what was freed since the last look, which nobody else can have yet.
constexpr int64_t kFreedShare = 16;
// By so much of it a higher overhead fades at each look.
constexpr int64_t kFadingShare = 64;

}  // namespace

void MemoryGovernor::Tick(absl::Duration now) {
  base::MemoryBudget& budget = *parts_.budget;
  const auto counted = [&budget] { return budget.firm_bytes() + budget.cached_bytes(); };
  // What is given back meanwhile was measured, what is taken meanwhile may have been.
  const int64_t counted_before = counted();
  const ProcessMemory memory = parts_.measure();
  // Pages that the allocator keeps are left out: counting them would make caches shrink more the
  // more they shrank. What is fragmented beyond a tenth counts: requests have to wait for it.
  const int64_t limit = budget.limit_bytes();
  const int64_t held = std::max(memory.allocated + memory.resident - memory.allocator_resident,
                                memory.resident - memory.unused - limit / 10);
  const int64_t overhead = held - std::max(counted_before, counted());
  // What was charged may not be held yet, and looks like less overhead: it is no less than lately.
  overhead_ = std::max({int64_t{0}, overhead, overhead_ - overhead_ / kFadingShare});
  budget.SetOverhead(overhead_ + limit / kFreedShare);
  const bool near = memory.resident > limit - limit / kNearLimitShare;
  if (memory.unused > limit / (near ? kUnusedShareNearLimit : kUnusedShare)) parts_.give_back();
  if (parts_.rebalance_caches == nullptr) return;
  // An excess is dropped at once: nobody may be inserting, which is when caches drop by themselves.
  if (now - rebalanced_ < kBetweenRebalances && budget.cache_excess() == 0) return;
  rebalanced_ = now;
  parts_.rebalance_caches();
}

}  // namespace sop::load
