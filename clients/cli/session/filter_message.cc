#include "clients/cli/session/filter_message.h"

#include <absl/strings/str_join.h>
#include <absl/strings/str_split.h>
#include <fmt/format.h>

#include <optional>
#include <string>
#include <vector>

#include "clients/cli/session/messages.h"
#include "clients/cli/text/column_type.h"
#include "clients/cli/text/json.h"
#include "core/base/bytes.h"
#include "core/base/error.h"
#include "core/base/status_macros.h"

namespace sop::cli {
namespace {

absl::Status Wrong(std::string_view field, std::string_view problem) {
  return Error(Reason::kInvalidArgument,
               fmt::format("filter on field \"{}\" {}", base::Printable(field), problem),
               {{"field", std::string(field)}});
}

// A field of a filter, and how the texts that it is compared with are read.
struct Field {
  std::string name;
  v1::FieldPath path;
  std::optional<ColumnType> type;
};

std::optional<ColumnType> TypeIn(const StoreKeys& keys, const v1::FieldPath& path) {
  if (!keys.schema || path.source() == v1::FIELD_SOURCE_VALUE || path.names_size() > 1) {
    return std::nullopt;
  }
  const int number = keys.schema->FieldNumber(path.names().empty() ? "" : path.names(0));
  if (number < 0) return std::nullopt;
  return ColumnTypeOf(keys.schema->fields()[static_cast<size_t>(number)].type);
}

// Makes the messages of one filter.
class FilterReader {
 public:
  explicit FilterReader(const StoreKeys& keys) : keys_(keys) {}

  absl::StatusOr<v1::Filter> Read(const Json& json) const {
    if (!json.is_object()) return Wrong("filter", "is no JSON object");
    v1::Filter all;
    auto* const parts = all.mutable_all_of()->mutable_filters();
    for (const auto& [name, test] : json.items()) {
      SOP_ASSIGN_OR_RETURN(*parts->Add(), Member(name, test));
    }
    if (parts->size() != 1) return all;
    v1::Filter only = parts->Get(0);
    return only;
  }

 private:
  absl::StatusOr<v1::Filter> Member(const std::string& name, const Json& test) const {
    v1::Filter filter;
    if (name == "$not") {
      SOP_ASSIGN_OR_RETURN(*filter.mutable_negation(), Read(test));
      return filter;
    }
    if (name == "$and" || name == "$or" || name == "$nor") return Joined(name, test);
    SOP_ASSIGN_OR_RETURN(const Field field, FieldOf(name));
    if (!test.is_object()) return Tested(field, "$eq", test);
    return AllTested(field, test);
  }

  absl::StatusOr<v1::Filter> Joined(const std::string& name, const Json& list) const {
    if (!list.is_array()) return Wrong(name, "takes an array of filters");
    v1::Filter filter;
    v1::FilterList* const parts =
        name == "$and" ? filter.mutable_all_of() : filter.mutable_any_of();
    for (const Json& each : list) {
      SOP_ASSIGN_OR_RETURN(*parts->add_filters(), Read(each));
    }
    return name == "$nor" ? Inverse(filter) : filter;
  }

  absl::StatusOr<Field> FieldOf(const std::string& name) const {
    Field field{.name = name, .path = {}, .type = std::nullopt};
    std::vector<std::string> names = absl::StrSplit(name, '.');
    if (names.front() == "$key" || names.front() == "$value") {
      field.path.set_source(names.front() == "$key" ? v1::FIELD_SOURCE_KEY
                                                    : v1::FIELD_SOURCE_VALUE);
      names.erase(names.begin());
    } else if (name.empty() || name.starts_with('$')) {
      return Wrong(name, "is neither a field nor one of $and, $or, $nor, $not, $key, $value");
    }
    for (const std::string& each : names) field.path.add_names(each);
    field.type = TypeIn(keys_, field.path);
    return field;
  }

  absl::StatusOr<v1::Filter> AllTested(const Field& field, const Json& tests) const {
    if (tests.empty()) return Wrong(field.name, "is compared with an object: name its members");
    v1::Filter all;
    for (const auto& [op, operand] : tests.items()) {
      SOP_ASSIGN_OR_RETURN(*all.mutable_all_of()->add_filters(), Tested(field, op, operand));
    }
    if (tests.size() > 1) return all;
    v1::Filter only = all.all_of().filters(0);
    return only;
  }

  absl::StatusOr<v1::Filter> Tested(const Field& field, const std::string& op,
                                    const Json& operand) const {
    v1::Filter filter;
    v1::Condition* const condition = filter.mutable_condition();
    *condition->mutable_field() = field.path;
    if (v1::Operand* const one = OperandOf(op, condition); one != nullptr) {
      SOP_RETURN_IF_ERROR(Fill(field, operand, one));
      return filter;
    }
    if (op == "$not") {
      if (!operand.is_object()) return Wrong(field.name, "takes an object of operators in $not");
      SOP_ASSIGN_OR_RETURN(*filter.mutable_negation(), AllTested(field, operand));
      return filter;
    }
    if (op == "$in" || op == "$nin") {
      if (!operand.is_array()) return Wrong(field.name, fmt::format("takes an array in {}", op));
      v1::OperandList* const list = condition->mutable_one_of();
      for (const Json& each : operand) {
        SOP_RETURN_IF_ERROR(Fill(field, each, list->add_operands()));
      }
      return op == "$nin" ? Inverse(filter) : filter;
    }
    if (op == "$exists" && operand.is_boolean()) {
      condition->set_exists(operand.get<bool>());
      return filter;
    }
    if (op == "$prefix") {
      SOP_RETURN_IF_ERROR(FillScalar(field, operand, condition->mutable_prefix()));
      return filter;
    }
    return Wrong(field.name, fmt::format("has {}, which is none of $eq, $ne, $gt, $gte, $lt, $lte, "
                                         "$in, $nin, $prefix, $exists (true or false), $not",
                                         base::Printable(op)));
  }

  static v1::Operand* OperandOf(const std::string& op, v1::Condition* condition) {
    if (op == "$eq") return condition->mutable_equal();
    if (op == "$ne") return condition->mutable_not_equal();
    if (op == "$gt") return condition->mutable_greater();
    if (op == "$gte") return condition->mutable_greater_or_equal();
    if (op == "$lt") return condition->mutable_less();
    if (op == "$lte") return condition->mutable_less_or_equal();
    return nullptr;
  }

  static absl::Status Fill(const Field& field, const Json& json, v1::Operand* operand) {
    if (!json.is_null()) return FillScalar(field, json, operand->mutable_scalar());
    operand->set_null_value(true);
    return absl::OkStatus();
  }

  static absl::Status FillScalar(const Field& field, const Json& json, v1::Scalar* out) {
    // Numbers compare by value with numbers of either type.
    const auto type = json.is_string() ? field.type : std::nullopt;
    const auto scalar = ScalarFromJson(json, type);
    if (!scalar.ok()) {
      return Wrong(field.name, fmt::format("compares with what is no scalar: {}",
                                           std::string(scalar.status().message())));
    }
    ScalarToProto(*scalar, out);
    return absl::OkStatus();
  }

  static v1::Filter Inverse(const v1::Filter& filter) {
    v1::Filter inverse;
    *inverse.mutable_negation() = filter;
    return inverse;
  }

  const StoreKeys& keys_;
};

}  // namespace

absl::StatusOr<v1::Filter> ParseFilter(const StoreKeys& keys, std::string_view text) {
  const std::optional<Json> json = ParseJson(text);
  if (!json.has_value()) return Wrong("filter", "is no JSON");
  return FilterReader(keys).Read(*json);
}

}  // namespace sop::cli
