#pragma once

#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "clients/cli/text/column_type.h"
#include "core/base/string_map.h"
#include "core/btree/scalar.h"
#include "sop/v1/types.pb.h"

namespace sop::cli {

// A field of the order of a store as flags name it.
struct KeyColumn {
  std::string name;
  btree::Direction direction = btree::Direction::kAscending;
};

// "a", or "a:desc" for a descending field.
std::vector<KeyColumn> ParseKeyColumns(const std::vector<std::string>& texts);

// "a=int64"; a usage error names what is not so.
absl::StatusOr<base::StringMap<ColumnType>> ParseTypes(const std::vector<std::string>& texts);

// A type that keys can have; a usage error otherwise.
absl::StatusOr<btree::ScalarType> KeyTypeNamed(const std::string& name);

// The order of record keys.
void AddIndex(const std::vector<KeyColumn>& index, v1::BtreeOptions* options);

// The types of record keys; fields that `types` does not name are strings. A usage error if one is
// JSON.
absl::Status DeclareRecord(const std::vector<KeyColumn>& index,
                           const std::vector<std::string>& ride_on,
                           const base::StringMap<ColumnType>& types, v1::BtreeOptions* options);

}  // namespace sop::cli
