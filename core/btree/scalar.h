#pragma once

#include <compare>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <variant>

#include "absl/status/status.h"
#include "core/base/ids.h"

namespace sop::btree {

// The type byte of an encoded field. Numbers are stored and never change; those between are free.
enum class ScalarType : uint8_t {
  kNull = 0x00,  // reserved: refused today
  kBool = 0x08,
  kInt64 = 0x10,
  // 0x14 is reserved for int128 and 0x18 for decimal.
  kDouble = 0x20,
  // 0x28 is reserved for date.
  kTimestamp = 0x30,
  kUuid = 0x38,
  kString = 0x40,
  kBytes = 0x48,
};

enum class Direction : uint8_t { kAscending = 0, kDescending = 1 };

struct Bytes {
  std::string value;
  friend auto operator<=>(const Bytes&, const Bytes&) = default;
};

// Nanoseconds since 1970-01-01T00:00:00Z.
struct Timestamp {
  int64_t nanos = 0;
  friend auto operator<=>(const Timestamp&, const Timestamp&) = default;
};

using Scalar = std::variant<bool, int64_t, double, std::string, Bytes, Uuid, Timestamp>;

ScalarType TypeOf(const Scalar& scalar);
// "int64", "string", ...; "unknown" for a number that is no type.
std::string_view TypeName(ScalarType type);
// The type of that name, unless there is none or it is refused today.
std::optional<ScalarType> TypeNamed(std::string_view name);
// For error messages: escaped and cut at 64 characters.
std::string Printable(const Scalar& scalar);

// Appends the order-preserving bytes of `scalar` (docs/formats/key.md). `field` is named in errors;
// empty for a scalar key. INVALID_KEY for NaN, a string that is not UTF-8, or one that alone
// exceeds kMaxKeySizeBytes; `out` is then unchanged.
absl::Status AppendScalar(std::string_view field, const Scalar& scalar, Direction direction,
                          std::string* out);

// One field of encoded bytes that was found to be well formed. Borrows the bytes.
struct EncodedField {
  ScalarType type = ScalarType::kNull;
  Direction direction = Direction::kAscending;
  // Type byte included.
  std::string_view bytes;
};

// Takes the next field off the front of `rest`. Accepts exactly what AppendScalar writes, never
// fails on any bytes but with INVALID_KEY; `rest` is then unchanged.
absl::Status TakeField(std::string_view* rest, EncodedField* field);

// REQUIRES: `field` comes from TakeField.
Scalar DecodeField(const EncodedField& field);

}  // namespace sop::btree
