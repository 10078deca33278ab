#pragma once

#include <functional>
#include <string>

#include "absl/status/statusor.h"
#include "core/persistence/maintenance.h"
#include "storage/rocksdb/open_database.h"

namespace sop::rocksdb_storage {

// Reads every live table and blob file of an open database, two at a time, and compares it with the
// checksum that the manifest has of it.
absl::StatusOr<persistence::FileCheck> VerifyTables(const OpenDatabase& database);

}  // namespace sop::rocksdb_storage
