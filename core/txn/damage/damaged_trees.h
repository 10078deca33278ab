#pragma once

#include <atomic>
#include <optional>
#include <string>
#include <string_view>

#include "absl/container/flat_hash_map.h"
#include "core/base/ids.h"
#include "core/base/mutex.h"

namespace sop::txn {

// Trees in which damage was met since the database was opened. What is in the cache of such a tree
// could still be read and written, until it happens to be evicted: whoever opens it is refused
// instead, so that it is off for all alike. Thread-safe.
class DamagedTrees {
 public:
  // The first reason stays. The catalog is never marked: its stores are one by one.
  void Mark(TreeId tree, std::string_view why) SOP_EXCLUDES(mu_) {
    if (tree == kCatalogTree) return;
    const base::MutexLock lock(mu_);
    trees_.try_emplace(tree, why);
    any_.store(true, std::memory_order_release);
  }

  // Why, or nothing for a tree that is well as far as is known.
  std::optional<std::string> Find(TreeId tree) const SOP_EXCLUDES(mu_) {
    // Pairs with the store in Mark: nearly always there is nothing to look for.
    if (!any_.load(std::memory_order_acquire)) return std::nullopt;
    const base::MutexLock lock(mu_);
    const auto found = trees_.find(tree);
    if (found == trees_.end()) return std::nullopt;
    return found->second;
  }

  size_t size() const SOP_EXCLUDES(mu_) {
    const base::MutexLock lock(mu_);
    return trees_.size();
  }

 private:
  std::atomic<bool> any_{false};
  mutable base::Mutex mu_;
  absl::flat_hash_map<TreeId, std::string> trees_ SOP_GUARDED_BY(mu_);
};

}  // namespace sop::txn
