#include "clients/cli/text/number_member.h"

#include <fmt/format.h>

#include <optional>
#include <utility>

#include "core/base/bytes.h"
#include "core/base/error.h"
#include "core/base/status_macros.h"

namespace sop::cli {

namespace {

absl::Status Wrong(std::string message) { return Error(Reason::kInvalidArgument, message); }

bool IsInteger(const Json& json) {
  return json.is_number_integer() &&
         (!json.is_number_unsigned() || json.get<uint64_t>() <= INT64_MAX);
}

absl::StatusOr<Json> ParseNumber(std::string_view text) {
  if (text.starts_with('+')) {
    text.remove_prefix(1);
  }
  const std::optional<Json> json = ParseJson(text);
  if (!json || !json->is_number()) {
    return Wrong(fmt::format("\"{}\" is not a number", base::Printable(text)));
  }
  return *json;
}

// The number inside `document`, which it points into.
absl::StatusOr<Json*> FindNumber(const std::string& member, Json* document) {
  Json* number = document;
  if (!member.empty()) {
    const auto found = document->is_object() ? document->find(member) : document->end();
    if (!document->is_object() || found == document->end()) {
      return Wrong(fmt::format("the value has no member \"{}\"", base::Printable(member)));
    }
    number = &*found;
  }
  if (!number->is_number()) {
    return Wrong(fmt::format("{} is not a number but {}",
                             member.empty() ? "the value" : "member \"" + member + "\"",
                             base::Printable(JsonText(*number))));
  }
  return number;
}

absl::StatusOr<Json> ParseDocument(const StoredValue& value) {
  std::optional<Json> document = ParseJson(value.content);
  if (!document) {
    return Wrong("the value is neither a number nor JSON");
  }
  return *std::move(document);
}

absl::StatusOr<Json> Sum(const Json& number, const Json& amount) {
  if (!IsInteger(number) || !IsInteger(amount)) {
    return Json(number.get<double>() + amount.get<double>());
  }
  int64_t sum = 0;
  if (__builtin_add_overflow(number.get<int64_t>(), amount.get<int64_t>(), &sum)) {
    return Wrong(fmt::format("{} and {} is beyond 64 bits", JsonText(number), JsonText(amount)));
  }
  return Json(sum);
}

}  // namespace

absl::StatusOr<StoredValue> AddToNumber(const StoredValue& value, const std::string& member,
                                        std::string_view amount) {
  SOP_ASSIGN_OR_RETURN(const Json added, ParseNumber(amount));
  SOP_ASSIGN_OR_RETURN(Json document, ParseDocument(value));
  SOP_ASSIGN_OR_RETURN(Json * number, FindNumber(member, &document));
  SOP_ASSIGN_OR_RETURN(*number, Sum(*number, added));
  return StoredValue{JsonText(document), value.format};
}

absl::StatusOr<bool> NumberHolds(const StoredValue& value, const std::string& member,
                                 std::string_view relation, std::string_view bound) {
  SOP_ASSIGN_OR_RETURN(const Json other, ParseNumber(bound));
  SOP_ASSIGN_OR_RETURN(Json document, ParseDocument(value));
  SOP_ASSIGN_OR_RETURN(const Json* number, FindNumber(member, &document));
  if (relation == "==") {
    return *number == other;
  }
  if (relation == "!=") {
    return *number != other;
  }
  if (relation == "<") {
    return *number < other;
  }
  if (relation == "<=") {
    return *number <= other;
  }
  if (relation == ">") {
    return *number > other;
  }
  if (relation == ">=") {
    return *number >= other;
  }
  return Wrong(fmt::format("\"{}\" is not one of ==, !=, <, <=, >, >=", base::Printable(relation)));
}

}  // namespace sop::cli
