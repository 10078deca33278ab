#include "clients/cli/text/item_source.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <optional>
#include <utility>

#include "clients/cli/text/export_csv.h"
#include "core/base/bytes.h"
#include "core/base/error.h"
#include "core/base/status_macros.h"
#include "core/base/utf8.h"

namespace sop::cli {

namespace {

using btree::Key;
using btree::NamedScalar;
using btree::Record;
using btree::Scalar;

absl::Status Wrong(std::string message) { return Error(Reason::kInvalidArgument, message); }

bool HasRecordKey(const ItemShape& shape, const StoreKeys& keys) {
  const bool store_has = keys.schema && keys.schema->form() == btree::KeyForm::kRecord;
  return shape.key.size() > 1 || !shape.ride_on.empty() || store_has || !keys.index_fields.empty();
}

ColumnType TypeOfKeyColumn(const ItemShape& shape, const StoreKeys& keys, std::string_view name) {
  if (const auto type = shape.types.find(name); type != shape.types.end()) {
    return type->second;
  }
  if (!keys.schema) {
    return ColumnType::kString;
  }
  const bool scalar = keys.schema->form() == btree::KeyForm::kScalar;
  const int number = keys.schema->FieldNumber(scalar ? std::string_view() : name);
  return number < 0 ? ColumnType::kString
                    : ColumnTypeOf(keys.schema->fields()[static_cast<size_t>(number)].type);
}

std::string InColumn(std::string_view name, const absl::Status& status) {
  return fmt::format("column {}: {}", base::Printable(name), std::string(status.message()));
}

Key MakeKey(std::vector<NamedScalar> fields, bool record_key) {
  if (record_key) {
    return Key(Record{std::move(fields)});
  }
  return Key(std::move(fields.front().value));
}

class CsvItemSource : public ItemSource {
 public:
  CsvItemSource(LineReader& lines, CsvDialect dialect) : reader_(lines, dialect) {}

  // Reads the header unless the shape names the columns.
  absl::Status Open(const ItemShape& shape, const StoreKeys& keys);
  RowOutcome Next(ImportItem* item) override;
  std::vector<std::string> key_columns() const override { return key_columns_; }

 private:
  struct Column {
    std::string name;
    // `"name":`, as it stands in the value.
    std::string json_name;
    ColumnType type = ColumnType::kString;
  };

  absl::Status ReadColumns(const ItemShape& shape);
  absl::StatusOr<size_t> Position(std::string_view name) const;
  absl::Status ChooseKeyAndValue(const ItemShape& shape, const StoreKeys& keys);
  absl::Status AppendMember(const Column& column, const std::string& cell, std::string* out) const;
  absl::StatusOr<StoredValue> ValueOf() const;
  absl::StatusOr<StoredValue> ValueOfColumn() const;

  CsvReader reader_;
  std::vector<Column> columns_;
  std::vector<std::string> key_columns_;
  bool record_key_ = false;
  // Positions in `columns_`, ride-on fields last.
  std::vector<size_t> key_;
  std::vector<size_t> rest_;
  std::optional<size_t> value_;
  std::vector<std::string> cells_;
};

absl::Status CsvItemSource::Open(const ItemShape& shape, const StoreKeys& keys) {
  SOP_RETURN_IF_ERROR(ReadColumns(shape));
  for (const auto& [name, type] : shape.types) {
    SOP_ASSIGN_OR_RETURN(const size_t position, Position(name));
    columns_[position].type = type;
  }
  return ChooseKeyAndValue(shape, keys);
}

absl::Status CsvItemSource::ReadColumns(const ItemShape& shape) {
  std::vector<std::string> names = shape.columns;
  if (names.empty()) {
    const RowOutcome outcome = reader_.Next(&names);
    if (outcome == RowOutcome::kMalformed) {
      return Wrong(fmt::format("line {}: {}", reader_.line(), reader_.complaint()));
    }
    if (outcome == RowOutcome::kEnd) {
      return Wrong("the input is empty: its first line should name the columns");
    }
  }
  base::StringSet seen;
  for (std::string& name : names) {
    if (!base::IsValidUtf8(name) || name.empty()) {
      return Wrong(fmt::format("\"{}\" cannot name a column", base::Printable(name)));
    }
    if (!seen.insert(name).second) {
      return Wrong(fmt::format("two columns are named \"{}\"", base::Printable(name)));
    }
    std::string json_name;
    AppendJsonString(name, &json_name);
    json_name.push_back(':');
    columns_.push_back({std::move(name), std::move(json_name), ColumnType::kString});
  }
  return absl::OkStatus();
}

absl::StatusOr<size_t> CsvItemSource::Position(std::string_view name) const {
  for (size_t i = 0; i < columns_.size(); ++i) {
    if (columns_[i].name == name) {
      return i;
    }
  }
  std::vector<std::string> names;
  for (const Column& column : columns_) {
    names.push_back(base::Printable(column.name));
  }
  return Wrong(fmt::format("there is no column \"{}\", only {}", base::Printable(name),
                           fmt::join(names, ", ")));
}

absl::Status CsvItemSource::ChooseKeyAndValue(const ItemShape& shape, const StoreKeys& keys) {
  key_columns_ = shape.key;
  if (key_columns_.empty()) {
    key_columns_ = keys.index_fields;
  }
  if (key_columns_.empty()) {
    key_columns_.push_back(columns_.front().name);
  }
  record_key_ = HasRecordKey(shape, keys);
  std::vector<bool> taken(columns_.size());
  std::vector<std::string> in_key = key_columns_;
  in_key.insert(in_key.end(), shape.ride_on.begin(), shape.ride_on.end());
  for (const std::string& name : in_key) {
    SOP_ASSIGN_OR_RETURN(const size_t position, Position(name));
    if (taken[position]) {
      return Wrong(fmt::format("column \"{}\" is named twice", base::Printable(name)));
    }
    taken[position] = true;
    key_.push_back(position);
    columns_[position].type = TypeOfKeyColumn(shape, keys, name);
    if (columns_[position].type == ColumnType::kJson) {
      return Wrong(fmt::format("column \"{}\" is part of the key and cannot be json",
                               base::Printable(name)));
    }
  }
  if (!shape.value_column.empty()) {
    SOP_ASSIGN_OR_RETURN(value_, Position(shape.value_column));
    return absl::OkStatus();
  }
  for (size_t i = 0; i < columns_.size(); ++i) {
    if (!taken[i]) {
      rest_.push_back(i);
    }
  }
  return absl::OkStatus();
}

RowOutcome CsvItemSource::Next(ImportItem* item) {
  const RowOutcome outcome = reader_.Next(&cells_);
  line_ = reader_.line();
  if (outcome == RowOutcome::kMalformed) {
    return Malformed(reader_.complaint());
  }
  if (outcome == RowOutcome::kEnd) {
    return outcome;
  }
  if (cells_.size() != columns_.size()) {
    return Malformed(fmt::format("{} fields instead of {}", cells_.size(), columns_.size()));
  }
  std::vector<NamedScalar> fields;
  fields.reserve(key_.size());
  for (const size_t position : key_) {
    const Column& column = columns_[position];
    absl::StatusOr<Scalar> scalar = ParseScalar(column.type, cells_[position]);
    if (!scalar.ok()) {
      return Malformed(InColumn(column.name, scalar.status()));
    }
    fields.push_back({column.name, *std::move(scalar)});
  }
  absl::StatusOr<StoredValue> value = value_ ? ValueOfColumn() : ValueOf();
  if (!value.ok()) {
    return Malformed(std::string(value.status().message()));
  }
  item->key = MakeKey(std::move(fields), record_key_);
  item->value = *std::move(value);
  return RowOutcome::kRow;
}

absl::Status CsvItemSource::AppendMember(const Column& column, const std::string& cell,
                                         std::string* out) const {
  if (cell.empty() && column.type != ColumnType::kString) {
    out->append("null");
    return absl::OkStatus();
  }
  if (column.type == ColumnType::kJson) {
    if (!base::IsValidUtf8(cell) || !ParseJson(cell)) {
      return Wrong(fmt::format("\"{}\" is not JSON", base::Printable(cell)));
    }
    out->append(cell);
    return absl::OkStatus();
  }
  if (column.type == ColumnType::kString) {
    if (!base::IsValidUtf8(cell)) {
      return Wrong(fmt::format("\"{}\" is not valid UTF-8", base::Printable(cell)));
    }
    AppendJsonString(cell, out);
    return absl::OkStatus();
  }
  SOP_ASSIGN_OR_RETURN(const Scalar scalar, ParseScalar(column.type, cell));
  const Json json = ScalarJson(scalar);
  if (json.is_object()) {
    AppendJsonString(cell, out);
  } else {
    out->append(JsonText(json));
  }
  return absl::OkStatus();
}

absl::StatusOr<StoredValue> CsvItemSource::ValueOf() const {
  StoredValue value;
  if (rest_.empty()) {
    return value;
  }
  value.format = btree::ValueFormat::kJson;
  for (const size_t position : rest_) {
    const Column& column = columns_[position];
    value.content += value.content.empty() ? '{' : ',';
    value.content += column.json_name;
    const absl::Status status = AppendMember(column, cells_[position], &value.content);
    if (!status.ok()) {
      return Wrong(InColumn(column.name, status));
    }
  }
  value.content += '}';
  return value;
}

absl::StatusOr<StoredValue> CsvItemSource::ValueOfColumn() const {
  const Column& column = columns_[*value_];
  const std::string& cell = cells_[*value_];
  StoredValue value;
  if (column.type == ColumnType::kString && base::IsValidUtf8(cell)) {
    return StoredValue{cell, btree::ValueFormat::kText};
  }
  if (column.type == ColumnType::kBytes) {
    const auto scalar = ParseScalar(column.type, cell);
    if (!scalar.ok()) {
      return Wrong(InColumn(column.name, scalar.status()));
    }
    return StoredValue{std::get<btree::Bytes>(*scalar).value, btree::ValueFormat::kBytes};
  }
  value.format = btree::ValueFormat::kJson;
  const absl::Status status = AppendMember(column, cell, &value.content);
  if (!status.ok()) {
    return Wrong(InColumn(column.name, status));
  }
  return value;
}

// What the sources of one item per line share.
class LineItemSource : public ItemSource {
 public:
  explicit LineItemSource(LineReader& lines) : lines_(lines) {}

  RowOutcome Next(ImportItem* item) final {
    LineReader::Line line;
    do {
      if (!lines_.Next(&line)) {
        return RowOutcome::kEnd;
      }
      line_ = line.number;
    } while (line.text.empty() || IsPassedOver(line.text));
    const absl::Status status = Read(line.text, item);
    return status.ok() ? RowOutcome::kRow : Malformed(std::string(status.message()));
  }

 protected:
  virtual bool IsPassedOver(std::string_view text) const { return false; }
  virtual absl::Status Read(const std::string& text, ImportItem* item) = 0;

  static absl::StatusOr<Json> ParseObject(const std::string& text) {
    std::optional<Json> json = base::IsValidUtf8(text) ? ParseJson(text) : std::nullopt;
    if (!json || !json->is_object()) {
      return Wrong("not a JSON object");
    }
    return *std::move(json);
  }

 private:
  LineReader& lines_;
};

class KeyLineSource : public LineItemSource {
 public:
  KeyLineSource(LineReader& lines, StoreKeys keys)
      : LineItemSource(lines), keys_(std::move(keys)) {}

 protected:
  absl::Status Read(const std::string& text, ImportItem* item) override {
    item->value = {};
    if (!keys_.schema && keys_.index_fields.empty()) {
      SOP_ASSIGN_OR_RETURN(item->key, ParseScalar(ColumnType::kString, text));
      return absl::OkStatus();
    }
    SOP_ASSIGN_OR_RETURN(item->key, ParseKey(keys_, text));
    return absl::OkStatus();
  }

 private:
  const StoreKeys keys_;
};

class ExportSource : public LineItemSource {
 public:
  ExportSource(LineReader& lines, StoreKeys keys) : LineItemSource(lines), keys_(std::move(keys)) {}

 protected:
  bool IsPassedOver(std::string_view text) const override {
    return line_ == 1 && text.starts_with("{\"sop_export\":");
  }

  absl::Status Read(const std::string& text, ImportItem* item) override {
    SOP_ASSIGN_OR_RETURN(const Json json, ParseObject(text));
    const auto key = json.find("key");
    if (key == json.end()) {
      return Wrong("the object has no member \"key\"; --key names members that are the key");
    }
    SOP_ASSIGN_OR_RETURN(item->key, KeyFromJson(keys_, *key));
    SOP_ASSIGN_OR_RETURN(item->value, ValueFromJson(json));
    return absl::OkStatus();
  }

 private:
  const StoreKeys keys_;
};

class JsonItemSource : public LineItemSource {
 public:
  JsonItemSource(LineReader& lines, ItemShape shape, StoreKeys keys)
      : LineItemSource(lines), shape_(std::move(shape)), keys_(std::move(keys)) {
    if (shape_.key.empty()) {
      shape_.key = keys_.index_fields;
    }
    record_key_ = HasRecordKey(shape_, keys_);
  }

  std::vector<std::string> key_columns() const override { return shape_.key; }

 protected:
  absl::Status Read(const std::string& text, ImportItem* item) override {
    SOP_ASSIGN_OR_RETURN(Json json, ParseObject(text));
    std::vector<NamedScalar> fields;
    for (const std::string& name : shape_.key) {
      SOP_RETURN_IF_ERROR(TakeField(name, &json, &fields));
    }
    for (const std::string& name : shape_.ride_on) {
      if (json.contains(name) && !json[name].is_null()) {
        SOP_RETURN_IF_ERROR(TakeField(name, &json, &fields));
      }
    }
    item->key = MakeKey(std::move(fields), record_key_);
    return TakeValue(&json, &item->value);
  }

 private:
  absl::Status TakeField(const std::string& name, Json* json, std::vector<NamedScalar>* fields) {
    const auto member = json->find(name);
    if (member == json->end()) {
      return Wrong(fmt::format("the object has no member \"{}\"", base::Printable(name)));
    }
    const ColumnType type = TypeOfKeyColumn(shape_, keys_, name);
    const bool typed = shape_.types.contains(name) || keys_.schema.has_value();
    auto scalar = member->is_string() && typed
                      ? ParseScalar(type, member->get_ref<const std::string&>())
                      : ScalarFromJson(*member, typed ? std::optional(type) : std::nullopt);
    if (!scalar.ok()) {
      return Wrong(fmt::format("member {}: {}", base::Printable(name),
                               std::string(scalar.status().message())));
    }
    fields->push_back({name, *std::move(scalar)});
    json->erase(name);
    return absl::OkStatus();
  }

  absl::Status TakeValue(Json* json, StoredValue* value) const {
    *value = {};
    const Json* source = json;
    if (!shape_.value_column.empty()) {
      const auto member = json->find(shape_.value_column);
      if (member == json->end()) {
        return Wrong(
            fmt::format("the object has no member \"{}\"", base::Printable(shape_.value_column)));
      }
      source = &*member;
    }
    if (source->is_string()) {
      *value = {source->get<std::string>(), btree::ValueFormat::kText};
    } else if (source != json || !source->empty()) {
      *value = {JsonText(*source), btree::ValueFormat::kJson};
    }
    return absl::OkStatus();
  }

  ItemShape shape_;
  const StoreKeys keys_;
  bool record_key_ = false;
};

}  // namespace

RowOutcome ItemSource::Malformed(std::string_view complaint) {
  complaint_ = complaint;
  return RowOutcome::kMalformed;
}

absl::StatusOr<std::unique_ptr<ItemSource>> OpenItems(InputFormat format, CsvDialect dialect,
                                                      const ItemShape& shape, const StoreKeys& keys,
                                                      LineReader& lines) {
  std::unique_ptr<ItemSource> source;
  switch (format) {
    case InputFormat::kCsv: {
      auto csv = std::make_unique<CsvItemSource>(lines, dialect);
      SOP_RETURN_IF_ERROR(csv->Open(shape, keys));
      source = std::move(csv);
      break;
    }
    case InputFormat::kJsonLines:
      if (shape.key.empty() && keys.index_fields.empty()) {
        return Wrong("--key must name the members that are the key");
      }
      source = std::make_unique<JsonItemSource>(lines, shape, keys);
      break;
    case InputFormat::kLines:
      source = std::make_unique<KeyLineSource>(lines, keys);
      break;
    case InputFormat::kExport:
      source = std::make_unique<ExportSource>(lines, keys);
      break;
    case InputFormat::kExportCsv:
      return OpenExportCsv(lines);
  }
  return source;
}

}  // namespace sop::cli
