#pragma once

#include <functional>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "core/base/clock.h"
#include "core/base/ids.h"
#include "core/catalog/check/check_report.h"
#include "core/catalog/check/snapshot_reader.h"
#include "core/catalog/store_entry.h"
#include "core/persistence/maintenance.h"
#include "core/persistence/storage.h"

namespace sop::check {

struct CheckOptions {
  // Trees and parts of trees are checked at once by this many threads. Default 2; at least 1.
  int threads = 2;
  // Called now and then; an error ends the check with it. May be null. Thread-safe.
  std::function<absl::Status()> wanted;
};

// The trees that a database ought to have, and whose they are.
struct KnownTrees {
  std::map<TreeId, std::string> names;  // tree to store; the catalog is "catalog"
  std::vector<catalog::StoreEntry> entries;
};

// What the catalog says. Entries that cannot be understood are findings.
absl::StatusOr<KnownTrees> ReadCatalog(SnapshotReader& reader, CheckReport* report);

// Trees that have nodes or values, ascending.
absl::StatusOr<std::vector<TreeId>> TreesIn(const persistence::StorageSnapshot& snapshot);

// Checks one state of a database against itself: order, counts and checksums of the trees,
// references between items and values, orphans, catalog, rows of the engine. Reads everything once,
// in sequence. Problems are in the report; a status is for what could not be done.
absl::StatusOr<CheckReport> CheckDatabase(const persistence::StorageSnapshot& snapshot,
                                          const CheckOptions& options, base::Clock& clock);

// Adds what a storage found wrong with its files. Names stores by `names`.
void AddFiles(const persistence::FileCheck& files, const std::map<TreeId, std::string>& names,
              CheckReport* report);

// CheckDatabase and AddFiles: all that can be said of an open storage. The state is the newest one.
absl::StatusOr<CheckReport> CheckStorage(persistence::Storage& storage, const CheckOptions& options,
                                         base::Clock& clock);

// Opens a storage for checks only.
using Inspector = std::function<absl::StatusOr<std::unique_ptr<persistence::Storage>>()>;

// CheckStorage of a database that nobody serves. That it cannot be opened because of damage is a
// finding; every other reason is a status.
absl::StatusOr<CheckReport> CheckClosed(const Inspector& inspect, const CheckOptions& options,
                                        base::Clock& clock);

}  // namespace sop::check
