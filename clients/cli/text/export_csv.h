#pragma once

#include <memory>
#include <string>
#include <string_view>

#include "absl/status/statusor.h"
#include "clients/cli/text/csv_reader.h"
#include "clients/cli/text/item_json.h"
#include "clients/cli/text/item_source.h"
#include "clients/cli/text/json.h"
#include "clients/cli/text/key_text.h"
#include "clients/cli/text/line_reader.h"

namespace sop::cli {

// A store as delimited text that every program can read and that loses nothing. A row is an item:
// the fields of its key in the order of the index (of a scalar key one, "key"), those that ride on
// it, its value, and what the value is: json, text, bytes (in base64), json_bytes or text_bytes
// (the same, because they are not UTF-8), or nothing for no value. Fields that ride on and are not
// there are empty; those that are there and empty are named behind the format by their position
// among the fields that ride on, from 0: "json;empty=0,2". The heading of that last column is a
// JSON object,
// {"sop_export": 1, "store": ...}, with everything that an equal store is made of.

// Whether a first line is the heading of such a text.
bool IsExportCsv(std::string_view first_line);
// The description of the store in it. INVALID_ARGUMENT if there is none.
absl::StatusOr<Json> StoreOfExportCsv(const std::string& first_line);

// The heading and the rows, each with its line end. REQUIRES: `keys` has a schema, but for the
// heading of an empty store.
std::string ExportCsvHeading(const StoreKeys& keys, const Json& store);
std::string ExportCsvRow(const StoreKeys& keys, const btree::Key& key, const StoredValue& value);

// Reads what they wrote, heading and all, from `lines`, which must outlive the result.
// INVALID_ARGUMENT if the heading is not one.
absl::StatusOr<std::unique_ptr<ItemSource>> OpenExportCsv(LineReader& lines);

}  // namespace sop::cli
