#pragma once

#include "core/catalog/check/check_report.h"
#include "core/catalog/check/database_check.h"
#include "core/persistence/storage.h"

namespace sop::check {

// Reads all rows of the engine: count records, totals, tree numbers, outcomes.
void CheckRows(const persistence::StorageSnapshot& snapshot, const KnownTrees& known,
               CheckReport* report);

}  // namespace sop::check
