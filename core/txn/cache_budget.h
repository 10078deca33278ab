#pragma once

#include <algorithm>
#include <atomic>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <utility>
#include <vector>

#include "core/base/memory/memory_budget.h"
#include "core/base/mutex.h"

namespace sop::txn {

class NodeCache;

// Memory that the node caches of several databases share. A cache that grows drops entries of its
// own while the budget is exceeded; Rebalance, called now and then, takes from those that are used
// little what those that are used much need.
//
// With a `whole`, what is cached gives way to everything else that the process holds.
//
// Lock order: `mu_`, then a cache's own. Thread-safe.
class CacheBudget {
 public:
  explicit CacheBudget(size_t limit_bytes, std::shared_ptr<base::MemoryBudget> whole = nullptr)
      : limit_(static_cast<int64_t>(limit_bytes)), whole_(std::move(whole)) {}
  CacheBudget(const CacheBudget&) = delete;
  CacheBudget& operator=(const CacheBudget&) = delete;

  void Charge(int64_t bytes) {
    used_.fetch_add(bytes, std::memory_order_relaxed);
    if (whole_ != nullptr) whole_->ChargeCache(bytes);
  }
  bool exceeded() const {
    return used_.load(std::memory_order_relaxed) > limit_ ||
           (whole_ != nullptr && whole_->cache_exceeded());
  }
  size_t used_bytes() const {
    return static_cast<size_t>(std::max<int64_t>(0, used_.load(std::memory_order_relaxed)));
  }
  // There is hardly room for more.
  bool NearlyFull() const;
  size_t limit_bytes() const { return static_cast<size_t>(limit_); }

  // Drops what exceeds the budget, and moves an eighth of what caches have above their share of
  // the look-ups since the last call to where it is needed. Not on anybody's path: to be called
  // once a second or so.
  void Rebalance() SOP_EXCLUDES(mu_);

 private:
  friend class NodeCache;

  struct Member {
    NodeCache* cache;
    uint64_t lookups = 0;  // at the last Rebalance
  };

  void Join(NodeCache& cache) SOP_EXCLUDES(mu_);
  void Leave(NodeCache& cache) SOP_EXCLUDES(mu_);
  // Bytes that must go.
  int64_t Excess() const;

  const int64_t limit_;
  const std::shared_ptr<base::MemoryBudget> whole_;
  std::atomic<int64_t> used_{0};

  base::Mutex mu_;
  std::vector<Member> members_ SOP_GUARDED_BY(mu_);
};

}  // namespace sop::txn
