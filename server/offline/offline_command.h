#pragma once

#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "core/base/clock.h"
#include "core/base/ids.h"
#include "core/persistence/copy_target.h"
#include "core/persistence/maintenance.h"
#include "core/persistence/storage.h"

namespace sop::offline {

// What offline work needs of the storage in a folder that no server has open.
struct Backend {
  // For checks: nothing in the folder is changed.
  std::function<absl::StatusOr<std::unique_ptr<persistence::Storage>>(const std::string& folder)>
      inspect;
  // A copy beside the damaged database, and what puts it in its place: the path where the damaged
  // files are then, empty if there is no copy.
  std::function<absl::StatusOr<std::unique_ptr<persistence::CopyTarget>>(const std::string& folder,
                                                                         Uuid database_id)>
      make_copy;
  std::function<absl::StatusOr<std::string>(const std::string& folder)> exchange;
  // Makes a database that cannot be opened at all one that can; where the original is then.
  std::function<absl::StatusOr<std::string>(const std::string& folder)> gather;
  // Turns on what this release knows; the features that were not on before.
  std::function<absl::StatusOr<std::vector<std::string>>(const std::string& folder)> upgrade;
  // Must outlive the command.
  persistence::Backups* backups = nullptr;
  base::Clock* clock = nullptr;
};

// Runs `sopd check | repair | restore | upgrade ...` and returns the exit code: 0 done and sound, 1
// problems were found or something was lost, 2 it could not be done. Nothing if the first argument
// is none of these. Reports go to stdout, failures to stderr.
std::optional<int> RunCommand(const std::vector<std::string>& arguments, const Backend& backend);

}  // namespace sop::offline
