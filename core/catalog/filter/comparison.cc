#include "core/catalog/filter/comparison.h"

namespace sop::catalog {
namespace {

constexpr double kTwo63 = 9223372036854775808.0;
constexpr double kTwo64 = 18446744073709551616.0;

std::strong_ordering Reversed(std::strong_ordering order) { return 0 <=> order; }

std::strong_ordering CompareDoubles(double a, double b) {
  if (a < b) return std::strong_ordering::less;
  return a > b ? std::strong_ordering::greater : std::strong_ordering::equal;
}

std::strong_ordering CompareIntegers(int64_t a, uint64_t b) {
  return a < 0 ? std::strong_ordering::less : static_cast<uint64_t>(a) <=> b;
}

// Through the integer part of `b`, which fits the integer's type, and then the rest.
std::strong_ordering CompareToDouble(int64_t a, double b) {
  if (b >= kTwo63) return std::strong_ordering::less;
  if (b < -kTwo63) return std::strong_ordering::greater;
  const auto whole = static_cast<int64_t>(b);
  if (a != whole) return a <=> whole;
  return CompareDoubles(0, b - static_cast<double>(whole));
}

std::strong_ordering CompareToDouble(uint64_t a, double b) {
  if (b >= kTwo64) return std::strong_ordering::less;
  if (b < 0) return std::strong_ordering::greater;
  const auto whole = static_cast<uint64_t>(b);
  if (a != whole) return a <=> whole;
  return CompareDoubles(0, b - static_cast<double>(whole));
}

struct NumberComparison {
  std::strong_ordering operator()(int64_t a, int64_t b) const { return a <=> b; }
  std::strong_ordering operator()(uint64_t a, uint64_t b) const { return a <=> b; }
  std::strong_ordering operator()(double a, double b) const { return CompareDoubles(a, b); }
  std::strong_ordering operator()(int64_t a, uint64_t b) const { return CompareIntegers(a, b); }
  std::strong_ordering operator()(uint64_t a, int64_t b) const {
    return Reversed(CompareIntegers(b, a));
  }
  std::strong_ordering operator()(int64_t a, double b) const { return CompareToDouble(a, b); }
  std::strong_ordering operator()(uint64_t a, double b) const { return CompareToDouble(a, b); }
  std::strong_ordering operator()(double a, int64_t b) const {
    return Reversed(CompareToDouble(b, a));
  }
  std::strong_ordering operator()(double a, uint64_t b) const {
    return Reversed(CompareToDouble(b, a));
  }
};

std::optional<std::strong_ordering> CompareScalar(const FoundValue& found,
                                                  const btree::Scalar& scalar) {
  if (const auto* number = std::get_if<Number>(&found)) {
    if (const auto* whole = std::get_if<int64_t>(&scalar)) return CompareNumbers(*number, *whole);
    if (const auto* real = std::get_if<double>(&scalar)) return CompareNumbers(*number, *real);
    return std::nullopt;
  }
  if (const auto* text = std::get_if<std::string_view>(&found)) {
    const auto* other = std::get_if<std::string>(&scalar);
    if (other == nullptr) return std::nullopt;
    return *text <=> std::string_view(*other);
  }
  if (const auto* truth = std::get_if<bool>(&found)) {
    const auto* other = std::get_if<bool>(&scalar);
    if (other == nullptr) return std::nullopt;
    return *truth <=> *other;
  }
  if (const auto* bytes = std::get_if<BytesView>(&found)) {
    const auto* other = std::get_if<btree::Bytes>(&scalar);
    if (other == nullptr) return std::nullopt;
    return bytes->value <=> std::string_view(other->value);
  }
  return std::nullopt;
}

}  // namespace

std::strong_ordering CompareNumbers(const Number& a, const Number& b) {
  return std::visit(NumberComparison(), a, b);
}

std::optional<std::strong_ordering> Compare(const FoundValue& found, const Literal& literal) {
  if (const auto* scalar = std::get_if<btree::Scalar>(&literal)) {
    return CompareScalar(found, *scalar);
  }
  if (!std::holds_alternative<std::monostate>(found)) return std::nullopt;
  return std::strong_ordering::equal;
}

bool Holds(FilterOperator op, std::strong_ordering order) {
  switch (op) {
    case FilterOperator::kLess:
      return order < 0;
    case FilterOperator::kLessOrEqual:
      return order <= 0;
    case FilterOperator::kGreater:
      return order > 0;
    case FilterOperator::kGreaterOrEqual:
      return order >= 0;
    default:
      return order == 0;
  }
}

}  // namespace sop::catalog
