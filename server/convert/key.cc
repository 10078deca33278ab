#include "server/convert/key.h"

#include <algorithm>
#include <optional>
#include <string>
#include <utility>

#include "core/base/bytes.h"
#include "core/base/error.h"
#include "core/base/status_macros.h"
#include "fmt/format.h"

namespace sop::convert {
namespace {

constexpr size_t kUuidBytes = 16;

absl::Status InvalidKey(std::string_view field, std::string_view problem) {
  const std::string name = base::Printable(field);
  return Error(
      Reason::kInvalidKey,
      name.empty() ? fmt::format("key {}", problem) : fmt::format("key field {} {}", name, problem),
      {{"field", name}});
}

// The scalar in a Scalar or a Key, whose scalar kinds have the same names.
template <typename Message>
absl::StatusOr<btree::Scalar> ScalarFrom(std::string_view field, const Message& message) {
  switch (message.kind_case()) {
    case Message::kBoolValue:
      return btree::Scalar(message.bool_value());
    case Message::kInt64Value:
      return btree::Scalar(int64_t{message.int64_value()});
    case Message::kDoubleValue:
      return btree::Scalar(message.double_value());
    case Message::kStringValue:
      return btree::Scalar(message.string_value());
    case Message::kBytesValue:
      return btree::Scalar(btree::Bytes{message.bytes_value()});
    case Message::kUuidValue:
      if (message.uuid_value().size() != kUuidBytes) {
        return InvalidKey(field, fmt::format("is a uuid of {} bytes, must be {}",
                                             message.uuid_value().size(), kUuidBytes));
      }
      return btree::Scalar(btree::UuidFromBytes(message.uuid_value()));
    case Message::kTimestampNanos:
      return btree::Scalar(btree::Timestamp{message.timestamp_nanos()});
    default:
      return InvalidKey(field, "has no value");
  }
}

template <typename Message>
void ScalarTo(btree::Scalar scalar, Message* out) {
  if (auto* text = std::get_if<std::string>(&scalar)) {
    out->set_string_value(std::move(*text));
  } else if (auto* number = std::get_if<int64_t>(&scalar)) {
    out->set_int64_value(*number);
  } else if (auto* bytes = std::get_if<btree::Bytes>(&scalar)) {
    out->set_bytes_value(std::move(bytes->value));
  } else if (auto* real = std::get_if<double>(&scalar)) {
    out->set_double_value(*real);
  } else if (auto* uuid = std::get_if<Uuid>(&scalar)) {
    out->set_uuid_value(uuid->Bytes());
  } else if (auto* time = std::get_if<btree::Timestamp>(&scalar)) {
    out->set_timestamp_nanos(time->nanos);
  } else {
    out->set_bool_value(std::get<bool>(scalar));
  }
}

absl::StatusOr<btree::Key> RecordFrom(const v1::Record& message) {
  btree::Record record;
  record.fields.reserve(message.fields_size());
  for (const v1::Field& field : message.fields()) {
    if (record.Find(field.name()) != nullptr) return InvalidKey(field.name(), "is given twice");
    SOP_ASSIGN_OR_RETURN(btree::Scalar value, ScalarFrom(field.name(), field.value()));
    record.fields.push_back({field.name(), std::move(value)});
  }
  return btree::Key(std::move(record));
}

absl::StatusOr<std::optional<btree::KeyBound>> BoundFrom(bool given, const v1::Key& key,
                                                         btree::Inclusion inclusion) {
  if (!given) return std::optional<btree::KeyBound>();
  SOP_ASSIGN_OR_RETURN(btree::Key bound, KeyFromProto(key));
  return std::optional<btree::KeyBound>(btree::KeyBound{std::move(bound), inclusion});
}

absl::StatusOr<btree::KeyRange> PrefixFrom(const v1::KeyRange& range,
                                           const btree::KeySchema& schema) {
  SOP_ASSIGN_OR_RETURN(const btree::Key prefix, KeyFromProto(range.prefix()));
  if (const auto* encoded = std::get_if<btree::EncodedKey>(&prefix)) {
    return btree::PrefixRange(encoded->key);
  }
  const v1::Key& key = range.prefix();
  const bool text = key.has_string_value() || key.has_bytes_value();
  const bool starts = text || (key.has_record() && range.partial_last_field());
  return schema.EncodePrefix(
      prefix, starts ? btree::PrefixMatch::kStartOfString : btree::PrefixMatch::kWholeFields);
}

}  // namespace

absl::StatusOr<btree::Scalar> ScalarFromProto(std::string_view field, const v1::Scalar& scalar) {
  return ScalarFrom(field, scalar);
}

absl::StatusOr<btree::Key> KeyFromProto(const v1::Key& key) {
  if (key.has_record()) return RecordFrom(key.record());
  if (key.has_encoded()) {
    return btree::Key(btree::EncodedKey{key.encoded().key(), key.encoded().ride_on()});
  }
  SOP_ASSIGN_OR_RETURN(btree::Scalar scalar, ScalarFrom("", key));
  return btree::Key(std::move(scalar));
}

void KeyToProto(btree::Key key, v1::Key* out) {
  if (auto* scalar = std::get_if<btree::Scalar>(&key)) {
    ScalarTo(std::move(*scalar), out);
  } else if (auto* record = std::get_if<btree::Record>(&key)) {
    v1::Record* message = out->mutable_record();
    for (btree::NamedScalar& field : record->fields) {
      v1::Field* to = message->add_fields();
      to->set_name(std::move(field.name));
      ScalarTo(std::move(field.value), to->mutable_value());
    }
  } else {
    auto& encoded = std::get<btree::EncodedKey>(key);
    out->mutable_encoded()->set_key(std::move(encoded.key));
    out->mutable_encoded()->set_ride_on(std::move(encoded.ride_on));
  }
}

absl::StatusOr<btree::KeyRange> RangeFromProto(const v1::KeyRange& range,
                                               const btree::KeySchema& schema) {
  using btree::Inclusion;
  SOP_ASSIGN_OR_RETURN(const auto from, BoundFrom(range.has_begin(), range.begin(),
                                                  range.begin_exclusive() ? Inclusion::kExclusive
                                                                          : Inclusion::kInclusive));
  SOP_ASSIGN_OR_RETURN(const auto to, BoundFrom(range.has_end(), range.end(),
                                                range.end_inclusive() ? Inclusion::kInclusive
                                                                      : Inclusion::kExclusive));
  SOP_ASSIGN_OR_RETURN(btree::KeyRange keys, schema.EncodeRange(from, to));
  if (!range.has_prefix()) return keys;

  SOP_ASSIGN_OR_RETURN(btree::KeyRange prefix, PrefixFrom(range, schema));
  keys.begin = std::max(keys.begin, prefix.begin);
  // An empty end is after every key.
  if (keys.end.empty() || (!prefix.end.empty() && prefix.end < keys.end)) keys.end = prefix.end;
  return keys;
}

}  // namespace sop::convert
