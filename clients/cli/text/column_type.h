#pragma once

#include <optional>
#include <string>
#include <string_view>

#include "absl/status/statusor.h"
#include "clients/cli/text/json.h"
#include "core/btree/scalar.h"

namespace sop::cli {

// How the text of a column, an argument or a field of a key is read.
enum class ColumnType {
  kString,
  kBool,   // true or false
  kInt64,  // decimal, or hexadecimal behind 0x
  kHex,    // an int64 in hexadecimal digits, as code points are written
  kDouble,
  kBytes,      // base64
  kUuid,       // 8-4-4-4-12 hexadecimal digits
  kTimestamp,  // RFC 3339, or nanoseconds since 1970
  kJson,       // any JSON document; never in keys
};

// The types users may name, for messages.
inline constexpr std::string_view kColumnTypeNames =
    "string, bool, int64, hex, double, bytes, uuid, timestamp, json";

std::optional<ColumnType> ColumnTypeNamed(std::string_view name);
ColumnType ColumnTypeOf(btree::ScalarType type);
// The type of keys of such a column; nullopt for JSON.
std::optional<btree::ScalarType> ScalarTypeOf(ColumnType type);

// INVALID_ARGUMENT saying what was expected. REQUIRES: not kJson.
absl::StatusOr<btree::Scalar> ParseScalar(ColumnType type, std::string_view text);

// The text that ParseScalar reads back.
std::string ScalarText(const btree::Scalar& scalar);

// Strings, truth values and numbers as such, other types as an object that names the type:
// {"$uuid": "..."}, {"$timestamp": "..."}, {"$bytes": "..."}, {"$double": "inf"}.
Json ScalarJson(const btree::Scalar& scalar);

// Reads what ScalarJson wrote, as `type` if one is given: then the text of any type will do.
// INVALID_ARGUMENT if it cannot be that.
absl::StatusOr<btree::Scalar> ScalarFromJson(const Json& json, std::optional<ColumnType> type);

}  // namespace sop::cli
