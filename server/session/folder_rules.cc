#include "server/session/folder_rules.h"

#include <algorithm>
#include <filesystem>
#include <system_error>

#include "core/base/bytes.h"
#include "core/base/error.h"
#include "fmt/format.h"

namespace sop::session {
namespace {

namespace fs = std::filesystem;

absl::Status BadPath(const std::string& given, std::string_view problem) {
  return Error(Reason::kInvalidArgument,
               fmt::format("folder \"{}\" {}", base::Printable(given), problem),
               {{"folder", base::Printable(given)}});
}

// Empty if the path cannot be resolved, as with a loop of links.
fs::path Resolved(const fs::path& path) {
  std::error_code error;
  fs::path resolved = fs::weakly_canonical(fs::absolute(path, error), error);
  if (error) return {};
  // "/a/b/" and "/a/b" are one folder.
  return resolved.has_filename() ? resolved : resolved.parent_path();
}

// Whether `inner` is `outer` or lies in it, part by part: "/ab" does not lie in "/a".
bool LiesIn(const fs::path& inner, const fs::path& outer) {
  const auto end = std::mismatch(outer.begin(), outer.end(), inner.begin(), inner.end()).first;
  return end == outer.end();
}

}  // namespace

absl::StatusOr<std::string> ResolveFolder(const std::string& given, const FolderRules& rules) {
  if (given.empty()) return BadPath(given, "is empty");
  if (given.find('\0') != std::string::npos) return BadPath(given, "holds NUL");
  if (given.front() != '/') return BadPath(given, "must be an absolute path on the server");
  const fs::path folder = Resolved(given);
  if (folder.empty()) return BadPath(given, "cannot be resolved");
  for (const std::string& root : rules.roots) {
    const fs::path allowed = Resolved(root);
    if (!allowed.empty() && folder != allowed && LiesIn(folder, allowed)) return folder.string();
  }
  return Error(Reason::kFolderNotAllowed,
               fmt::format("folder {} lies under none of the server's stores roots",
                           base::Printable(folder.string())),
               {{"folder", base::Printable(given)}});
}

bool FoldersOverlap(const std::string& a, const std::string& b) {
  return LiesIn(a, b) || LiesIn(b, a);
}

}  // namespace sop::session
