#pragma once

#include <cstddef>

namespace sop::rocksdb_storage {

// When and how far logs are filled ahead; see LogFileSystem.
struct LogFilling {
  // Zeros written at once.
  size_t fill_bytes = size_t{256} << 10;
  // A log is filled while syncs come at least this often, in bytes, counted over as many syncs.
  size_t synced_bytes = size_t{4} << 10;
  size_t syncs_counted = 16;
};

}  // namespace sop::rocksdb_storage
