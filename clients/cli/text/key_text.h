#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/statusor.h"
#include "clients/cli/text/json.h"
#include "core/btree/key.h"
#include "core/btree/key_schema.h"

namespace sop::cli {

// What is known of the keys of a store.
struct StoreKeys {
  // Unless nothing was stored and nothing declared.
  std::optional<btree::KeySchema> schema;
  // Names of the fields of the order; empty in a store of scalar keys, and in one that orders
  // records by all their fields as long as there is no schema.
  std::vector<std::string> index_fields;
};

struct KeyPrefix {
  btree::Key key;
  btree::PrefixMatch match = btree::PrefixMatch::kWholeFields;
};

// Keys as people write them: the text of the scalar; a record as a JSON object, or its indexed
// fields in their order with commas between. Types are those of the schema; without one a field is
// a string. INVALID_ARGUMENT saying which field is wrong.
absl::StatusOr<btree::Key> ParseKey(const StoreKeys& keys, std::string_view text);

// An end of a range: a key, or only the first fields of one.
absl::StatusOr<btree::Key> ParseBound(const StoreKeys& keys, std::string_view text);

// What keys begin with: the first bytes of a scalar, behind which a '*' may stand; the first fields
// of a record, the last of them as a beginning if a '*' follows.
absl::StatusOr<KeyPrefix> ParsePrefix(const StoreKeys& keys, std::string_view text);

// What ParseKey reads back.
std::string KeyText(const StoreKeys& keys, const btree::Key& key);

// A scalar as ScalarJson writes it, a record as an object of such; a record that could be taken for
// a scalar is put into {"$record": ...}. REQUIRES: `key` is not encoded.
Json KeyJson(const btree::Key& key);

// Reads what KeyJson wrote; the text of a type will do where the schema names it.
absl::StatusOr<btree::Key> KeyFromJson(const StoreKeys& keys, const Json& json);

}  // namespace sop::cli
