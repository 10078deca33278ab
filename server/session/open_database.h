#pragma once

#include <atomic>
#include <cstdint>
#include <memory>
#include <string>

#include "core/base/ids.h"
#include "core/catalog/database.h"
#include "server/observe/metrics.h"

namespace sop::session {

// A database held open, and what is counted of it. Whoever shares it keeps it
// from being closed. Thread-safe.
struct OpenDatabase {
  // Constant after construction.
  std::string name;
  std::string folder;
  Uuid uuid;
  observe::DatabaseMetrics metrics;
  std::unique_ptr<catalog::Database> engine;

  // Synchronises itself: monotonic nanoseconds of the last request that asked for it.
  std::atomic<int64_t> last_used_nanos = 0;
};

}  // namespace sop::session
