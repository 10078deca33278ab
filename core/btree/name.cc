#include "core/btree/name.h"

#include <fmt/format.h>

#include "core/base/bytes.h"
#include "core/base/error.h"
#include "core/base/utf8.h"
#include "core/btree/limits.h"

namespace sop::btree {
namespace {

std::string_view WhatIsWrong(std::string_view name) {
  if (name.empty()) return "is empty";
  if (!base::IsValidUtf8(name)) return "is not valid UTF-8";
  if (name.find('\0') != name.npos) return "contains NUL";
  if (name.find('/') != name.npos) return "contains a slash";
  if (name.find('\\') != name.npos) return "contains a backslash";
  if (name.find("..") != name.npos) return "contains dot-dot";
  // The folder of a database of this name would be the one that holds all of them.
  if (name == ".") return "is a dot";
  return {};
}

}  // namespace

absl::Status CheckName(std::string_view object, std::string_view name) {
  if (name.size() > kMaxNameSizeBytes) {
    return Error(Reason::kInvalidName,
                 fmt::format("{} name '{}' has {} bytes; the limit is {}", object,
                             base::Printable(name), name.size(), kMaxNameSizeBytes),
                 {{"name", base::Printable(name)}, {"limit", fmt::to_string(kMaxNameSizeBytes)}});
  }
  const std::string_view wrong = WhatIsWrong(name);
  if (wrong.empty()) return absl::OkStatus();
  return Error(Reason::kInvalidName,
               fmt::format("{} name '{}' {}", object, base::Printable(name), wrong),
               {{"name", base::Printable(name)}});
}

}  // namespace sop::btree
