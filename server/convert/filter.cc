#include "server/convert/filter.h"

#include <string>
#include <utility>

#include "core/base/bytes.h"
#include "core/base/error.h"
#include "core/base/status_macros.h"
#include "fmt/format.h"
#include "server/convert/key.h"

namespace sop::convert {
namespace {

using catalog::FilterOperator;

absl::Status Unknown(const std::string& field, std::string_view what) {
  return Error(Reason::kInvalidArgument,
               fmt::format("filter on field '{}' {}", base::Printable(field), what),
               {{"field", field}});
}

absl::StatusOr<catalog::FieldPath> PathFrom(const v1::FieldPath& path) {
  catalog::FieldPath from;
  from.names.assign(path.names().begin(), path.names().end());
  switch (path.source()) {
    case v1::FIELD_SOURCE_UNSPECIFIED:
      return from;
    case v1::FIELD_SOURCE_KEY:
      from.source = catalog::FieldSource::kKey;
      return from;
    case v1::FIELD_SOURCE_VALUE:
      from.source = catalog::FieldSource::kValue;
      return from;
    default:
      return Unknown(Printable(from), fmt::format("has source {}, which does not exist",
                                                  static_cast<int>(path.source())));
  }
}

absl::StatusOr<catalog::Literal> LiteralFrom(const std::string& field, const v1::Operand& operand) {
  switch (operand.kind_case()) {
    case v1::Operand::kNullValue:
      return catalog::Literal();
    case v1::Operand::kScalar: {
      SOP_ASSIGN_OR_RETURN(btree::Scalar scalar, ScalarFromProto(field, operand.scalar()));
      return catalog::Literal(std::move(scalar));
    }
    case v1::Operand::KIND_NOT_SET:
      break;
  }
  return Unknown(field, "has an operand without a value");
}

// The operator of a test with one operand, and that one.
struct Test {
  FilterOperator op;
  const v1::Operand* operand = nullptr;
};

Test TestOf(const v1::Condition& condition) {
  switch (condition.test_case()) {
    case v1::Condition::kEqual:
      return {FilterOperator::kEqual, &condition.equal()};
    case v1::Condition::kNotEqual:
      return {FilterOperator::kNotEqual, &condition.not_equal()};
    case v1::Condition::kGreater:
      return {FilterOperator::kGreater, &condition.greater()};
    case v1::Condition::kGreaterOrEqual:
      return {FilterOperator::kGreaterOrEqual, &condition.greater_or_equal()};
    case v1::Condition::kLess:
      return {FilterOperator::kLess, &condition.less()};
    case v1::Condition::kLessOrEqual:
      return {FilterOperator::kLessOrEqual, &condition.less_or_equal()};
    default:
      return {FilterOperator::kEqual, nullptr};
  }
}

absl::StatusOr<catalog::Condition> ConditionFrom(const v1::Condition& condition) {
  catalog::Condition from;
  SOP_ASSIGN_OR_RETURN(from.field, PathFrom(condition.field()));
  const std::string name = Printable(from.field);
  if (const Test test = TestOf(condition); test.operand != nullptr) {
    from.op = test.op;
    SOP_ASSIGN_OR_RETURN(from.operands.emplace_back(), LiteralFrom(name, *test.operand));
    return from;
  }
  switch (condition.test_case()) {
    case v1::Condition::kOneOf:
      from.op = FilterOperator::kIn;
      for (const v1::Operand& operand : condition.one_of().operands()) {
        SOP_ASSIGN_OR_RETURN(from.operands.emplace_back(), LiteralFrom(name, operand));
      }
      return from;
    case v1::Condition::kPrefix: {
      from.op = FilterOperator::kPrefix;
      SOP_ASSIGN_OR_RETURN(btree::Scalar prefix, ScalarFromProto(name, condition.prefix()));
      from.operands.emplace_back(std::move(prefix));
      return from;
    }
    case v1::Condition::kExists:
      from.op = FilterOperator::kExists;
      from.operands.emplace_back(btree::Scalar(condition.exists()));
      return from;
    default:
      return Unknown(name, "has no test that this server knows");
  }
}

absl::Status AddParts(const v1::FilterList& list, catalog::Filter* filter) {
  filter->parts.reserve(static_cast<size_t>(list.filters_size()));
  for (const v1::Filter& part : list.filters()) {
    SOP_ASSIGN_OR_RETURN(filter->parts.emplace_back(), FilterFromProto(part));
  }
  return absl::OkStatus();
}

}  // namespace

absl::StatusOr<catalog::Filter> FilterFromProto(const v1::Filter& filter) {
  catalog::Filter from;
  switch (filter.kind_case()) {
    case v1::Filter::kCondition: {
      from.kind = catalog::Filter::Kind::kCondition;
      SOP_ASSIGN_OR_RETURN(from.condition, ConditionFrom(filter.condition()));
      return from;
    }
    case v1::Filter::kAllOf:
      SOP_RETURN_IF_ERROR(AddParts(filter.all_of(), &from));
      return from;
    case v1::Filter::kAnyOf:
      from.kind = catalog::Filter::Kind::kAny;
      SOP_RETURN_IF_ERROR(AddParts(filter.any_of(), &from));
      return from;
    case v1::Filter::kNegation: {
      from.kind = catalog::Filter::Kind::kNot;
      SOP_ASSIGN_OR_RETURN(from.parts.emplace_back(), FilterFromProto(filter.negation()));
      return from;
    }
    case v1::Filter::KIND_NOT_SET:
      break;
  }
  return Error(Reason::kInvalidArgument, "filter says nothing that this server knows",
               {{"field", "filter"}});
}

}  // namespace sop::convert
