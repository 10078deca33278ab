#pragma once

#include "absl/status/statusor.h"
#include "core/base/ids.h"
#include "core/catalog/check/check_report.h"
#include "core/catalog/check/repair_report.h"
#include "core/persistence/copy_target.h"
#include "core/persistence/storage.h"

namespace sop::check {

// Copies the state `snapshot` to `target`: trees without findings as they are, the others as far as
// they can be read, with exact counts. Values and trees that nothing refers to stay behind. What is
// lost is in the report, range by range. Does not call CopyTarget::Finish. `found`: of a check of
// this very snapshot. Fails if storage or target fail in another way than by damage.
absl::StatusOr<RepairReport> CopySound(const persistence::StorageSnapshot& snapshot,
                                       const CheckReport& found, persistence::CopyTarget& target);

}  // namespace sop::check
