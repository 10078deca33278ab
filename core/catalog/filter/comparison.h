#pragma once

#include <compare>
#include <cstdint>
#include <optional>
#include <string_view>
#include <variant>

#include "core/catalog/filter/filter.h"

namespace sop::catalog {

// A number as JSON or a key has it.
using Number = std::variant<int64_t, uint64_t, double>;

// By value, exactly, whatever the types: 2^53 + 1 is above the double 2^53. REQUIRES: no NaN.
std::strong_ordering CompareNumbers(const Number& a, const Number& b);

// Anything of JSON that has no order: objects, and arrays in arrays.
struct Unordered {};

// A value that a path leads to. Borrows its bytes.
struct BytesView {
  std::string_view value;
};
using FoundValue =
    std::variant<std::monostate, bool, Number, std::string_view, BytesView, Unordered>;

// How `found` stands to `literal`; nothing if they are of types that do not compare: only null
// equals null, and numbers compare with numbers, strings with strings, bool with bool.
std::optional<std::strong_ordering> Compare(const FoundValue& found, const Literal& literal);

// Whether an operator that asks for an order, kEqual or kIn is met by one.
bool Holds(FilterOperator op, std::strong_ordering order);

}  // namespace sop::catalog
