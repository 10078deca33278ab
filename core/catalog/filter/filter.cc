#include "core/catalog/filter/filter.h"

#include <absl/strings/str_join.h>
#include <fmt/format.h>

#include "core/base/bytes.h"
#include "core/base/error.h"
#include "core/base/status_macros.h"

namespace sop::catalog {
namespace {

absl::Status TooMany(std::string_view what, size_t got, size_t limit) {
  return Error(Reason::kInvalidArgument,
               fmt::format("filter has {} {}; the limit is {}", got, what, limit),
               {{"field", "filter"}, {"limit", fmt::to_string(limit)}});
}

absl::Status Wrong(const FieldPath& field, std::string_view what) {
  const std::string name = Printable(field);
  return Error(Reason::kInvalidArgument,
               fmt::format("filter on field '{}' {}", base::Printable(name), what),
               {{"field", name}});
}

// Whether it is a scalar of that type.
template <typename Type>
bool Is(const Literal& literal) {
  const auto* scalar = std::get_if<btree::Scalar>(&literal);
  return scalar != nullptr && std::holds_alternative<Type>(*scalar);
}

absl::Status CheckCondition(const Condition& condition) {
  const FieldPath& field = condition.field;
  if (field.names.size() > kMaxFilterPathNames) {
    return TooMany("names in a path", field.names.size(), kMaxFilterPathNames);
  }
  if (field.names.empty() && field.source == FieldSource::kKeyOrValue) {
    return Wrong(field, "names no field");
  }
  if (field.names.size() > 1 && field.source == FieldSource::kKey) {
    return Wrong(field, "is a path; fields of keys have one name");
  }
  if (condition.op == FilterOperator::kIn) return absl::OkStatus();
  if (condition.operands.size() != 1) return Wrong(field, "has no operand");
  const Literal& operand = condition.operands.front();
  switch (condition.op) {
    case FilterOperator::kExists:
      return Is<bool>(operand) ? absl::OkStatus() : Wrong(field, "needs true or false");
    case FilterOperator::kPrefix:
      return Is<std::string>(operand) || Is<btree::Bytes>(operand)
                 ? absl::OkStatus()
                 : Wrong(field, "needs a string or bytes as prefix");
    case FilterOperator::kLess:
    case FilterOperator::kLessOrEqual:
    case FilterOperator::kGreater:
    case FilterOperator::kGreaterOrEqual:
      return std::holds_alternative<btree::Scalar>(operand)
                 ? absl::OkStatus()
                 : Wrong(field, "asks for an order with null, which has none");
    default:
      return absl::OkStatus();
  }
}

// What all parts together have.
struct Size {
  size_t parts = 0;
  size_t operands = 0;
};

absl::Status Check(const Filter& filter, size_t depth, Size* size) {
  if (depth > kMaxFilterDepth) return TooMany("levels", depth, kMaxFilterDepth);
  if (++size->parts > kMaxFilterParts) return TooMany("parts", size->parts, kMaxFilterParts);
  if (filter.kind == Filter::Kind::kCondition) {
    size->operands += filter.condition.operands.size();
    if (size->operands > kMaxFilterOperands) {
      return TooMany("operands", size->operands, kMaxFilterOperands);
    }
    return CheckCondition(filter.condition);
  }
  for (const Filter& part : filter.parts) SOP_RETURN_IF_ERROR(Check(part, depth + 1, size));
  return absl::OkStatus();
}

}  // namespace

std::string Printable(const FieldPath& field) {
  if (!field.names.empty()) return absl::StrJoin(field.names, ".");
  return field.source == FieldSource::kKey ? "key" : "value";
}

absl::Status CheckFilter(const Filter& filter) {
  Size size;
  return Check(filter, 1, &size);
}

}  // namespace sop::catalog
