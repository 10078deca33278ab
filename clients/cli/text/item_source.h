#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "clients/cli/text/column_type.h"
#include "clients/cli/text/csv_reader.h"
#include "clients/cli/text/item_json.h"
#include "clients/cli/text/key_text.h"
#include "clients/cli/text/line_reader.h"
#include "core/base/string_map.h"
#include "core/btree/key.h"

namespace sop::cli {

enum class InputFormat {
  kCsv,        // delimited text, of any separator
  kJsonLines,  // one JSON object per line, of which some members are the key
  kLines,      // one key per line, without value
  kExport,     // one {"key": ..., "value": ...} per line, as `sop export` writes them
  kExportCsv,  // delimited text as `sop export` writes it (export_csv.h)
};

// How rows become items.
struct ItemShape {
  // Names of the columns; empty: the first row holds them. CSV only.
  std::vector<std::string> columns;
  // Key columns in the order of the index. Empty: those of the store's index, else the first
  // column.
  std::vector<std::string> key;
  // Columns kept beside the key.
  std::vector<std::string> ride_on;
  // Of key columns the default is the store's type, of all others string.
  base::StringMap<ColumnType> types;
  // The value is this column alone; empty: a JSON object of all columns that are not in the key, or
  // no value if there are none.
  std::string value_column;
};

struct ImportItem {
  btree::Key key;
  StoredValue value;
};

// The items of a file, one after the other. A row that cannot be an item is malformed: reading goes
// on behind it. Confined to its owner.
class ItemSource {
 public:
  virtual ~ItemSource() = default;
  virtual RowOutcome Next(ImportItem* item) = 0;
  // Key columns as they were understood; empty where the format has no columns.
  virtual std::vector<std::string> key_columns() const { return {}; }

  // Line of the row last read, from 1.
  uint64_t line() const { return line_; }
  // Why the row last read is malformed.
  const std::string& complaint() const { return complaint_; }

 protected:
  RowOutcome Malformed(std::string_view complaint);

  uint64_t line_ = 0;
  std::string complaint_;
};

// Reads items from `lines`, which must outlive the result. INVALID_ARGUMENT if the shape names a
// column that is not there, or one twice.
absl::StatusOr<std::unique_ptr<ItemSource>> OpenItems(InputFormat format, CsvDialect dialect,
                                                      const ItemShape& shape, const StoreKeys& keys,
                                                      LineReader& lines);

}  // namespace sop::cli
