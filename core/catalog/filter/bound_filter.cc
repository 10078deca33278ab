#include "core/catalog/filter/bound_filter.h"

#include <algorithm>
#include <utility>

#include <fmt/format.h>

#include "core/base/bytes.h"
#include "core/base/error.h"
#include "core/base/status_macros.h"
#include "core/catalog/filter/key_condition.h"

namespace sop::catalog {
namespace {

absl::StatusOr<int> FieldNumberOf(const FieldPath& field, const btree::KeySchema& schema) {
  if (field.source == FieldSource::kValue) return BoundCondition::kInValue;
  const bool scalar = schema.form() == btree::KeyForm::kScalar;
  const int number = field.names.empty() == scalar && field.names.size() <= 1
                         ? schema.FieldNumber(field.names.empty() ? "" : field.names.front())
                         : -1;
  if (number >= 0) return number;
  if (field.source == FieldSource::kKeyOrValue) return BoundCondition::kInValue;
  const std::string name = Printable(field);
  return Error(Reason::kFieldUnknown,
               fmt::format("filter on field '{}' of the key, which has no such field",
                           base::Printable(name)),
               {{"field", name}});
}

absl::Status CheckValueOperands(const Condition& condition) {
  for (const Literal& operand : condition.operands) {
    const auto* scalar = std::get_if<btree::Scalar>(&operand);
    if (scalar == nullptr) continue;
    const auto* real = std::get_if<double>(scalar);
    const bool is_number = real == nullptr || *real == *real;
    const bool is_whole_value = condition.field.names.empty();
    switch (btree::TypeOf(*scalar)) {
      case btree::ScalarType::kUuid:
      case btree::ScalarType::kTimestamp:
        break;
      case btree::ScalarType::kBytes:
        if (is_whole_value) continue;
        break;
      default:
        if (is_number) continue;
    }
    const std::string name = Printable(condition.field);
    const std::string_view what = is_number ? btree::TypeName(btree::TypeOf(*scalar)) : "NaN";
    return Error(Reason::kInvalidArgument,
                 fmt::format("filter on field '{}' of the value compares with a {}, which JSON has "
                             "not",
                             base::Printable(name), what),
                 {{"field", name}});
  }
  return absl::OkStatus();
}

absl::StatusOr<BoundCondition> BindCondition(const Condition& condition,
                                             const btree::KeySchema& schema) {
  BoundCondition bound;
  bound.op = condition.op;
  bound.operands = condition.operands;
  if (bound.op == FilterOperator::kIn && bound.operands.size() == 1) {
    bound.op = FilterOperator::kEqual;
  }
  SOP_ASSIGN_OR_RETURN(bound.field_number, FieldNumberOf(condition.field, schema));
  if (bound.field_number != BoundCondition::kInValue) {
    bound.field = schema.fields()[static_cast<size_t>(bound.field_number)];
    SOP_RETURN_IF_ERROR(EncodeOperands(&bound));
    return bound;
  }
  SOP_RETURN_IF_ERROR(CheckValueOperands(condition));
  bound.path = condition.field.names;
  return bound;
}

// Whether the values at a path, of which `found` is one, meet the condition by it.
bool MeetsAny(const BoundCondition& condition, const FoundValue& found) {
  return std::any_of(
      condition.operands.begin(), condition.operands.end(), [&](const Literal& operand) {
        if (condition.op == FilterOperator::kPrefix) {
          const auto& prefix = std::get<btree::Scalar>(operand);
          if (const auto* text = std::get_if<std::string_view>(&found)) {
            const auto* wanted = std::get_if<std::string>(&prefix);
            return wanted != nullptr && text->starts_with(*wanted);
          }
          const auto* bytes = std::get_if<BytesView>(&found);
          const auto* wanted = std::get_if<btree::Bytes>(&prefix);
          return bytes != nullptr && wanted != nullptr && bytes->value.starts_with(wanted->value);
        }
        const auto order = Compare(found, operand);
        return order.has_value() && Holds(condition.op, *order);
      });
}

bool HasNull(const BoundCondition& condition) {
  return std::any_of(
      condition.operands.begin(), condition.operands.end(),
      [](const Literal& operand) { return std::holds_alternative<std::monostate>(operand); });
}

bool LooksLikeObject(std::string_view text) {
  const size_t begin = text.find_first_not_of(" \t\r\n");
  return begin != text.npos && text[begin] == '{';
}

}  // namespace

absl::StatusOr<BoundFilter::Part> BoundFilter::BindPart(const Filter& filter,
                                                        const btree::KeySchema& schema) {
  Part part;
  part.kind = filter.kind;
  if (filter.kind == Filter::Kind::kCondition) {
    SOP_ASSIGN_OR_RETURN(part.condition, BindCondition(filter.condition, schema));
    part.reads_values = part.condition.field_number == BoundCondition::kInValue;
    return part;
  }
  for (const Filter& each : filter.parts) {
    SOP_ASSIGN_OR_RETURN(Part bound, BindPart(each, schema));
    part.reads_values = part.reads_values || bound.reads_values;
    if (filter.kind == Filter::Kind::kAll && bound.kind == Filter::Kind::kAll) {
      std::move(bound.parts.begin(), bound.parts.end(), std::back_inserter(part.parts));
    } else {
      part.parts.push_back(std::move(bound));
    }
  }
  std::stable_partition(part.parts.begin(), part.parts.end(),
                        [](const Part& each) { return !each.reads_values; });
  return part;
}

absl::StatusOr<std::shared_ptr<const BoundFilter>> BoundFilter::Bind(
    const Filter& filter, const btree::KeySchema& schema) {
  SOP_RETURN_IF_ERROR(CheckFilter(filter));
  auto bound = std::make_shared<BoundFilter>();
  Filter whole;
  whole.parts.push_back(filter);
  SOP_ASSIGN_OR_RETURN(bound->rest_, BindPart(whole, schema));
  for (const btree::IndexField& field : schema.Index()) {
    bound->index_.push_back(schema.FieldNumber(field.name));
  }
  bound->TakeRange();
  return std::shared_ptr<const BoundFilter>(std::move(bound));
}

const BoundFilter::Part* BoundFilter::FindLeading(int field_number, FilterOperator op) const {
  const auto found = std::find_if(rest_.parts.begin(), rest_.parts.end(), [&](const Part& part) {
    return part.kind == Filter::Kind::kCondition && part.condition.field_number == field_number &&
           part.condition.op == op && IsRange(part.condition);
  });
  return found == rest_.parts.end() ? nullptr : &*found;
}

void BoundFilter::TakeRange() {
  std::string leading;
  std::vector<const Part*> said;
  size_t position = 0;
  for (; position < index_.size(); ++position) {
    const Part* const equal = FindLeading(index_[position], FilterOperator::kEqual);
    if (equal == nullptr) break;
    leading += equal->condition.encoded.front();
    said.push_back(equal);
  }
  range_ = btree::PrefixRange(leading);
  for (const Part& part : rest_.parts) {
    const bool next = part.kind == Filter::Kind::kCondition && position < index_.size() &&
                      part.condition.field_number == index_[position];
    if (!next) continue;
    range_ = btree::Intersection(range_, RangeOf(part.condition, leading));
    if (IsRange(part.condition)) said.push_back(&part);
    if (part.condition.op == FilterOperator::kIn && runs_.empty()) {
      TakeRuns(part.condition, leading);
    }
  }
  // The condition that made the runs stays: with it items are held against the whole filter.
  is_runs_ = !runs_.empty() && said.size() + 1 == rest_.parts.size();
  for (btree::KeyRange& run : runs_) run = btree::Intersection(run, range_);
  std::erase_if(runs_, [](const btree::KeyRange& run) { return run.IsEmpty(); });
  std::vector<Part> rest;
  for (Part& part : rest_.parts) {
    if (std::find(said.begin(), said.end(), &part) == said.end()) rest.push_back(std::move(part));
  }
  rest_.parts = std::move(rest);
}

void BoundFilter::TakeRuns(const BoundCondition& condition, std::string_view leading) {
  std::vector<std::string_view> operands;
  for (size_t i = 0; i < condition.operands.size(); ++i) {
    // No field of the order is null.
    if (std::holds_alternative<std::monostate>(condition.operands[i])) continue;
    // A number that the field's type has not: the encoding does not say where it would be.
    if (condition.encoded[i].empty()) return;
    operands.push_back(condition.encoded[i]);
  }
  std::sort(operands.begin(), operands.end());
  operands.erase(std::unique(operands.begin(), operands.end()), operands.end());
  for (const std::string_view operand : operands) {
    std::string prefix(leading);
    prefix.append(operand);
    runs_.push_back(btree::PrefixRange(prefix));
  }
}

FilterEvaluator::FilterEvaluator(std::shared_ptr<const BoundFilter> filter)
    : filter_(std::move(filter)) {}

absl::StatusOr<bool> FilterEvaluator::Matches(const btree::PackedItem& item, LoadValue load) {
  key_is_read_ = false;
  value_.reset();
  return Holds(filter_->rest_, item, load);
}

absl::StatusOr<bool> FilterEvaluator::Holds(const Part& part, const btree::PackedItem& item,
                                            LoadValue load) {
  if (part.kind == Filter::Kind::kCondition) {
    if (part.reads_values) return ValueHolds(part.condition, load);
    return KeyHolds(part.condition, item);
  }
  // One part decides all of them: one that fails, or for kAny one that holds.
  const bool decisive = part.kind == Filter::Kind::kAny;
  for (const Part& each : part.parts) {
    SOP_ASSIGN_OR_RETURN(const bool holds, Holds(each, item, load));
    if (part.kind == Filter::Kind::kNot) return !holds;
    if (holds == decisive) return decisive;
  }
  return !decisive;
}

absl::StatusOr<bool> FilterEvaluator::KeyHolds(const BoundCondition& condition,
                                               const btree::PackedItem& item) {
  if (!key_is_read_) SOP_RETURN_IF_ERROR(ReadKey(item));
  return FieldHolds(condition, fields_[static_cast<size_t>(condition.field_number)]);
}

absl::Status FilterEvaluator::ReadKey(const btree::PackedItem& item) {
  key_is_read_ = true;
  fields_.fill(btree::EncodedField());
  std::string joined;
  std::string_view rest = item.key;
  if (!item.key_prefix.empty()) {
    joined.append(item.key_prefix).append(item.key);
    rest = joined;
  }
  const auto damaged = [] { return Error(Reason::kDamaged, "stored key does not fit its schema"); };
  for (const int number : filter_->index_) {
    if (!btree::TakeField(&rest, &fields_[static_cast<size_t>(number)]).ok()) return damaged();
  }
  std::string_view riding = item.ride_on;
  while (!riding.empty()) {
    const auto number = static_cast<uint8_t>(riding.front());
    riding.remove_prefix(1);
    if (number >= fields_.size()) return damaged();
    if (!btree::TakeField(&riding, &fields_[number]).ok()) return damaged();
  }
  return absl::OkStatus();
}

absl::StatusOr<bool> FilterEvaluator::ValueHolds(const BoundCondition& condition, LoadValue load) {
  if (!value_.has_value()) SOP_RETURN_IF_ERROR(ReadValue(load));
  bool holds = false;
  const bool exists = Visit(condition, [&](const FoundValue& found) {
    if (condition.op == FilterOperator::kExists) return true;
    holds = MeetsAny(condition, found);
    return holds;
  });
  if (condition.op == FilterOperator::kExists) {
    return exists == std::get<bool>(std::get<btree::Scalar>(condition.operands.front()));
  }
  const bool equality = condition.op == FilterOperator::kEqual ||
                        condition.op == FilterOperator::kIn ||
                        condition.op == FilterOperator::kNotEqual;
  if (!exists && equality) holds = HasNull(condition);
  return condition.op == FilterOperator::kNotEqual ? !holds : holds;
}

absl::Status FilterEvaluator::ReadValue(LoadValue load) {
  SOP_ASSIGN_OR_RETURN(value_, load());
  value_is_json_ = value_->format == btree::ValueFormat::kJson ||
                   (value_->format == btree::ValueFormat::kText && LooksLikeObject(value_->bytes));
  if (value_is_json_) value_is_json_ = json_.Open(value_->bytes);
  return absl::OkStatus();
}

bool FilterEvaluator::Visit(const BoundCondition& condition, JsonFields::Sink sink) {
  if (value_is_json_) return json_.Visit(condition.path, sink);
  if (!condition.path.empty() || value_->format == btree::ValueFormat::kJson) return false;
  if (value_->format == btree::ValueFormat::kBytes) {
    sink(BytesView{value_->bytes});
  } else {
    sink(value_->bytes);
  }
  return true;
}

}  // namespace sop::catalog
