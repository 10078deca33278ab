#include "core/txn/cache_budget.h"

#include "core/txn/node_cache.h"

namespace sop::txn {

void CacheBudget::Join(NodeCache& cache) {
  base::MutexLock lock(mu_);
  members_.push_back({&cache});
}

void CacheBudget::Leave(NodeCache& cache) {
  base::MutexLock lock(mu_);
  std::erase_if(members_, [&](const Member& member) { return member.cache == &cache; });
}

int64_t CacheBudget::Excess() const {
  const int64_t own = static_cast<int64_t>(used_bytes()) - limit_;
  return std::max({int64_t{0}, own, whole_ == nullptr ? 0 : whole_->cache_excess()});
}

bool CacheBudget::NearlyFull() const {
  const auto used = static_cast<int64_t>(used_bytes());
  int64_t room = limit_ - used;
  if (whole_ != nullptr) {
    room = std::min(room, whole_->limit_bytes() - whole_->firm_bytes() - whole_->overhead_bytes() -
                              whole_->cached_bytes());
  }
  return room < used / 16;
}

void CacheBudget::Rebalance() {
  base::MutexLock lock(mu_);
  double all_lookups = 0;
  std::vector<double> weights;
  for (Member& member : members_) {
    const NodeCache::Counters counters = member.cache->counters();
    const uint64_t lookups = counters.hits + counters.misses;
    weights.push_back(static_cast<double>(lookups - std::exchange(member.lookups, lookups)));
    all_lookups += weights.back();
  }
  const int64_t excess = Excess();
  if (excess == 0 && (members_.size() < 2 || !NearlyFull())) return;
  // Everybody has a share, used or not: a quarter of the memory goes by heads.
  const double by_head = all_lookups / (3.0 * static_cast<double>(members_.size())) + 1;
  const double all_weights = all_lookups + by_head * static_cast<double>(members_.size());
  const auto used = static_cast<double>(used_bytes());
  for (size_t i = 0; i < members_.size(); ++i) {
    NodeCache& cache = *members_[i].cache;
    const auto has = static_cast<double>(cache.charged_bytes());
    double keeps = has - static_cast<double>(excess) * has / std::max(1.0, used);
    const double share = used * (weights[i] + by_head) / all_weights;
    if (members_.size() > 1 && has > share) keeps = std::min(keeps, has - (has - share) / 8);
    if (keeps < has) cache.Shrink(static_cast<int64_t>(keeps));
  }
}

}  // namespace sop::txn
