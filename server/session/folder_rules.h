#pragma once

#include <string>
#include <vector>

#include "absl/status/statusor.h"

namespace sop::session {

// Where clients may have databases.
struct FolderRules {
  // Absolute or relative to the server's working folder; need not exist yet.
  std::vector<std::string> roots;
};

// The folder that `given` means: absolute, links resolved as far as the path exists. Nothing is
// made. FOLDER_NOT_ALLOWED unless it lies under (and is not itself) one of the roots, their links
// resolved too; INVALID_ARGUMENT for a path that is relative, empty or holds NUL.
absl::StatusOr<std::string> ResolveFolder(const std::string& given, const FolderRules& rules);

// Whether one is the other or lies in it. REQUIRES: both resolved.
bool FoldersOverlap(const std::string& a, const std::string& b);

}  // namespace sop::session
