#include "clients/cli/session/messages.h"

#include <fmt/format.h>

#include <optional>
#include <utility>
#include <variant>
#include <vector>

#include "core/base/bytes.h"
#include "core/base/error.h"
#include "core/base/status_macros.h"

namespace sop::cli {

namespace {

using btree::Scalar;
using btree::ScalarType;

// v1::Key and v1::Scalar name their kinds alike.
template <typename Message>
void SetScalar(const Scalar& scalar, Message* out) {
  if (const auto* boolean = std::get_if<bool>(&scalar)) {
    out->set_bool_value(*boolean);
  } else if (const auto* integer = std::get_if<int64_t>(&scalar)) {
    out->set_int64_value(*integer);
  } else if (const auto* number = std::get_if<double>(&scalar)) {
    out->set_double_value(*number);
  } else if (const auto* text = std::get_if<std::string>(&scalar)) {
    out->set_string_value(*text);
  } else if (const auto* bytes = std::get_if<btree::Bytes>(&scalar)) {
    out->set_bytes_value(bytes->value);
  } else if (const auto* uuid = std::get_if<Uuid>(&scalar)) {
    out->set_uuid_value(uuid->Bytes());
  } else if (const auto* timestamp = std::get_if<btree::Timestamp>(&scalar)) {
    out->set_timestamp_nanos(timestamp->nanos);
  }
}

template <typename Message>
absl::StatusOr<Scalar> GetScalar(const Message& message) {
  switch (message.kind_case()) {
    case Message::kBoolValue:
      return Scalar(message.bool_value());
    case Message::kInt64Value:
      return Scalar(static_cast<int64_t>(message.int64_value()));
    case Message::kDoubleValue:
      return Scalar(message.double_value());
    case Message::kStringValue:
      return Scalar(message.string_value());
    case Message::kBytesValue:
      return Scalar(btree::Bytes{message.bytes_value()});
    case Message::kUuidValue:
      if (message.uuid_value().size() == 16) {
        return Scalar(btree::UuidFromBytes(message.uuid_value()));
      }
      break;
    case Message::kTimestampNanos:
      return Scalar(btree::Timestamp{message.timestamp_nanos()});
    default:
      break;
  }
  return Error(Reason::kInternal, "the server sent a key without a value");
}

struct TypePair {
  ScalarType ours;
  v1::ScalarType wire;
};

constexpr TypePair kTypes[] = {{ScalarType::kBool, v1::SCALAR_TYPE_BOOL},
                               {ScalarType::kInt64, v1::SCALAR_TYPE_INT64},
                               {ScalarType::kDouble, v1::SCALAR_TYPE_DOUBLE},
                               {ScalarType::kString, v1::SCALAR_TYPE_STRING},
                               {ScalarType::kBytes, v1::SCALAR_TYPE_BYTES},
                               {ScalarType::kUuid, v1::SCALAR_TYPE_UUID},
                               {ScalarType::kTimestamp, v1::SCALAR_TYPE_TIMESTAMP}};

v1::ScalarType TypeToProto(ScalarType type) {
  for (const TypePair& pair : kTypes) {
    if (pair.ours == type) {
      return pair.wire;
    }
  }
  return v1::SCALAR_TYPE_UNSPECIFIED;
}

absl::StatusOr<ScalarType> TypeFromProto(v1::ScalarType type) {
  for (const TypePair& pair : kTypes) {
    if (pair.wire == type) {
      return pair.ours;
    }
  }
  return Error(Reason::kUnimplemented,
               fmt::format("the server uses key type {}, which this client does not know",
                           static_cast<int>(type)));
}

// The fields of the order, by position.
btree::IndexSpecification IndexOf(const v1::KeySchema& schema) {
  btree::IndexSpecification index;
  for (const v1::SchemaField& field : schema.fields()) {
    if (field.has_index_position()) {
      index.resize(std::max<size_t>(index.size(), field.index_position() + 1));
      index[field.index_position()] = {field.name(), field.descending()
                                                         ? btree::Direction::kDescending
                                                         : btree::Direction::kAscending};
    }
  }
  return index;
}

std::string_view ValueSizeText(v1::ValueSize size) {
  switch (size) {
    case v1::VALUE_SIZE_SMALL:
      return "small";
    case v1::VALUE_SIZE_BIG:
      return "big";
    default:
      return "medium";
  }
}

std::string_view TypeText(v1::ScalarType type) {
  const auto ours = TypeFromProto(type);
  return ours.ok() ? btree::TypeName(*ours) : "unknown";
}

Json SchemaJson(const v1::KeySchema& schema) {
  Json fields = Json::array();
  for (const v1::SchemaField& field : schema.fields()) {
    Json described = {{"name", field.name()}, {"type", TypeText(field.type())}};
    if (field.has_index_position()) {
      described["index_position"] = field.index_position();
      described["ascending"] = !field.descending();
    }
    fields.push_back(std::move(described));
  }
  return {{"shape", schema.shape() == v1::KEY_SHAPE_RECORD ? "record" : "scalar"},
          {"fields", std::move(fields)}};
}

absl::Status BadStore(std::string_view member) {
  return Error(Reason::kInvalidArgument,
               fmt::format("the description of the store is damaged at \"{}\"", member));
}

absl::Status SchemaFromJson(const Json& schema, v1::KeySchema* out) {
  if (!schema.is_object() || !schema.contains("fields") || !schema["fields"].is_array()) {
    return BadStore("schema");
  }
  for (const Json& field : schema["fields"]) {
    const std::string type = field.is_object() ? field.value("type", "") : "";
    const auto scalar_type = btree::TypeNamed(type);
    if (!scalar_type) {
      return BadStore("schema");
    }
    AddSchemaField(field.value("name", ""), *scalar_type, out);
  }
  out->set_shape(schema.value("shape", "") == "record" ? v1::KEY_SHAPE_RECORD
                                                       : v1::KEY_SHAPE_SCALAR);
  return absl::OkStatus();
}

absl::Status IndexFromJson(const Json& index, v1::IndexSpecification* out) {
  if (!index.is_array()) {
    return BadStore("index");
  }
  for (const Json& field : index) {
    if (!field.is_object()) {
      return BadStore("index");
    }
    v1::IndexField* added = out->add_fields();
    added->set_name(field.value("name", ""));
    added->set_ascending(field.value("ascending", true));
  }
  return absl::OkStatus();
}

absl::StatusOr<v1::BtreeOptions> OptionsFromJsonObject(const Json& store) {
  v1::BtreeOptions options;
  options.set_unique(store.value("unique", true));
  if (store.contains("slot_length") && store["slot_length"].is_number_unsigned()) {
    options.set_slot_length(store["slot_length"].get<uint32_t>());
  }
  const std::string size = store.value("value_size", "medium");
  options.set_value_size(size == "small" ? v1::VALUE_SIZE_SMALL
                         : size == "big" ? v1::VALUE_SIZE_BIG
                                         : v1::VALUE_SIZE_MEDIUM);
  if (store.contains("description") && store["description"].is_string()) {
    options.set_description(store["description"].get<std::string>());
  }
  if (store.contains("index")) {
    SOP_RETURN_IF_ERROR(IndexFromJson(store["index"], options.mutable_index()));
  }
  if (store.contains("schema")) {
    SOP_RETURN_IF_ERROR(SchemaFromJson(store["schema"], options.mutable_schema()));
  }
  return options;
}

absl::Status AddPrefix(const StoreKeys& keys, const std::string& text, v1::KeyRange* range) {
  SOP_ASSIGN_OR_RETURN(const KeyPrefix prefix, ParsePrefix(keys, text));
  KeyToProto(prefix.key, range->mutable_prefix());
  range->set_partial_last_field(range->prefix().has_record() &&
                                prefix.match == btree::PrefixMatch::kStartOfString);
  return absl::OkStatus();
}

}  // namespace

void KeyToProto(const btree::Key& key, v1::Key* out) {
  if (const auto* scalar = std::get_if<Scalar>(&key)) {
    SetScalar(*scalar, out);
  } else if (const auto* record = std::get_if<btree::Record>(&key)) {
    v1::Record* fields = out->mutable_record();
    for (const btree::NamedScalar& field : record->fields) {
      v1::Field* added = fields->add_fields();
      added->set_name(field.name);
      SetScalar(field.value, added->mutable_value());
    }
  } else if (const auto* encoded = std::get_if<btree::EncodedKey>(&key)) {
    out->mutable_encoded()->set_key(encoded->key);
    out->mutable_encoded()->set_ride_on(encoded->ride_on);
  }
}

absl::StatusOr<btree::Key> KeyFromProto(const v1::Key& key) {
  if (!key.has_record()) {
    SOP_ASSIGN_OR_RETURN(Scalar scalar, GetScalar(key));
    return btree::Key(std::move(scalar));
  }
  btree::Record record;
  for (const v1::Field& field : key.record().fields()) {
    SOP_ASSIGN_OR_RETURN(Scalar scalar, GetScalar(field.value()));
    record.fields.push_back({field.name(), std::move(scalar)});
  }
  return btree::Key(std::move(record));
}

void ScalarToProto(const Scalar& scalar, v1::Scalar* out) { SetScalar(scalar, out); }

void ValueToProto(const StoredValue& value, v1::Value* out) {
  out->set_content(value.content);
  switch (value.format) {
    case btree::ValueFormat::kBytes:
      out->set_format(v1::VALUE_FORMAT_BYTES);
      break;
    case btree::ValueFormat::kText:
      out->set_format(v1::VALUE_FORMAT_TEXT);
      break;
    case btree::ValueFormat::kJson:
      out->set_format(v1::VALUE_FORMAT_JSON);
      break;
  }
}

StoredValue ValueFromProto(const v1::Value& value) {
  switch (value.format()) {
    case v1::VALUE_FORMAT_TEXT:
      return {value.content(), btree::ValueFormat::kText};
    case v1::VALUE_FORMAT_JSON:
      return {value.content(), btree::ValueFormat::kJson};
    default:
      return {value.content(), btree::ValueFormat::kBytes};
  }
}

absl::StatusOr<StoreKeys> KeysOf(const v1::Store& store) {
  StoreKeys keys;
  const v1::KeySchema& schema = store.schema();
  if (schema.shape() == v1::KEY_SHAPE_SCALAR && schema.fields_size() == 1) {
    SOP_ASSIGN_OR_RETURN(const ScalarType type, TypeFromProto(schema.fields(0).type()));
    const auto direction = schema.fields(0).descending() ? btree::Direction::kDescending
                                                         : btree::Direction::kAscending;
    SOP_ASSIGN_OR_RETURN(keys.schema, btree::KeySchema::ForScalar(type, direction));
    return keys;
  }
  if (schema.shape() == v1::KEY_SHAPE_RECORD && schema.fields_size() > 0) {
    std::vector<btree::DeclaredField> fields;
    for (const v1::SchemaField& field : schema.fields()) {
      SOP_ASSIGN_OR_RETURN(const ScalarType type, TypeFromProto(field.type()));
      fields.push_back({field.name(), type});
    }
    const btree::IndexSpecification index = IndexOf(schema);
    SOP_ASSIGN_OR_RETURN(keys.schema, btree::KeySchema::ForRecord(fields, index));
    for (const btree::IndexField& field : index) {
      keys.index_fields.push_back(field.name);
    }
    return keys;
  }
  for (const v1::IndexField& field : store.options().index().fields()) {
    keys.index_fields.push_back(field.name());
  }
  return keys;
}

void AddSchemaField(std::string_view name, ScalarType type, v1::KeySchema* schema) {
  v1::SchemaField* field = schema->add_fields();
  field->set_name(std::string(name));
  field->set_type(TypeToProto(type));
}

Json StoreJson(const v1::Store& store) {
  const v1::BtreeOptions& options = store.options();
  Json json = {{"name", store.name()},
               {"id", store.id()},
               {"kind", "btree"},
               {"items", store.item_count()},
               {"unique", !options.has_unique() || options.unique()}};
  if (store.size_bytes() > 0) {
    json["size_bytes"] = store.size_bytes();
  }
  if (options.has_slot_length() && options.slot_length() > 0) {
    json["slot_length"] = options.slot_length();
  }
  json["value_size"] = ValueSizeText(options.value_size());
  if (!options.description().empty()) {
    json["description"] = options.description();
  }
  if (options.index().fields_size() > 0) {
    Json index = Json::array();
    for (const v1::IndexField& field : options.index().fields()) {
      const bool ascending = !field.has_ascending() || field.ascending();
      index.push_back({{"name", field.name()}, {"ascending", ascending}});
    }
    json["index"] = std::move(index);
  }
  if (store.schema().fields_size() > 0) {
    json["schema"] = SchemaJson(store.schema());
  }
  return json;
}

absl::StatusOr<v1::BtreeOptions> OptionsFromJson(const Json& store) {
  if (!store.is_object()) {
    return BadStore("store");
  }
  try {
    return OptionsFromJsonObject(store);
  } catch (const Json::exception&) {
    return BadStore("store");
  }
}

std::string StoreText(const v1::Store& store) {
  std::string indexed;
  std::string riding;
  const v1::KeySchema& schema = store.schema();
  for (const btree::IndexField& position : IndexOf(schema)) {
    for (const v1::SchemaField& field : schema.fields()) {
      if (field.name() == position.name) {
        indexed += fmt::format("{}{}{}{}{}", indexed.empty() ? "" : ", ", field.name(),
                               field.name().empty() ? "" : " ", TypeText(field.type()),
                               field.descending() ? " descending" : "");
      }
    }
  }
  for (const v1::SchemaField& field : schema.fields()) {
    if (!field.has_index_position()) {
      riding += fmt::format("{}{} {}", riding.empty() ? "; riding on: " : ", ", field.name(),
                            TypeText(field.type()));
    }
  }
  if (indexed.empty()) {
    for (const v1::IndexField& field : store.options().index().fields()) {
      indexed += (indexed.empty() ? "" : ", ") + field.name();
    }
    indexed += indexed.empty() ? "decided by the first item" : " (types decided by the first item)";
  }
  const bool unique = !store.options().has_unique() || store.options().unique();
  return fmt::format("{}; keys: {}{}", unique ? "unique" : "duplicates allowed",
                     PrintableLine(indexed), PrintableLine(riding));
}

std::string_view OutcomeText(v1::WriteOutcome outcome) {
  switch (outcome) {
    case v1::WRITE_OUTCOME_ADDED:
      return "added";
    case v1::WRITE_OUTCOME_REPLACED:
      return "replaced";
    case v1::WRITE_OUTCOME_ALREADY_THERE:
      return "already there";
    case v1::WRITE_OUTCOME_NOT_FOUND:
      return "not found";
    case v1::WRITE_OUTCOME_UPDATED:
      return "updated";
    case v1::WRITE_OUTCOME_REMOVED:
      return "removed";
    default:
      return "unknown";
  }
}

std::string VersionText(const std::string& commit_version) { return base::Hex(commit_version); }

absl::StatusOr<v1::KeyRange> MakeRange(const StoreKeys& keys, const RangeText& text) {
  v1::KeyRange range;
  if (!text.from.empty()) {
    SOP_ASSIGN_OR_RETURN(const btree::Key from, ParseBound(keys, text.from));
    KeyToProto(from, range.mutable_begin());
  }
  if (!text.to.empty()) {
    SOP_ASSIGN_OR_RETURN(const btree::Key to, ParseBound(keys, text.to));
    KeyToProto(to, range.mutable_end());
  }
  if (!text.prefix.empty()) {
    SOP_RETURN_IF_ERROR(AddPrefix(keys, text.prefix, &range));
  }
  return range;
}

}  // namespace sop::cli
