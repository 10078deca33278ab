#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <variant>
#include <vector>

#include "absl/status/status.h"
#include "core/btree/scalar.h"

namespace sop::catalog {

// Filters in filters, the outermost included.
inline constexpr size_t kMaxFilterDepth = 20;
// Conditions and combinations of one filter.
inline constexpr size_t kMaxFilterParts = 1'000;
// Values that one filter compares with, in all its conditions.
inline constexpr size_t kMaxFilterOperands = 10'000;
// Names of one path into a value.
inline constexpr size_t kMaxFilterPathNames = 20;

// What a field is compared with: null, or a scalar.
using Literal = std::variant<std::monostate, btree::Scalar>;

enum class FieldSource : uint8_t {
  kKeyOrValue,  // the key if its schema has a field of this (only) name, else the value
  kKey,
  kValue,
};

// Where a field is. Without names: the scalar key, or the value as a whole.
struct FieldPath {
  FieldSource source = FieldSource::kKeyOrValue;
  std::vector<std::string> names;
};

// As users write it, for messages: "address.city", "key" or "value" without names.
std::string Printable(const FieldPath& field);

enum class FilterOperator : uint8_t {
  kEqual,
  kNotEqual,
  kLess,
  kLessOrEqual,
  kGreater,
  kGreaterOrEqual,
  kIn,      // equals one of the operands
  kPrefix,  // a string or bytes that begins so
  kExists,  // is there (operand true), or is not (false)
};

struct Condition {
  FieldPath field;
  FilterOperator op = FilterOperator::kEqual;
  // One, but for kIn.
  std::vector<Literal> operands;
};

// A condition or a combination of filters; by default the one that lets everything through.
struct Filter {
  enum class Kind : uint8_t { kCondition, kAll, kAny, kNot };

  Kind kind = Kind::kAll;
  Condition condition;
  // Any number of them; one for kNot.
  std::vector<Filter> parts;
};

// INVALID_ARGUMENT, naming the field or the limit, for a filter that is too large or whose
// conditions lack an operand of the right kind. Needs no schema.
absl::Status CheckFilter(const Filter& filter);

}  // namespace sop::catalog
