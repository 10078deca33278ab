#include "storage/rocksdb/rocksdb_status.h"

#include <fmt/format.h>

#include "core/base/check.h"
#include "core/base/error.h"

namespace sop::rocksdb_storage {

absl::Status FromRocksDb(const rocksdb::Status& status, std::string_view action) {
  SOP_CHECK(!status.ok());
  Reason reason = Reason::kUnavailable;
  if (status.IsNoSpace()) {
    reason = Reason::kDiskFull;
  } else if (status.IsCorruption() || status.IsInvalidArgument() || status.IsPathNotFound() ||
             status.IsNotFound()) {
    reason = Reason::kDamaged;
  }
  return Error(reason, fmt::format("cannot {}: {}", action, status.ToString()));
}

}  // namespace sop::rocksdb_storage
