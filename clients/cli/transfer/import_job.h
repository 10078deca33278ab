#pragma once

#include "absl/status/status.h"
#include "clients/cli/session/session.h"
#include "clients/cli/transfer/import_plan.h"

namespace sop::cli {

// Reads the input in a thread of its own and writes it in chunks, several at once; the store is
// created if it is missing. Malformed lines are named with their numbers. How far it came is kept
// beside the items (ImportProgress), so that with `resume` it goes on where an earlier run ended.
absl::Status RunImport(Session& session, const ImportFlags& flags);

}  // namespace sop::cli
