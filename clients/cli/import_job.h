#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "clients/cli/import_input.h"
#include "clients/cli/session/session.h"

namespace sop::cli {

// The flags of `sop import`.
struct ImportFlags {
  std::string store;
  InputFlags input;
  std::vector<std::string> columns;
  std::vector<std::string> key;
  std::vector<std::string> ride_on;
  std::vector<std::string> types;
  std::string value_column;
  bool one_transaction = false;
  // Items.
  uint64_t batch = 5000;
  std::string existing = "replace";
  bool skip_malformed = false;
};

// Reads the input twice: first to find malformed lines, before anything is written, then to write.
// With `skip_malformed` once, naming what is left out. The store is created if it is missing.
absl::Status RunImport(Session& session, const ImportFlags& flags);

}  // namespace sop::cli
