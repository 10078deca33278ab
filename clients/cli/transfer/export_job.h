#pragma once

#include <string>

#include "absl/status/status.h"
#include "clients/cli/session/messages.h"
#include "clients/cli/session/session.h"

namespace sop::cli {

// The flags of `sop export`.
struct ExportFlags {
  std::string store;
  // Empty or "-": stdout.
  std::string file;
  // jsonl or csv; empty: csv for a file of that name, else jsonl.
  std::string format;
  RangeText range;
  bool resume = false;
};

// Writes a range of a store as `sop import` reads it back, all of it from one snapshot: that of the
// shell's transaction, or of a read-only one that lives for a day. With `resume` what an earlier
// run has written stays, and what is missing is appended: from the same snapshot if the server
// still has it (ten minutes after that run ended), else from a later one, which is said.
absl::Status RunExport(Session& session, const ExportFlags& flags);

}  // namespace sop::cli
