#include "clients/cli/session/key_columns.h"

#include <fmt/format.h>

#include <optional>

#include "clients/cli/session/failure.h"
#include "clients/cli/session/messages.h"
#include "core/base/bytes.h"
#include "core/base/status_macros.h"

namespace sop::cli {

namespace {

constexpr std::string_view kDescending = ":desc";
constexpr std::string_view kAscending = ":asc";

absl::Status Declare(const std::string& name, const base::StringMap<ColumnType>& types,
                     v1::KeySchema* schema) {
  const auto found = types.find(name);
  const ColumnType type = found == types.end() ? ColumnType::kString : found->second;
  const std::optional<btree::ScalarType> scalar = ScalarTypeOf(type);
  if (!scalar) {
    return UsageError(
        fmt::format("\"{}\" is part of the key and cannot be json", base::Printable(name)));
  }
  AddSchemaField(name, *scalar, schema);
  return absl::OkStatus();
}

}  // namespace

std::vector<KeyColumn> ParseKeyColumns(const std::vector<std::string>& texts) {
  std::vector<KeyColumn> columns;
  for (std::string_view text : texts) {
    KeyColumn column;
    if (text.ends_with(kDescending)) {
      column.direction = btree::Direction::kDescending;
      text.remove_suffix(kDescending.size());
    } else if (text.ends_with(kAscending)) {
      text.remove_suffix(kAscending.size());
    }
    column.name = text;
    columns.push_back(std::move(column));
  }
  return columns;
}

absl::StatusOr<base::StringMap<ColumnType>> ParseTypes(const std::vector<std::string>& texts) {
  base::StringMap<ColumnType> types;
  for (const std::string& text : texts) {
    const size_t equals = text.rfind('=');
    const auto type =
        equals == std::string::npos ? std::nullopt : ColumnTypeNamed(text.substr(equals + 1));
    if (!type) {
      return UsageError(fmt::format("\"{}\" is not COLUMN=TYPE with one of the types {}",
                                    base::Printable(text), kColumnTypeNames));
    }
    types[text.substr(0, equals)] = *type;
  }
  return types;
}

absl::StatusOr<btree::ScalarType> KeyTypeNamed(const std::string& name) {
  const auto type = ColumnTypeNamed(name);
  const auto scalar = type ? ScalarTypeOf(*type) : std::nullopt;
  if (!scalar) {
    return UsageError(fmt::format("\"{}\" is no type of keys", base::Printable(name)));
  }
  return *scalar;
}

void AddIndex(const std::vector<KeyColumn>& index, v1::BtreeOptions* options) {
  for (const KeyColumn& column : index) {
    v1::IndexField* field = options->mutable_index()->add_fields();
    field->set_name(column.name);
    field->set_ascending(column.direction == btree::Direction::kAscending);
  }
}

absl::Status DeclareRecord(const std::vector<KeyColumn>& index,
                           const std::vector<std::string>& ride_on,
                           const base::StringMap<ColumnType>& types, v1::BtreeOptions* options) {
  v1::KeySchema* schema = options->mutable_schema();
  schema->set_shape(v1::KEY_SHAPE_RECORD);
  for (const KeyColumn& column : index) {
    SOP_RETURN_IF_ERROR(Declare(column.name, types, schema));
  }
  for (const std::string& name : ride_on) {
    SOP_RETURN_IF_ERROR(Declare(name, types, schema));
  }
  return absl::OkStatus();
}

}  // namespace sop::cli
