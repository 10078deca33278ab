#pragma once

#include <string>
#include <string_view>

#include "absl/status/statusor.h"
#include "clients/cli/text/item_json.h"
#include "clients/cli/text/json.h"
#include "clients/cli/text/key_text.h"
#include "core/btree/key.h"
#include "sop/v1/types.pb.h"

namespace sop::cli {

void KeyToProto(const btree::Key& key, v1::Key* out);
// INTERNAL if the server sent no key.
absl::StatusOr<btree::Key> KeyFromProto(const v1::Key& key);

void ScalarToProto(const btree::Scalar& scalar, v1::Scalar* out);

void ValueToProto(const StoredValue& value, v1::Value* out);
StoredValue ValueFromProto(const v1::Value& value);

// What the store's description says of its keys.
absl::StatusOr<StoreKeys> KeysOf(const v1::Store& store);

// Types of the fields of a key, for a store that is to be created.
void AddSchemaField(std::string_view name, btree::ScalarType type, v1::KeySchema* schema);

// A store for people and programs: name, options, types, counts.
Json StoreJson(const v1::Store& store);
// The options in what StoreJson wrote, to create an equal store. INVALID_ARGUMENT if they are not
// such.
absl::StatusOr<v1::BtreeOptions> OptionsFromJson(const Json& store);
// "unique; keys: category string, code_point int64; riding on: name string"
std::string StoreText(const v1::Store& store);

// "added", "replaced", "already there", ...
std::string_view OutcomeText(v1::WriteOutcome outcome);

// Lower-case hexadecimal digits of a commit version.
std::string VersionText(const std::string& commit_version);

// What `--prefix`, `--from` and `--to` say; empty for no bound.
struct RangeText {
  std::string prefix;
  std::string from;
  std::string to;
};

// From the first key not before `from` up to `to`, without it.
absl::StatusOr<v1::KeyRange> MakeRange(const StoreKeys& keys, const RangeText& text);

}  // namespace sop::cli
