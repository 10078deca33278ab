#include "clients/cli/text/export_csv.h"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>
#include <optional>
#include <system_error>
#include <utility>
#include <vector>

#include "absl/strings/escaping.h"
#include "core/base/bytes.h"
#include "core/base/error.h"
#include "core/base/status_macros.h"
#include "core/base/utf8.h"

namespace sop::cli {

namespace {

using btree::ValueFormat;

// A value of any size is one field.
constexpr CsvDialect kDialect = {.max_row_size_bytes = size_t{128} << 20};
constexpr std::string_view kMark = "\"{\"\"sop_export\"\":1,";
constexpr std::string_view kEmptyFields = ";empty=";

struct FormatName {
  std::string_view name;
  ValueFormat format;
  bool base64;
};

constexpr FormatName kFormats[] = {{"json", ValueFormat::kJson, false},
                                   {"text", ValueFormat::kText, false},
                                   {"bytes", ValueFormat::kBytes, true},
                                   {"json_bytes", ValueFormat::kJson, true},
                                   {"text_bytes", ValueFormat::kText, true}};

absl::Status Wrong(std::string_view message) { return Error(Reason::kInvalidArgument, message); }

void AppendField(const std::string& field, std::string* row) {
  row->append(QuotedCsvField(field, kDialect));
  row->push_back(kDialect.separator);
}

std::vector<std::string> RidingFields(const btree::KeySchema& schema) {
  std::vector<std::string> names;
  for (const btree::SchemaField& field : schema.fields()) {
    if (field.index_position == btree::SchemaField::kRidesOn) {
      names.push_back(field.name);
    }
  }
  return names;
}

bool IsRecord(const StoreKeys& keys) {
  return keys.schema && keys.schema->form() == btree::KeyForm::kRecord;
}

std::string LastHeading(const Json& store) {
  return JsonText(Json::object({{"sop_export", 1}, {"store", store}}));
}

absl::StatusOr<std::vector<std::string>> Headings(const std::string& first_line) {
  std::optional<std::vector<std::string>> headings = SplitCsvLine(first_line, kDialect);
  if (!headings || headings->size() < 3) {
    return Wrong("line 1: not the heading of an export");
  }
  return *std::move(headings);
}

// Confined to its owner.
class ExportCsvSource : public ItemSource {
 public:
  explicit ExportCsvSource(LineReader& lines) : reader_(lines, kDialect) {}

  absl::Status Open();
  RowOutcome Next(ImportItem* item) override;

 private:
  struct Column {
    std::string name;
    ColumnType type = ColumnType::kString;
  };

  absl::Status ReadSchema(const Json& schema, const std::vector<std::string>& names);
  absl::Status TakeKey(const std::vector<bool>& empty, btree::Key* key) const;
  absl::Status TakeValue(std::string_view format, StoredValue* value) const;
  absl::StatusOr<std::vector<bool>> EmptyFields(std::string_view positions) const;

  CsvReader reader_;
  std::vector<Column> columns_;
  size_t indexed_ = 0;
  bool record_ = false;
  std::vector<std::string> cells_;
};

absl::Status ExportCsvSource::Open() {
  std::vector<std::string> names;
  if (reader_.Next(&names) != RowOutcome::kRow || names.size() < 3) {
    return Wrong("line 1: not the heading of an export");
  }
  const std::optional<Json> mark = ParseJson(names.back());
  if (!mark || !mark->is_object() || !mark->contains("store")) {
    return Wrong("line 1: not the heading of an export");
  }
  names.resize(names.size() - 2);
  const Json& store = (*mark)["store"];
  return ReadSchema(store.is_object() && store.contains("schema") ? store["schema"] : Json(),
                    names);
}

absl::Status ExportCsvSource::ReadSchema(const Json& schema,
                                         const std::vector<std::string>& names) {
  record_ = schema.is_object() && schema.value("shape", "") == "record";
  if (!record_ && names.size() != 1) {
    return Wrong("line 1: the columns do not fit the store");
  }
  const Json fields = schema.is_object() ? schema.value("fields", Json::array()) : Json::array();
  for (const std::string& name : names) {
    Column column{name, ColumnType::kString};
    const Json* described = nullptr;
    for (const Json& field : fields) {
      const bool meant = field.is_object() && (!record_ || field.value("name", "") == name);
      described = meant ? &field : described;
    }
    const auto type =
        described == nullptr ? std::nullopt : ColumnTypeNamed(described->value("type", ""));
    if (described != nullptr && !type) {
      return Wrong(
          fmt::format("line 1: column \"{}\" has a type that is not known", base::Printable(name)));
    }
    column.type = type.value_or(ColumnType::kString);
    const bool rides_on = record_ && described != nullptr && !described->contains("index_position");
    indexed_ += rides_on ? 0 : 1;
    columns_.push_back(std::move(column));
  }
  return absl::OkStatus();
}

RowOutcome ExportCsvSource::Next(ImportItem* item) {
  const RowOutcome outcome = reader_.Next(&cells_);
  line_ = reader_.line();
  if (outcome != RowOutcome::kRow) {
    return outcome == RowOutcome::kEnd ? outcome : Malformed(reader_.complaint());
  }
  if (cells_.size() != columns_.size() + 2) {
    return Malformed(fmt::format("{} fields instead of {}", cells_.size(), columns_.size() + 2));
  }
  std::string_view format = cells_.back();
  std::string_view positions;
  if (const size_t at = format.find(kEmptyFields); at != std::string_view::npos) {
    positions = format.substr(at + kEmptyFields.size());
    format = format.substr(0, at);
  }
  const absl::StatusOr<std::vector<bool>> empty = EmptyFields(positions);
  absl::Status status = empty.status();
  if (status.ok()) {
    status = TakeKey(*empty, &item->key);
  }
  if (status.ok()) {
    status = TakeValue(format, &item->value);
  }
  return status.ok() ? RowOutcome::kRow : Malformed(std::string(status.message()));
}

// By position among the columns of the key.
absl::StatusOr<std::vector<bool>> ExportCsvSource::EmptyFields(std::string_view positions) const {
  std::vector<bool> empty(columns_.size());
  if (positions.empty()) {
    return empty;
  }
  while (true) {
    const std::string_view text = positions.substr(0, positions.find(','));
    size_t position = 0;
    const auto end = std::from_chars(text.data(), text.data() + text.size(), position);
    const bool number = end.ec == std::errc() && end.ptr == text.data() + text.size();
    if (!number || indexed_ + position >= empty.size()) {
      return Wrong(
          fmt::format("\"{}\" is no position of a field that rides on", base::Printable(text)));
    }
    empty[indexed_ + position] = true;
    if (text.size() == positions.size()) {
      break;
    }
    positions.remove_prefix(text.size() + 1);
  }
  return empty;
}

absl::Status ExportCsvSource::TakeKey(const std::vector<bool>& empty, btree::Key* key) const {
  btree::Record record;
  for (size_t i = 0; i < columns_.size(); ++i) {
    const bool rides_on = i >= indexed_;
    if (rides_on && cells_[i].empty() && !empty[i]) {
      continue;
    }
    auto scalar = ParseScalar(columns_[i].type, cells_[i]);
    if (!scalar.ok()) {
      return Wrong(fmt::format("column {}: {}", base::Printable(columns_[i].name),
                               std::string(scalar.status().message())));
    }
    record.fields.push_back({columns_[i].name, *std::move(scalar)});
  }
  if (record_) {
    *key = std::move(record);
  } else {
    *key = std::move(record.fields.front().value);
  }
  return absl::OkStatus();
}

absl::Status ExportCsvSource::TakeValue(std::string_view format, StoredValue* value) const {
  const std::string& cell = cells_[columns_.size()];
  *value = {};
  if (format.empty() && cell.empty()) {
    return absl::OkStatus();
  }
  const auto* const found =
      std::find_if(std::begin(kFormats), std::end(kFormats),
                   [format](const FormatName& known) { return known.name == format; });
  if (found == std::end(kFormats)) {
    return Wrong(fmt::format("\"{}\" is no format of values", base::Printable(format)));
  }
  value->format = found->format;
  if (!found->base64) {
    value->content = cell;
  } else if (!absl::Base64Unescape(cell, &value->content)) {
    return Wrong("the value is not base64");
  }
  return absl::OkStatus();
}

}  // namespace

bool IsExportCsv(std::string_view first_line) {
  return first_line.find(kMark) != std::string_view::npos;
}

absl::StatusOr<Json> StoreOfExportCsv(const std::string& first_line) {
  SOP_ASSIGN_OR_RETURN(const std::vector<std::string> headings, Headings(first_line));
  const std::optional<Json> mark = ParseJson(headings.back());
  if (!mark || !mark->is_object() || !mark->contains("store")) {
    return Wrong("line 1: not the heading of an export");
  }
  return (*mark)["store"];
}

std::string ExportCsvHeading(const StoreKeys& keys, const Json& store) {
  std::vector<std::string> names;
  if (IsRecord(keys)) {
    names = keys.index_fields;
    const std::vector<std::string> riding = RidingFields(*keys.schema);
    names.insert(names.end(), riding.begin(), riding.end());
  } else {
    names.push_back("key");
  }
  std::string value = "value";
  while (std::find(names.begin(), names.end(), value) != names.end()) {
    value.push_back('_');
  }
  std::string row;
  for (const std::string& name : names) {
    AppendField(name, &row);
  }
  AppendField(value, &row);
  return row + QuotedCsvField(LastHeading(store), kDialect) + "\n";
}

std::string ExportCsvRow(const StoreKeys& keys, const btree::Key& key, const StoredValue& value) {
  std::string row;
  std::string empty;
  if (const auto* scalar = std::get_if<btree::Scalar>(&key); scalar != nullptr) {
    AppendField(ScalarText(*scalar), &row);
  } else if (const auto* record = std::get_if<btree::Record>(&key); record != nullptr) {
    for (const std::string& name : keys.index_fields) {
      const btree::Scalar* field = record->Find(name);
      AppendField(field == nullptr ? "" : ScalarText(*field), &row);
    }
    size_t position = 0;
    for (const std::string& name : RidingFields(*keys.schema)) {
      const btree::Scalar* field = record->Find(name);
      const std::string text = field == nullptr ? "" : ScalarText(*field);
      if (field != nullptr && text.empty()) {
        empty += fmt::format("{}{}", empty.empty() ? kEmptyFields : ",", position);
      }
      AppendField(text, &row);
      ++position;
    }
  }
  const bool none = value.content.empty() && value.format == ValueFormat::kBytes;
  const bool base64 = value.format == ValueFormat::kBytes || !base::IsValidUtf8(value.content);
  AppendField(base64 ? absl::Base64Escape(value.content) : value.content, &row);
  std::string format;
  for (const FormatName& known : kFormats) {
    if (!none && known.format == value.format && known.base64 == base64) {
      format = known.name;
    }
  }
  return row + QuotedCsvField(format + empty, kDialect) + "\n";
}

absl::StatusOr<std::unique_ptr<ItemSource>> OpenExportCsv(LineReader& lines) {
  auto source = std::make_unique<ExportCsvSource>(lines);
  SOP_RETURN_IF_ERROR(source->Open());
  return source;
}

}  // namespace sop::cli
