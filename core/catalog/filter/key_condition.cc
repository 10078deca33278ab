#include "core/catalog/filter/key_condition.h"

#include <algorithm>
#include <cmath>
#include <utility>

#include <fmt/format.h>

#include "core/base/bytes.h"
#include "core/base/error.h"
#include "core/base/status_macros.h"

namespace sop::catalog {
namespace {

using btree::Direction;
using btree::ScalarType;

constexpr size_t kTerminatorBytes = 2;

bool IsNumber(ScalarType type) { return type == ScalarType::kInt64 || type == ScalarType::kDouble; }

// A number as the other type of numbers, where that is exact.
btree::Scalar AsType(const btree::Scalar& scalar, ScalarType type) {
  if (const auto* whole = std::get_if<int64_t>(&scalar); whole && type == ScalarType::kDouble) {
    const auto real = static_cast<double>(*whole);
    if (CompareNumbers(real, *whole) == 0) return real;
  }
  if (const auto* real = std::get_if<double>(&scalar); real && type == ScalarType::kInt64) {
    constexpr double kTwo63 = 9223372036854775808.0;
    if (*real >= -kTwo63 && *real < kTwo63 && std::trunc(*real) == *real) {
      return static_cast<int64_t>(*real);
    }
  }
  return scalar;
}

absl::Status TypeDiffers(const btree::SchemaField& field, ScalarType given) {
  const std::string name = field.name.empty() ? "key" : field.name;
  return Error(
      Reason::kKeyTypeDiffers,
      fmt::format("filter on field '{}' compares with a {}; the key has a {}",
                  base::Printable(name), btree::TypeName(given), btree::TypeName(field.type)),
      {{"field", name},
       {"type", std::string(btree::TypeName(given))},
       {"expected", std::string(btree::TypeName(field.type))}});
}

FoundValue NumberIn(const btree::EncodedField& field) {
  const btree::Scalar scalar = btree::DecodeField(field);
  if (const auto* whole = std::get_if<int64_t>(&scalar)) return Number(*whole);
  if (const auto* real = std::get_if<double>(&scalar)) return Number(*real);
  return Unordered();
}

bool MeetsOperand(const BoundCondition& condition, size_t number,
                  const btree::EncodedField& field) {
  const Literal& operand = condition.operands[number];
  if (std::holds_alternative<std::monostate>(operand)) return field.bytes.empty();
  if (field.bytes.empty()) return false;
  const std::string& encoded = condition.encoded[number];
  if (condition.op == FilterOperator::kPrefix) return field.bytes.starts_with(encoded);
  if (encoded.empty()) {
    const auto order = Compare(NumberIn(field), operand);
    return order.has_value() && Holds(condition.op, *order);
  }
  // Inverted bytes have the inverse order.
  const bool inverted = field.direction == Direction::kDescending;
  return Holds(condition.op, inverted ? encoded <=> field.bytes : field.bytes <=> encoded);
}

// The smallest range with all of the operands.
btree::KeyRange Hull(const BoundCondition& condition, std::string_view leading) {
  std::string_view least;
  std::string_view most;
  for (size_t i = 0; i < condition.operands.size(); ++i) {
    // No field of the order is null.
    if (std::holds_alternative<std::monostate>(condition.operands[i])) continue;
    const std::string_view encoded = condition.encoded[i];
    if (encoded.empty()) return btree::PrefixRange(leading);
    if (least.empty() || encoded < least) least = encoded;
    if (most.empty() || encoded > most) most = encoded;
  }
  btree::KeyRange range;
  range.begin = leading;
  range.begin.append(least);
  std::string last(leading);
  last.append(most);
  range.end = least.empty() ? range.begin : btree::PrefixSuccessor(last);
  // Nothing: an empty end would be none.
  if (range.end.empty() && least.empty()) range = {std::string(1, '\0'), std::string(1, '\0')};
  return range;
}

}  // namespace

absl::Status EncodeOperands(BoundCondition* condition) {
  const btree::SchemaField& field = condition->field;
  for (Literal& operand : condition->operands) {
    std::string& encoded = condition->encoded.emplace_back();
    auto* scalar = std::get_if<btree::Scalar>(&operand);
    if (scalar == nullptr || condition->op == FilterOperator::kExists) continue;
    *scalar = AsType(*scalar, field.type);
    const ScalarType type = btree::TypeOf(*scalar);
    const bool numbers = IsNumber(type) && IsNumber(field.type);
    if (type != field.type && !numbers) return TypeDiffers(field, type);
    const Direction direction = field.index_position == btree::SchemaField::kRidesOn
                                    ? Direction::kAscending
                                    : field.direction;
    // Also to refuse what no key may be.
    SOP_RETURN_IF_ERROR(btree::AppendScalar(field.name, *scalar, direction, &encoded));
    if (type != field.type) encoded.clear();
    if (condition->op == FilterOperator::kPrefix) encoded.resize(encoded.size() - kTerminatorBytes);
  }
  return absl::OkStatus();
}

bool FieldHolds(const BoundCondition& condition, const btree::EncodedField& field) {
  if (condition.op == FilterOperator::kExists) {
    return !field.bytes.empty() == std::get<bool>(std::get<btree::Scalar>(condition.operands[0]));
  }
  for (size_t i = 0; i < condition.operands.size(); ++i) {
    if (MeetsOperand(condition, i, field)) return condition.op != FilterOperator::kNotEqual;
  }
  return condition.op == FilterOperator::kNotEqual;
}

btree::KeyRange RangeOf(const BoundCondition& condition, std::string_view leading) {
  if (condition.op == FilterOperator::kIn) return Hull(condition, leading);
  btree::KeyRange range = btree::PrefixRange(leading);
  if (!IsRange(condition)) return range;
  std::string operand(leading);
  operand.append(condition.encoded.front());
  const std::string behind = btree::PrefixSuccessor(operand);
  const bool inverted = condition.field.direction == Direction::kDescending;
  FilterOperator op = condition.op;
  if (inverted && op == FilterOperator::kLess) {
    op = FilterOperator::kGreater;
  } else if (inverted && op == FilterOperator::kLessOrEqual) {
    op = FilterOperator::kGreaterOrEqual;
  } else if (inverted && op == FilterOperator::kGreater) {
    op = FilterOperator::kLess;
  } else if (inverted && op == FilterOperator::kGreaterOrEqual) {
    op = FilterOperator::kLessOrEqual;
  }
  switch (op) {
    case FilterOperator::kLess:
      range.end = operand;
      break;
    case FilterOperator::kLessOrEqual:
      range.end = behind;
      break;
    case FilterOperator::kGreater:
      range.begin = behind;
      break;
    case FilterOperator::kGreaterOrEqual:
      range.begin = operand;
      break;
    default:
      return btree::PrefixRange(operand);
  }
  return range;
}

bool IsRange(const BoundCondition& condition) {
  switch (condition.op) {
    case FilterOperator::kNotEqual:
    case FilterOperator::kIn:
    case FilterOperator::kExists:
      return false;
    default:
      return condition.encoded.size() == 1 && !condition.encoded.front().empty();
  }
}

}  // namespace sop::catalog
