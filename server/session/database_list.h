#pragma once

#include <map>
#include <string>
#include <string_view>

#include "absl/status/statusor.h"
#include "core/base/ids.h"

namespace sop::session {

// What a server remembers of a database that it does not hold open.
struct KnownDatabase {
  std::string name;
  // Absolute, links resolved.
  std::string folder;
  // Zero until it was first opened.
  Uuid uuid;
  friend bool operator==(const KnownDatabase&, const KnownDatabase&) = default;
};

// By name, in byte order.
using DatabaseList = std::map<std::string, KnownDatabase, std::less<>>;

// The list as it is kept (docs/formats/database-list.md).
std::string SerializeDatabaseList(const DatabaseList& list);
// DAMAGED naming the line; FORMAT_NOT_SUPPORTED for a later format.
absl::StatusOr<DatabaseList> ParseDatabaseList(std::string_view bytes);

}  // namespace sop::session
