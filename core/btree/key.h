#pragma once

#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include "absl/status/statusor.h"
#include "core/base/ids.h"
#include "core/btree/scalar.h"

namespace sop::btree {

struct NamedScalar {
  std::string name;
  Scalar value;
  friend bool operator==(const NamedScalar&, const NamedScalar&) = default;
};

// A record key as users give and get it. The order of the fields carries no meaning.
struct Record {
  std::vector<NamedScalar> fields;

  const Scalar* Find(std::string_view name) const;
  friend bool operator==(const Record&, const Record&) = default;
};

// A key as the engine keeps it. Plain byte order of `key` is the order of the store; `ride_on`
// holds the fields that are never compared.
struct EncodedKey {
  std::string key;
  std::string ride_on;
  friend bool operator==(const EncodedKey&, const EncodedKey&) = default;
};

using Key = std::variant<Scalar, Record, EncodedKey>;

// For error messages: escaped and cut.
std::string Printable(const Key& key);

// The keys in [begin, end) in byte order. An empty `begin` starts before every key; an empty `end`
// ends after every key (no encoded key is empty). Holds nothing if `end` is not above `begin`.
struct KeyRange {
  std::string begin;
  std::string end;

  bool Contains(std::string_view key) const;
  bool IsEmpty() const { return !end.empty() && end <= begin; }
  friend bool operator==(const KeyRange&, const KeyRange&) = default;
};

// The keys that are in both.
KeyRange Intersection(const KeyRange& a, const KeyRange& b);

// The least byte string above everything that starts with `prefix`; empty if there is none, which
// a KeyRange reads as "no end".
std::string PrefixSuccessor(std::string_view prefix);

// Every key that starts with `prefix`.
KeyRange PrefixRange(std::string_view prefix);

// In a non-unique store the key of an item is the encoded key followed by the 16 bytes of its id,
// so that equal keys are ordered by id.
void AppendItemId(Uuid item_id, std::string* key);

struct KeyAndItemId {
  std::string_view key;
  Uuid item_id;
};

// Splits what AppendItemId made. DAMAGED if `stored` is too short to hold key and id.
absl::StatusOr<KeyAndItemId> SplitItemId(std::string_view stored);

// REQUIRES: 16 bytes, most significant first.
Uuid UuidFromBytes(std::string_view bytes);

}  // namespace sop::btree
