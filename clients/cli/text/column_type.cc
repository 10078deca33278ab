#include "clients/cli/text/column_type.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <charconv>
#include <cmath>
#include <utility>
#include <variant>

#include "absl/strings/ascii.h"
#include "absl/strings/escaping.h"
#include "absl/strings/numbers.h"
#include "absl/time/time.h"
#include "core/base/bytes.h"
#include "core/base/error.h"
#include "core/base/utf8.h"
#include "core/btree/key.h"

namespace sop::cli {

namespace {

using btree::Bytes;
using btree::Scalar;
using btree::ScalarType;
using btree::Timestamp;

struct NamedType {
  std::string_view name;
  ColumnType type;
};

constexpr std::array<NamedType, 9> kTypes{{{"string", ColumnType::kString},
                                           {"bool", ColumnType::kBool},
                                           {"int64", ColumnType::kInt64},
                                           {"hex", ColumnType::kHex},
                                           {"double", ColumnType::kDouble},
                                           {"bytes", ColumnType::kBytes},
                                           {"uuid", ColumnType::kUuid},
                                           {"timestamp", ColumnType::kTimestamp},
                                           {"json", ColumnType::kJson}}};

absl::string_view ToAbsl(std::string_view text) { return {text.data(), text.size()}; }

absl::Status Expected(std::string_view what, std::string_view text) {
  return Error(Reason::kInvalidArgument,
               fmt::format("\"{}\" is not {}", base::Printable(text), what));
}

std::optional<int64_t> ParseInteger(std::string_view text, int radix) {
  bool negative = text.starts_with('-');
  if (negative || text.starts_with('+')) {
    text.remove_prefix(1);
  }
  if (radix == 10 && (text.starts_with("0x") || text.starts_with("0X"))) {
    text.remove_prefix(2);
    radix = 16;
  }
  // The digits are read behind a minus sign so that the least integer is not out of range.
  const std::string digits = (negative ? "-" : "") + std::string(text);
  int64_t number = 0;
  const char* end = digits.data() + digits.size();
  const auto [stopped, error] = std::from_chars(digits.data(), end, number, radix);
  if (text.starts_with('-') || error != std::errc() || stopped != end) {
    return std::nullopt;
  }
  return number;
}

absl::StatusOr<Scalar> ParseInt64(std::string_view text, int radix) {
  const std::optional<int64_t> number = ParseInteger(text, radix);
  if (!number) {
    return Expected(radix == 16 ? "a hexadecimal integer of 64 bits" : "an integer of 64 bits",
                    text);
  }
  return Scalar(*number);
}

absl::StatusOr<Scalar> ParseDouble(std::string_view text) {
  double number = 0;
  if (!absl::SimpleAtod(ToAbsl(text), &number) || std::isnan(number)) {
    return Expected("a number", text);
  }
  return Scalar(number);
}

absl::StatusOr<Scalar> ParseBytes(std::string_view text) {
  std::string bytes;
  if (!absl::Base64Unescape(ToAbsl(text), &bytes)) {
    return Expected("base64", text);
  }
  return Scalar(Bytes{std::move(bytes)});
}

absl::StatusOr<Scalar> ParseUuid(std::string_view text) {
  std::string digits;
  for (size_t i = 0; i < text.size(); ++i) {
    const bool dash_place = i == 8 || i == 13 || i == 18 || i == 23;
    if (text.size() != 36 || (dash_place ? text[i] != '-' : !absl::ascii_isxdigit(text[i]))) {
      return Expected("a UUID", text);
    }
    if (!dash_place) {
      digits.push_back(text[i]);
    }
  }
  if (digits.empty()) {
    return Expected("a UUID", text);
  }
  return Scalar(btree::UuidFromBytes(absl::HexStringToBytes(digits)));
}

absl::StatusOr<Scalar> ParseTimestamp(std::string_view text) {
  if (const std::optional<int64_t> nanos = ParseInteger(text, 10); nanos) {
    return Scalar(Timestamp{*nanos});
  }
  absl::Time time;
  std::string error;
  if (!absl::ParseTime(absl::RFC3339_full, ToAbsl(text), &time, &error) ||
      time < absl::FromUnixNanos(INT64_MIN) || time > absl::FromUnixNanos(INT64_MAX)) {
    return Expected("a time like 2026-01-31T12:00:00Z between the years 1677 and 2262", text);
  }
  return Scalar(Timestamp{absl::ToUnixNanos(time)});
}

std::string DoubleText(double number) { return fmt::format("{}", number); }

std::string TimestampText(Timestamp timestamp) {
  return absl::FormatTime(absl::RFC3339_full, absl::FromUnixNanos(timestamp.nanos),
                          absl::UTCTimeZone());
}

struct TextOf {
  std::string operator()(bool value) const { return value ? "true" : "false"; }
  std::string operator()(int64_t value) const { return fmt::format("{}", value); }
  std::string operator()(double value) const { return DoubleText(value); }
  std::string operator()(const std::string& value) const { return value; }
  std::string operator()(const Bytes& value) const { return absl::Base64Escape(value.value); }
  std::string operator()(Uuid value) const { return value.ToString(); }
  std::string operator()(Timestamp value) const { return TimestampText(value); }
};

struct JsonOf {
  Json operator()(bool value) const { return value; }
  Json operator()(int64_t value) const { return value; }
  Json operator()(double value) const {
    return std::isfinite(value) ? Json(value) : Json::object({{"$double", DoubleText(value)}});
  }
  Json operator()(const std::string& value) const { return value; }
  Json operator()(const Bytes& value) const { return Json::object({{"$bytes", TextOf()(value)}}); }
  Json operator()(Uuid value) const { return Json::object({{"$uuid", TextOf()(value)}}); }
  Json operator()(Timestamp value) const { return Json::object({{"$timestamp", TextOf()(value)}}); }
};

absl::StatusOr<Scalar> NumberFromJson(const Json& json, std::optional<ColumnType> type) {
  if (json.is_number_unsigned() && json.get<uint64_t>() > INT64_MAX) {
    return Expected("within 64 bits, signed", JsonText(json));
  }
  const bool as_double = json.is_number_float() || type == ColumnType::kDouble;
  if (as_double && type && type != ColumnType::kDouble) {
    return Expected("an integer", JsonText(json));
  }
  if (as_double) {
    return Scalar(json.get<double>());
  }
  if (type == ColumnType::kTimestamp) {
    return Scalar(Timestamp{json.get<int64_t>()});
  }
  return Scalar(json.get<int64_t>());
}

}  // namespace

std::optional<ColumnType> ColumnTypeNamed(std::string_view name) {
  const auto* found = std::find_if(kTypes.begin(), kTypes.end(),
                                   [name](const NamedType& type) { return type.name == name; });
  return found == kTypes.end() ? std::nullopt : std::optional(found->type);
}

ColumnType ColumnTypeOf(ScalarType type) {
  switch (type) {
    case ScalarType::kBool:
      return ColumnType::kBool;
    case ScalarType::kInt64:
      return ColumnType::kInt64;
    case ScalarType::kDouble:
      return ColumnType::kDouble;
    case ScalarType::kTimestamp:
      return ColumnType::kTimestamp;
    case ScalarType::kUuid:
      return ColumnType::kUuid;
    case ScalarType::kBytes:
      return ColumnType::kBytes;
    case ScalarType::kNull:
    case ScalarType::kString:
      break;
  }
  return ColumnType::kString;
}

std::optional<ScalarType> ScalarTypeOf(ColumnType type) {
  switch (type) {
    case ColumnType::kString:
      return ScalarType::kString;
    case ColumnType::kBool:
      return ScalarType::kBool;
    case ColumnType::kInt64:
    case ColumnType::kHex:
      return ScalarType::kInt64;
    case ColumnType::kDouble:
      return ScalarType::kDouble;
    case ColumnType::kBytes:
      return ScalarType::kBytes;
    case ColumnType::kUuid:
      return ScalarType::kUuid;
    case ColumnType::kTimestamp:
      return ScalarType::kTimestamp;
    case ColumnType::kJson:
      break;
  }
  return std::nullopt;
}

absl::StatusOr<Scalar> ParseScalar(ColumnType type, std::string_view text) {
  switch (type) {
    case ColumnType::kBool:
      if (text != "true" && text != "false") {
        return Expected("true or false", text);
      }
      return Scalar(text == "true");
    case ColumnType::kInt64:
      return ParseInt64(text, 10);
    case ColumnType::kHex:
      return ParseInt64(text.starts_with("0x") ? text.substr(2) : text, 16);
    case ColumnType::kDouble:
      return ParseDouble(text);
    case ColumnType::kBytes:
      return ParseBytes(text);
    case ColumnType::kUuid:
      return ParseUuid(text);
    case ColumnType::kTimestamp:
      return ParseTimestamp(text);
    case ColumnType::kJson:
    case ColumnType::kString:
      break;
  }
  if (!base::IsValidUtf8(text)) {
    return Expected("valid UTF-8", text);
  }
  return Scalar(std::string(text));
}

std::string ScalarText(const Scalar& scalar) { return std::visit(TextOf(), scalar); }

Json ScalarJson(const Scalar& scalar) { return std::visit(JsonOf(), scalar); }

absl::StatusOr<Scalar> ScalarFromJson(const Json& json, std::optional<ColumnType> type) {
  if (type == ColumnType::kHex) {
    type = ColumnType::kInt64;
  }
  if (json.is_object() && json.size() == 1 && json.front().is_string() &&
      json.begin().key().starts_with('$')) {
    const std::optional<ColumnType> tagged = ColumnTypeNamed(json.begin().key().substr(1));
    if (tagged && tagged != ColumnType::kJson && (!type || type == tagged)) {
      return ParseScalar(*tagged, json.front().get_ref<const std::string&>());
    }
  }
  if (json.is_string()) {
    return ParseScalar(type.value_or(ColumnType::kString), json.get_ref<const std::string&>());
  }
  if (json.is_boolean() && (!type || type == ColumnType::kBool)) {
    return Scalar(json.get<bool>());
  }
  const bool number_will_do = !type || type == ColumnType::kInt64 || type == ColumnType::kDouble ||
                              type == ColumnType::kTimestamp;
  if (json.is_number() && number_will_do) {
    return NumberFromJson(json, type);
  }
  return Expected(type ? fmt::format("a {}", btree::TypeName(*ScalarTypeOf(*type)))
                       : std::string("a string, truth value or number"),
                  JsonText(json));
}

}  // namespace sop::cli
