#include "core/btree/key_schema.h"

#include <algorithm>

#include <fmt/format.h>

#include "core/base/bytes.h"
#include "core/base/error.h"
#include "core/base/status_macros.h"
#include "core/btree/name.h"

namespace sop::btree {
namespace {

std::string Quoted(std::string_view field) {
  return field.empty() ? "key" : fmt::format("key field '{}'", base::Printable(field));
}

absl::Status FieldError(Reason reason, std::string_view field, std::string_view what) {
  return Error(reason, fmt::format("{} {}", Quoted(field), what), {{"field", std::string(field)}});
}

absl::Status CheckSize(std::string_view what, size_t size, size_t limit) {
  if (size <= limit) return absl::OkStatus();
  return Error(Reason::kInvalidKey,
               fmt::format("{} has {} encoded bytes; the limit is {}", what, size, limit),
               {{"size", fmt::to_string(size)}, {"limit", fmt::to_string(limit)}});
}

absl::Status CheckKeySize(std::string_view key) {
  return CheckSize("key", key.size(), kMaxKeySizeBytes);
}

absl::Status CheckRideOnSize(std::string_view ride_on) {
  return CheckSize("key's fields that ride on", ride_on.size(), kMaxRideOnSizeBytes);
}

// What was read from a store does not fit: not the caller's fault any more.
absl::Status AsDamaged(const absl::Status& status) {
  const absl::string_view message = status.message();
  return Error(Reason::kDamaged, fmt::format("stored key does not fit its schema: {}",
                                             std::string_view(message.data(), message.size())));
}

// The specification that an empty one stands for.
IndexSpecification Completed(const IndexSpecification& index,
                             const std::vector<DeclaredField>& fields) {
  if (!index.empty()) return index;
  IndexSpecification all;
  for (const DeclaredField& field : fields) all.push_back({field.name, Direction::kAscending});
  std::sort(all.begin(), all.end(),
            [](const IndexField& a, const IndexField& b) { return a.name < b.name; });
  return all;
}

const NamedScalar* FindIn(const Record& record, std::string_view name) {
  const auto it = std::find_if(record.fields.begin(), record.fields.end(),
                               [&](const NamedScalar& field) { return field.name == name; });
  return it == record.fields.end() ? nullptr : &*it;
}

absl::StatusOr<KeySchema> FromFirstScalar(ScalarType type, const IndexSpecification& index) {
  if (index.empty()) return KeySchema::ForScalar(type);
  for (const IndexField& field : index) {
    if (!field.name.empty()) {
      return FieldError(Reason::kFieldMissing, field.name,
                        "is in the index specification, but the key is a scalar");
    }
  }
  if (index.size() > 1) {
    return Error(Reason::kInvalidArgument, "index specification of a scalar key has two fields");
  }
  return KeySchema::ForScalar(type, index.front().direction);
}

}  // namespace

absl::StatusOr<KeySchema> KeySchema::ForScalar(ScalarType type, Direction direction) {
  SchemaField field;
  field.type = type;
  field.index_position = 0;
  field.direction = direction;
  return Make(KeyForm::kScalar, {field});
}

absl::StatusOr<KeySchema> KeySchema::ForRecord(const std::vector<DeclaredField>& fields,
                                               const IndexSpecification& index) {
  std::vector<SchemaField> made;
  for (const DeclaredField& field : fields)
    made.push_back({.name = field.name, .type = field.type});
  int position = 0;
  for (const IndexField& indexed : Completed(index, fields)) {
    const auto it = std::find_if(made.begin(), made.end(),
                                 [&](const SchemaField& f) { return f.name == indexed.name; });
    if (it == made.end()) {
      return FieldError(Reason::kFieldUnknown, indexed.name,
                        "is in the index specification, but not declared");
    }
    if (it->index_position != SchemaField::kRidesOn) {
      return Error(
          Reason::kInvalidArgument,
          fmt::format("index specification names field '{}' twice", base::Printable(indexed.name)),
          {{"field", indexed.name}});
    }
    it->index_position = position++;
    it->direction = indexed.direction;
  }
  return Make(KeyForm::kRecord, std::move(made));
}

absl::StatusOr<KeySchema> KeySchema::FromFirstKey(const Key& key, const IndexSpecification& index) {
  if (const auto* scalar = std::get_if<Scalar>(&key)) {
    return FromFirstScalar(TypeOf(*scalar), index);
  }
  if (const auto* encoded = std::get_if<EncodedKey>(&key)) {
    std::string_view rest = encoded->key;
    EncodedField field;
    SOP_RETURN_IF_ERROR(TakeField(&rest, &field));
    if (!rest.empty() || !encoded->ride_on.empty()) {
      return Error(Reason::kInvalidKey,
                   "encoded key of several fields cannot decide the schema of a store: declare it");
    }
    if (!index.empty()) return FromFirstScalar(field.type, index);
    return ForScalar(field.type, field.direction);
  }
  const Record& record = std::get<Record>(key);
  for (const IndexField& indexed : index) {
    if (FindIn(record, indexed.name) == nullptr) {
      return FieldError(Reason::kFieldMissing, indexed.name,
                        "is in the index specification and not given");
    }
  }
  std::vector<DeclaredField> fields;
  for (const NamedScalar& field : record.fields) {
    fields.push_back({field.name, TypeOf(field.value)});
  }
  std::sort(fields.begin(), fields.end(),
            [](const DeclaredField& a, const DeclaredField& b) { return a.name < b.name; });
  return ForRecord(fields, index);
}

absl::StatusOr<KeySchema> KeySchema::ExtendedBy(const Record& record) const {
  SOP_RETURN_IF_ERROR(CheckForm(KeyForm::kRecord));
  std::vector<SchemaField> added;
  for (const NamedScalar& field : record.fields) {
    if (FieldNumber(field.name) >= 0) continue;
    added.push_back({.name = field.name, .type = TypeOf(field.value)});
  }
  std::sort(added.begin(), added.end(),
            [](const SchemaField& a, const SchemaField& b) { return a.name < b.name; });
  std::vector<SchemaField> fields = fields_;
  fields.insert(fields.end(), added.begin(), added.end());
  return Make(form_, std::move(fields));
}

bool KeySchema::Continues(const KeySchema& other) const {
  return form_ == other.form_ && index_ == other.index_ && fields_.size() >= other.fields_.size() &&
         std::equal(other.fields_.begin(), other.fields_.end(), fields_.begin());
}

absl::StatusOr<KeySchema> KeySchema::Make(KeyForm form, std::vector<SchemaField> fields) {
  KeySchema schema;
  schema.form_ = form;
  schema.fields_ = std::move(fields);
  SOP_RETURN_IF_ERROR(schema.CheckFields());
  const auto indexed = std::count_if(
      schema.fields_.begin(), schema.fields_.end(),
      [](const SchemaField& field) { return field.index_position != SchemaField::kRidesOn; });
  schema.index_.assign(indexed, -1);
  for (size_t number = 0; number < schema.fields_.size(); ++number) {
    const int position = schema.fields_[number].index_position;
    if (position == SchemaField::kRidesOn) continue;
    if (position < 0 || position >= indexed || schema.index_[position] != -1) {
      return Error(Reason::kInvalidArgument, "index positions of a key schema are not 0 to n - 1");
    }
    schema.index_[position] = static_cast<int>(number);
  }
  if (indexed == 0) {
    return Error(Reason::kInvalidArgument, "key schema has no indexed field");
  }
  return schema;
}

absl::Status KeySchema::CheckFields() const {
  if (fields_.empty()) return Error(Reason::kInvalidKey, "record key has no fields");
  if (fields_.size() > kMaxKeyFields) {
    return Error(
        Reason::kInvalidKey,
        fmt::format("record key has {} fields; the limit is {}", fields_.size(), kMaxKeyFields),
        {{"limit", fmt::to_string(kMaxKeyFields)}});
  }
  for (size_t i = 0; i < fields_.size(); ++i) {
    const SchemaField& field = fields_[i];
    if (form_ == KeyForm::kRecord) SOP_RETURN_IF_ERROR(CheckName("key field", field.name));
    if (TypeName(field.type) == "unknown") {
      return FieldError(
          Reason::kInvalidKey, field.name,
          fmt::format("has type code {:#04x}, which is none", static_cast<uint8_t>(field.type)));
    }
    if (FieldNumber(field.name) != static_cast<int>(i)) {
      return FieldError(Reason::kInvalidKey, field.name, "is given twice");
    }
  }
  if (form_ == KeyForm::kScalar && (fields_.size() != 1 || !fields_.front().name.empty())) {
    return Error(Reason::kInvalidArgument, "schema of a scalar key has one field without a name");
  }
  return absl::OkStatus();
}

int KeySchema::FieldNumber(std::string_view name) const {
  for (size_t i = 0; i < fields_.size(); ++i) {
    if (fields_[i].name == name) return static_cast<int>(i);
  }
  return -1;
}

IndexSpecification KeySchema::Index() const {
  IndexSpecification out;
  for (int number : index_) out.push_back({fields_[number].name, fields_[number].direction});
  return out;
}

absl::Status KeySchema::CheckForm(KeyForm given) const {
  if (given == form_) return absl::OkStatus();
  return Error(Reason::kKeyTypeDiffers,
               form_ == KeyForm::kScalar
                   ? fmt::format("key is a record; keys of this store are of type {}",
                                 TypeName(fields_.front().type))
                   : fmt::format("key is a scalar; keys of this store are records whose first "
                                 "indexed field is '{}'",
                                 base::Printable(fields_[index_.front()].name)));
}

absl::Status KeySchema::CheckType(const SchemaField& field, ScalarType given) const {
  if (given == field.type) return absl::OkStatus();
  return Error(Reason::kKeyTypeDiffers,
               fmt::format("{} has type {}; in this store it is {}", Quoted(field.name),
                           TypeName(given), TypeName(field.type)),
               {{"field", field.name},
                {"type", std::string(TypeName(given))},
                {"expected", std::string(TypeName(field.type))}});
}

absl::Status KeySchema::ByNumber(const Record& record, FieldValues* values) const {
  SOP_RETURN_IF_ERROR(CheckForm(KeyForm::kRecord));
  values->fill(nullptr);
  for (size_t i = 0; i < record.fields.size(); ++i) {
    const NamedScalar& given = record.fields[i];
    // Most records come with their fields in the order of the schema.
    const bool in_order = i < fields_.size() && fields_[i].name == given.name;
    const int number = in_order ? static_cast<int>(i) : FieldNumber(given.name);
    if (number < 0) {
      return FieldError(Reason::kFieldUnknown, given.name, "is not in the schema of this store");
    }
    if ((*values)[number] != nullptr) {
      return FieldError(Reason::kInvalidKey, given.name, "is given twice");
    }
    SOP_RETURN_IF_ERROR(CheckType(fields_[number], TypeOf(given.value)));
    (*values)[number] = &given.value;
  }
  return absl::OkStatus();
}

absl::Status KeySchema::EncodeIndexed(const FieldValues& values, int positions,
                                      std::string* out) const {
  for (int position = 0; position < positions; ++position) {
    const SchemaField& field = fields_[index_[position]];
    const Scalar* value = values[index_[position]];
    if (value == nullptr) {
      return FieldError(Reason::kFieldMissing, field.name,
                        "takes part in the order and is missing");
    }
    SOP_RETURN_IF_ERROR(AppendScalar(field.name, *value, field.direction, out));
  }
  return CheckKeySize(*out);
}

absl::Status KeySchema::EncodeRideOn(const FieldValues& values, std::string* out) const {
  for (size_t number = 0; number < fields_.size(); ++number) {
    const SchemaField& field = fields_[number];
    if (field.index_position != SchemaField::kRidesOn || values[number] == nullptr) continue;
    out->push_back(static_cast<char>(number));
    SOP_RETURN_IF_ERROR(AppendScalar(field.name, *values[number], Direction::kAscending, out));
  }
  return CheckRideOnSize(*out);
}

absl::StatusOr<EncodedKey> KeySchema::Encode(const Key& key) const {
  if (const auto* encoded = std::get_if<EncodedKey>(&key)) {
    SOP_RETURN_IF_ERROR(Validate(encoded->key, encoded->ride_on));
    return *encoded;
  }
  EncodedKey out;
  if (const auto* scalar = std::get_if<Scalar>(&key)) {
    SOP_RETURN_IF_ERROR(CheckForm(KeyForm::kScalar));
    SOP_RETURN_IF_ERROR(CheckType(fields_.front(), TypeOf(*scalar)));
    SOP_RETURN_IF_ERROR(AppendScalar("", *scalar, fields_.front().direction, &out.key));
    SOP_RETURN_IF_ERROR(CheckKeySize(out.key));
    return out;
  }
  FieldValues values;
  SOP_RETURN_IF_ERROR(ByNumber(std::get<Record>(key), &values));
  SOP_RETURN_IF_ERROR(EncodeIndexed(values, static_cast<int>(index_.size()), &out.key));
  SOP_RETURN_IF_ERROR(EncodeRideOn(values, &out.ride_on));
  return out;
}

absl::StatusOr<std::string> KeySchema::EncodeLeadingFields(const Key& leading,
                                                           int* positions) const {
  *positions = 0;
  if (const auto* encoded = std::get_if<EncodedKey>(&leading)) {
    std::vector<EncodedField> fields;
    SOP_RETURN_IF_ERROR(CheckKeySize(encoded->key));
    SOP_RETURN_IF_ERROR(TakeIndexed(encoded->key, &fields));
    *positions = static_cast<int>(fields.size());
    return encoded->key;
  }
  if (std::holds_alternative<Scalar>(leading)) {
    *positions = 1;
    SOP_ASSIGN_OR_RETURN(EncodedKey whole, Encode(leading));
    return std::move(whole.key);
  }
  FieldValues values;
  SOP_RETURN_IF_ERROR(ByNumber(std::get<Record>(leading), &values));
  for (size_t position = 0; position < index_.size(); ++position) {
    if (values[index_[position]] != nullptr) *positions = static_cast<int>(position) + 1;
  }
  std::string out;
  SOP_RETURN_IF_ERROR(EncodeIndexed(values, *positions, &out));
  return out;
}

absl::StatusOr<std::string> KeySchema::EncodeLeading(const Key& leading, PrefixMatch match) const {
  int positions = 0;
  SOP_ASSIGN_OR_RETURN(std::string out, EncodeLeadingFields(leading, &positions));
  if (match == PrefixMatch::kWholeFields || positions == 0) return out;
  const SchemaField& last = fields_[index_[positions - 1]];
  if (last.type != ScalarType::kString && last.type != ScalarType::kBytes) {
    return FieldError(
        Reason::kInvalidKey, last.name,
        fmt::format("of type {} has no prefix; string and bytes have", TypeName(last.type)));
  }
  // Everything but the terminator.
  out.resize(out.size() - 2);
  return out;
}

absl::StatusOr<KeyRange> KeySchema::EncodePrefix(const Key& leading, PrefixMatch match) const {
  SOP_ASSIGN_OR_RETURN(const std::string prefix, EncodeLeading(leading, match));
  return PrefixRange(prefix);
}

absl::StatusOr<KeyRange> KeySchema::EncodeRange(const std::optional<KeyBound>& from,
                                                const std::optional<KeyBound>& to) const {
  KeyRange range;
  if (from.has_value()) {
    SOP_ASSIGN_OR_RETURN(range.begin, EncodeLeading(from->key, PrefixMatch::kWholeFields));
    if (from->inclusion == Inclusion::kExclusive) range.begin = PrefixSuccessor(range.begin);
  }
  if (to.has_value()) {
    SOP_ASSIGN_OR_RETURN(range.end, EncodeLeading(to->key, PrefixMatch::kWholeFields));
    if (to->inclusion == Inclusion::kInclusive) range.end = PrefixSuccessor(range.end);
  }
  return range;
}

absl::Status KeySchema::TakeIndexed(std::string_view key,
                                    std::vector<EncodedField>* by_position) const {
  while (!key.empty()) {
    if (by_position->size() == index_.size()) {
      return Error(Reason::kInvalidKey,
                   fmt::format("encoded key has more bytes than its {} fields: '{}'", index_.size(),
                               base::Hex(key.substr(0, 16))));
    }
    EncodedField taken;
    SOP_RETURN_IF_ERROR(TakeField(&key, &taken));
    const SchemaField& field = fields_[index_[by_position->size()]];
    SOP_RETURN_IF_ERROR(CheckType(field, taken.type));
    if (taken.direction != field.direction) {
      return FieldError(Reason::kInvalidKey, field.name,
                        taken.direction == Direction::kAscending
                            ? "is encoded ascending; in this store it descends"
                            : "is encoded descending; in this store it ascends");
    }
    by_position->push_back(taken);
  }
  return absl::OkStatus();
}

absl::Status KeySchema::TakeRideOn(std::string_view ride_on,
                                   std::vector<EncodedField>* by_number) const {
  by_number->assign(fields_.size(), EncodedField());
  int last = -1;
  while (!ride_on.empty()) {
    const int number = static_cast<uint8_t>(ride_on.front());
    if (number <= last || number >= static_cast<int>(fields_.size()) ||
        fields_[number].index_position != SchemaField::kRidesOn) {
      return Error(Reason::kInvalidKey,
                   fmt::format("field number {} does not ride on, or is out of order", number));
    }
    ride_on.remove_prefix(1);
    EncodedField taken;
    SOP_RETURN_IF_ERROR(TakeField(&ride_on, &taken));
    SOP_RETURN_IF_ERROR(CheckType(fields_[number], taken.type));
    if (taken.direction != Direction::kAscending) {
      return FieldError(Reason::kInvalidKey, fields_[number].name, "rides on and is inverted");
    }
    (*by_number)[number] = taken;
    last = number;
  }
  return absl::OkStatus();
}

absl::Status KeySchema::Validate(std::string_view key, std::string_view ride_on) const {
  SOP_RETURN_IF_ERROR(CheckKeySize(key));
  SOP_RETURN_IF_ERROR(CheckRideOnSize(ride_on));
  std::vector<EncodedField> fields;
  SOP_RETURN_IF_ERROR(TakeIndexed(key, &fields));
  if (fields.size() < index_.size()) {
    return FieldError(Reason::kFieldMissing, fields_[index_[fields.size()]].name,
                      "takes part in the order and is missing from the encoded key");
  }
  return TakeRideOn(ride_on, &fields);
}

absl::StatusOr<Key> KeySchema::Decode(std::string_view key, std::string_view ride_on) const {
  std::vector<EncodedField> indexed;
  std::vector<EncodedField> by_number;
  if (absl::Status status = TakeIndexed(key, &indexed); !status.ok()) return AsDamaged(status);
  if (absl::Status status = TakeRideOn(ride_on, &by_number); !status.ok()) return AsDamaged(status);
  if (indexed.size() != index_.size()) {
    return Error(Reason::kDamaged, fmt::format("stored key has {} fields; its schema has {}",
                                               indexed.size(), index_.size()));
  }
  if (form_ == KeyForm::kScalar) return Key(DecodeField(indexed.front()));
  for (size_t i = 0; i < indexed.size(); ++i) by_number[index_[i]] = indexed[i];
  Record record;
  record.fields.reserve(fields_.size());
  for (size_t number = 0; number < fields_.size(); ++number) {
    if (by_number[number].bytes.empty()) continue;
    record.fields.push_back({fields_[number].name, DecodeField(by_number[number])});
  }
  return Key(std::move(record));
}

absl::StatusOr<std::string> KeySchema::PatchRideOn(std::string_view ride_on,
                                                   const Record& changes) const {
  std::vector<EncodedField> by_number;
  if (absl::Status status = TakeRideOn(ride_on, &by_number); !status.ok()) return AsDamaged(status);
  FieldValues values;
  SOP_RETURN_IF_ERROR(ByNumber(changes, &values));
  std::string out;
  for (size_t number = 0; number < fields_.size(); ++number) {
    const SchemaField& field = fields_[number];
    const bool given = values[number] != nullptr;
    if (given && field.index_position != SchemaField::kRidesOn) {
      return FieldError(Reason::kInvalidKey, field.name,
                        "takes part in the order and cannot be changed in place");
    }
    if (!given && by_number[number].bytes.empty()) continue;
    out.push_back(static_cast<char>(number));
    if (given) {
      SOP_RETURN_IF_ERROR(AppendScalar(field.name, *values[number], Direction::kAscending, &out));
    } else {
      out.append(by_number[number].bytes);
    }
  }
  SOP_RETURN_IF_ERROR(CheckRideOnSize(out));
  return out;
}

}  // namespace sop::btree
