#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/statusor.h"
#include "core/btree/key.h"
#include "core/btree/limits.h"
#include "core/btree/scalar.h"

namespace sop::btree {

// One field that takes part in the order. A scalar key's only field has the empty name.
struct IndexField {
  std::string name;
  Direction direction = Direction::kAscending;
  friend bool operator==(const IndexField&, const IndexField&) = default;
};

// The fields of the order, the most significant first. Empty: every field of a record, ascending,
// ordered by name.
using IndexSpecification = std::vector<IndexField>;

struct DeclaredField {
  std::string name;
  ScalarType type = ScalarType::kString;
};

// What a store knows of one field. Its number is its position in KeySchema::fields().
struct SchemaField {
  static constexpr int kRidesOn = -1;

  std::string name;
  ScalarType type = ScalarType::kString;
  // Position in the order from 0, or kRidesOn.
  int index_position = kRidesOn;
  Direction direction = Direction::kAscending;
  // 0 is the order of UTF-8 bytes; the only one so far.
  uint32_t collation = 0;
  friend bool operator==(const SchemaField&, const SchemaField&) = default;
};

enum class KeyForm : uint8_t { kScalar = 1, kRecord = 2 };

// How the last field of a prefix is to be read.
enum class PrefixMatch {
  kWholeFields,    // keys whose leading fields equal those given
  kStartOfString,  // the last one given is a string or bytes; keys in which it starts so
};

enum class Inclusion { kInclusive, kExclusive };

// One end of a range: a key, or the leading indexed fields of one. Fields of a record that ride on
// take no part in a bound.
struct KeyBound {
  Key key;
  Inclusion inclusion = Inclusion::kInclusive;
};

// The types and the order of the keys of one store: turns keys into bytes whose plain order is the
// order of the store (docs/formats/key.md), and back.
//
// Invariants:
// 1. 1 to 32 fields of distinct names, of which at least one is indexed; a scalar schema has one
//    field, with the empty name, indexed.
// 2. Index positions are 0..n-1, each once.
// 3. Encode and Decode are inverse to each other, and two different keys have different bytes.
//
// Errors that the methods share: INVALID_KEY (value or size not allowed, damaged encoded bytes),
// KEY_TYPE_DIFFERS, FIELD_MISSING, FIELD_UNKNOWN, each naming the field, the value and the limit.
//
// Thread-compatible.
class KeySchema {
 public:
  static absl::StatusOr<KeySchema> ForScalar(ScalarType type,
                                             Direction direction = Direction::kAscending);
  // Numbers the fields in the order of their declaration.
  static absl::StatusOr<KeySchema> ForRecord(const std::vector<DeclaredField>& fields,
                                             const IndexSpecification& index);
  // The schema that the first key of a store decides. A record's fields are numbered in the order
  // of their names, so that equal first keys decide alike. An EncodedKey of more than one field
  // has no names and decides nothing: INVALID_KEY.
  static absl::StatusOr<KeySchema> FromFirstKey(const Key& key, const IndexSpecification& index);

  // With the fields of `record` that it does not have: they ride on, numbered after the others in
  // the order of their names, so that what was encoded before stays as it is. KEY_TYPE_DIFFERS for
  // a schema of scalars; INVALID_KEY above kMaxKeyFields, INVALID_NAME.
  absl::StatusOr<KeySchema> ExtendedBy(const Record& record) const;
  // Whether it is `other`, or `other` extended.
  bool Continues(const KeySchema& other) const;

  KeyForm form() const { return form_; }
  const std::vector<SchemaField>& fields() const { return fields_; }
  // The number of the field, or -1.
  int FieldNumber(std::string_view name) const;
  // The fields of the order; ForRecord and FromFirstKey make the same schema of it again.
  IndexSpecification Index() const;

  // Every indexed field must be given; fields that ride on need not be. An EncodedKey is checked
  // and handed back.
  absl::StatusOr<EncodedKey> Encode(const Key& key) const;

  // The bytes that all keys begin with whose leading indexed fields are those of `leading`; an
  // empty Record gives no bytes. FIELD_MISSING if a field before a given one is not given.
  absl::StatusOr<std::string> EncodeLeading(const Key& leading, PrefixMatch match) const;

  absl::StatusOr<KeyRange> EncodePrefix(const Key& leading, PrefixMatch match) const;

  // The keys between two bounds in the *store's* order: in a descending field `from` is the larger
  // one. A missing bound is the store's end. Holds for stored keys with item ids, too.
  absl::StatusOr<KeyRange> EncodeRange(const std::optional<KeyBound>& from,
                                       const std::optional<KeyBound>& to) const;

  // Whether user-given bytes are what Encode would have made of some key. Total: any bytes get an
  // answer.
  absl::Status Validate(std::string_view key, std::string_view ride_on) const;

  // Turns stored bytes (without item id) into a Scalar or a Record, whose fields come in the order
  // of their numbers. DAMAGED if the bytes do not fit the schema.
  absl::StatusOr<Key> Decode(std::string_view key, std::string_view ride_on) const;

  // `ride_on` with the fields of `changes` put in their place, for UpdateKey. INVALID_KEY if a
  // change names an indexed field or the result exceeds kMaxRideOnSizeBytes; DAMAGED if `ride_on`
  // does not fit the schema.
  absl::StatusOr<std::string> PatchRideOn(std::string_view ride_on, const Record& changes) const;

  // The persistent form; Parse is total: DAMAGED, or FORMAT_NOT_SUPPORTED for a later version.
  std::string Serialize() const;
  static absl::StatusOr<KeySchema> Parse(std::string_view bytes);

  friend bool operator==(const KeySchema&, const KeySchema&) = default;

 private:
  // The given values by field number; null where none is given.
  using FieldValues = std::array<const Scalar*, kMaxKeyFields>;

  KeySchema() = default;

  static absl::StatusOr<KeySchema> Make(KeyForm form, std::vector<SchemaField> fields);
  absl::Status CheckFields() const;
  absl::Status CheckForm(KeyForm given) const;
  absl::Status CheckType(const SchemaField& field, ScalarType given) const;
  absl::Status ByNumber(const Record& record, FieldValues* values) const;
  absl::Status EncodeIndexed(const FieldValues& values, int positions, std::string* out) const;
  absl::Status EncodeRideOn(const FieldValues& values, std::string* out) const;
  absl::StatusOr<std::string> EncodeLeadingFields(const Key& leading, int* positions) const;
  // Cuts off the indexed fields, all or as many as there are, and fits them to the schema.
  absl::Status TakeIndexed(std::string_view key, std::vector<EncodedField>* by_position) const;
  // Leaves the fields that are not there empty.
  absl::Status TakeRideOn(std::string_view ride_on, std::vector<EncodedField>* by_number) const;

  KeyForm form_ = KeyForm::kScalar;
  // By field number.
  std::vector<SchemaField> fields_;
  // Field numbers by index position.
  std::vector<int> index_;
};

}  // namespace sop::btree
