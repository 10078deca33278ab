#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <span>

#include "core/base/ids.h"
#include "core/base/mutex.h"

namespace sop::txn {

// Tells those who follow feeds that something was published. Thread-safe.
class FeedBell {
 public:
  // `ring` is called after each publication of changes to `tree`, and when the log has failed, on
  // the committer's threads, one call at a time: it must return soon and not add or remove
  // listeners. Returns what to remove it by.
  uint64_t Add(TreeId tree, std::function<void()> ring) SOP_EXCLUDES(mu_);
  // `ring` is not called any more when this returns.
  void Remove(uint64_t listener) SOP_EXCLUDES(mu_);

  void Ring(std::span<const TreeId> trees) SOP_EXCLUDES(mu_);
  void RingAll() SOP_EXCLUDES(mu_);

 private:
  struct Listener {
    TreeId tree;
    std::function<void()> ring;
  };

  base::Mutex mu_;
  std::map<uint64_t, Listener> listeners_ SOP_GUARDED_BY(mu_);
  uint64_t next_ SOP_GUARDED_BY(mu_) = 1;
};

}  // namespace sop::txn
