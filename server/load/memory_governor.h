#pragma once

#include <functional>
#include <memory>

#include "absl/time/time.h"
#include "core/base/memory/memory_budget.h"
#include "server/load/process_memory.h"

namespace sop::load {

// Keeps the process to its memory budget: measures now and then what it holds, tells the budget how
// much of that is neither firm nor cached, lets caches give way and the allocator give back. What
// grows between two measurements is bounded by what is firm, which is refused without room.
// Confined to the thread that calls Tick.
class MemoryGovernor {
 public:
  struct Parts {
    // Required.
    std::shared_ptr<base::MemoryBudget> budget;
    // CacheBudget::Rebalance; may be null.
    std::function<void()> rebalance_caches;
    std::function<ProcessMemory()> measure = &MeasureProcess;
    std::function<void()> give_back = &GiveBackUnused;
  };
  explicit MemoryGovernor(Parts parts) : parts_(std::move(parts)) {}

  // To be called every kPeriod; `now` is monotonic.
  void Tick(absl::Duration now);
  static constexpr absl::Duration kPeriod = absl::Milliseconds(50);

 private:
  const Parts parts_;
  int64_t overhead_ = 0;  // without what is freed
  absl::Duration rebalanced_ = -absl::InfiniteDuration();
};

}  // namespace sop::load
