#include "clients/cli/text/key_text.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <utility>
#include <variant>

#include "clients/cli/text/column_type.h"
#include "clients/cli/text/csv_reader.h"
#include "core/base/bytes.h"
#include "core/base/error.h"
#include "core/base/status_macros.h"

namespace sop::cli {

namespace {

using btree::Key;
using btree::Record;
using btree::Scalar;

bool HasRecordKeys(const StoreKeys& keys) {
  return keys.schema ? keys.schema->form() == btree::KeyForm::kRecord : !keys.index_fields.empty();
}

std::optional<ColumnType> TypeOfField(const StoreKeys& keys, std::string_view name) {
  if (!keys.schema) {
    return std::nullopt;
  }
  const int number = keys.schema->FieldNumber(name);
  if (number < 0) {
    return std::nullopt;
  }
  return ColumnTypeOf(keys.schema->fields()[static_cast<size_t>(number)].type);
}

absl::Status InField(const absl::Status& status, std::string_view name) {
  return Error(
      Reason::kInvalidArgument,
      fmt::format("field \"{}\": {}", base::Printable(name), std::string(status.message())),
      {{"field", std::string(name)}});
}

absl::StatusOr<Key> RecordFromJson(const StoreKeys& keys, const Json& json) {
  Record record;
  for (const auto& [name, member] : json.items()) {
    absl::StatusOr<Scalar> scalar = ScalarFromJson(member, TypeOfField(keys, name));
    if (!scalar.ok()) {
      return InField(scalar.status(), name);
    }
    record.fields.push_back({name, *std::move(scalar)});
  }
  return Key(std::move(record));
}

absl::StatusOr<Key> RecordFromText(const StoreKeys& keys, std::string_view text) {
  const auto parts = SplitCsvLine(std::string(text), {});
  if (!parts || parts->size() > keys.index_fields.size()) {
    return Error(Reason::kInvalidArgument,
                 fmt::format("\"{}\" is not a key of the fields {}", base::Printable(text),
                             fmt::join(keys.index_fields, ",")));
  }
  Record record;
  for (size_t i = 0; i < parts->size(); ++i) {
    const std::string& name = keys.index_fields[i];
    const ColumnType type = TypeOfField(keys, name).value_or(ColumnType::kString);
    absl::StatusOr<Scalar> scalar = ParseScalar(type, (*parts)[i]);
    if (!scalar.ok()) {
      return InField(scalar.status(), name);
    }
    record.fields.push_back({name, *std::move(scalar)});
  }
  return Key(std::move(record));
}

absl::StatusOr<Key> ScalarFromText(const StoreKeys& keys, std::string_view text) {
  const ColumnType type = TypeOfField(keys, "").value_or(ColumnType::kString);
  SOP_ASSIGN_OR_RETURN(Scalar scalar, ParseScalar(type, text));
  return Key(std::move(scalar));
}

// A scalar that is neither string, truth value nor number is an object with one such member.
bool LooksLikeTaggedScalar(const Json& json) {
  return json.size() == 1 && json.begin().key().starts_with('$');
}

}  // namespace

absl::StatusOr<Key> ParseBound(const StoreKeys& keys, std::string_view text) {
  const bool untyped = !keys.schema && keys.index_fields.empty();
  if (text.starts_with('{') && (untyped || HasRecordKeys(keys))) {
    const std::optional<Json> json = ParseJson(text);
    if (json && json->is_object()) {
      return KeyFromJson(keys, *json);
    }
    if (!untyped) {
      return Error(Reason::kInvalidArgument,
                   fmt::format("\"{}\" is not a JSON object", base::Printable(text)));
    }
  }
  return HasRecordKeys(keys) ? RecordFromText(keys, text) : ScalarFromText(keys, text);
}

absl::StatusOr<Key> ParseKey(const StoreKeys& keys, std::string_view text) {
  SOP_ASSIGN_OR_RETURN(Key key, ParseBound(keys, text));
  const Record* record = std::get_if<Record>(&key);
  if (record == nullptr) {
    return key;
  }
  for (const std::string& name : keys.index_fields) {
    if (record->Find(name) == nullptr) {
      return Error(Reason::kFieldMissing,
                   fmt::format("key \"{}\" lacks the field \"{}\" of {}", base::Printable(text),
                               base::Printable(name), fmt::join(keys.index_fields, ",")),
                   {{"field", name}});
    }
  }
  return key;
}

absl::StatusOr<KeyPrefix> ParsePrefix(const StoreKeys& keys, std::string_view text) {
  KeyPrefix prefix;
  if (!HasRecordKeys(keys)) {
    prefix.match = btree::PrefixMatch::kStartOfString;
  }
  if (text.ends_with('*')) {
    prefix.match = btree::PrefixMatch::kStartOfString;
    text.remove_suffix(1);
  }
  SOP_ASSIGN_OR_RETURN(prefix.key, ParseBound(keys, text));
  return prefix;
}

std::string KeyText(const StoreKeys& keys, const Key& key) {
  if (const auto* scalar = std::get_if<Scalar>(&key)) {
    return ScalarText(*scalar);
  }
  const auto* record = std::get_if<Record>(&key);
  if (record == nullptr || record->fields.size() != keys.index_fields.size()) {
    return JsonText(KeyJson(key));
  }
  std::string text;
  for (const std::string& name : keys.index_fields) {
    const Scalar* scalar = record->Find(name);
    if (scalar == nullptr) {
      return JsonText(KeyJson(key));
    }
    text += (text.empty() ? "" : ",") + QuotedCsvField(ScalarText(*scalar), {});
  }
  // What looks like JSON would be read as JSON.
  return text.starts_with('{') ? JsonText(KeyJson(key)) : text;
}

Json KeyJson(const Key& key) {
  if (const auto* scalar = std::get_if<Scalar>(&key)) {
    return ScalarJson(*scalar);
  }
  Json json = Json::object();
  if (const auto* record = std::get_if<Record>(&key)) {
    for (const btree::NamedScalar& field : record->fields) {
      json[field.name] = ScalarJson(field.value);
    }
  }
  if (LooksLikeTaggedScalar(json)) {
    return Json::object({{"$record", std::move(json)}});
  }
  return json;
}

absl::StatusOr<Key> KeyFromJson(const StoreKeys& keys, const Json& json) {
  if (json.is_object() && json.size() == 1 && json.begin().key() == "$record" &&
      json.front().is_object()) {
    return RecordFromJson(keys, json.front());
  }
  if (json.is_object() && !LooksLikeTaggedScalar(json)) {
    return RecordFromJson(keys, json);
  }
  SOP_ASSIGN_OR_RETURN(Scalar scalar, ScalarFromJson(json, TypeOfField(keys, "")));
  return Key(std::move(scalar));
}

}  // namespace sop::cli
