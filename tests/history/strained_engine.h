#pragma once

#include <memory>
#include <string>
#include <utility>

#include "core/base/clock.h"
#include "core/base/file_system.h"
#include "core/base/random.h"
#include "core/base/thread_pool.h"
#include "core/txn/engine.h"

namespace sop::history {

// Options under which few transactions reach every corner of an engine: small nodes, a cache of a
// few nodes, a conflict window of a few groups, constant folds. `pool` is borrowed.
inline txn::EngineOptions StrainedEngine(base::ThreadPool& pool, std::string spill_folder) {
  txn::EngineOptions options;
  options.clock = &base::SystemClock();
  options.random = &base::SystemRandom();
  options.files = &base::SystemFileSystem();
  options.pool = &pool;
  options.cache = std::make_shared<txn::CacheBudget>(size_t{48} << 10);
  options.spill_folder = std::move(spill_folder);
  options.limits.conflict_window_bytes = size_t{64} << 10;
  options.nodes.image_bytes = 512;
  options.groups_between_folds = 7;
  return options;
}

}  // namespace sop::history
