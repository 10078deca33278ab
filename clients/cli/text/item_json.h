#pragma once

#include <string>
#include <string_view>

#include "absl/status/statusor.h"
#include "clients/cli/text/json.h"
#include "core/btree/value_format.h"

namespace sop::cli {

// A value as it is stored.
struct StoredValue {
  std::string content;
  btree::ValueFormat format = btree::ValueFormat::kBytes;
  friend bool operator==(const StoredValue&, const StoredValue&) = default;
};

// Puts the value into `item` under a name that tells its format, so that ValueFromJson gives back
// every byte: "value" any JSON, "text" a string, "bytes" base64, "json" the text of a JSON document
// whose spelling would be lost. Text that is not UTF-8 is kept as {"text_bytes": base64} and so is
// JSON ("json_bytes"). An empty value of no format is left out.
void AddValue(const StoredValue& value, Json* item);

// INVALID_ARGUMENT if a member of these names has the wrong type.
absl::StatusOr<StoredValue> ValueFromJson(const Json& item);

// What `--format auto` makes of an argument: JSON if it is a document, else TEXT, else BYTES.
StoredValue GuessFormat(std::string content);

// One line for people: control characters escaped.
std::string PrintableLine(std::string_view text);

}  // namespace sop::cli
