#pragma once

#include <cstddef>
#include <string>
#include <vector>

#include "clients/cli/text/json.h"

namespace sop::cli {

// Rows of named columns, printed as columns of characters with a heading. A JSON object is a row;
// of a member that is an object itself every member is a column, `key.country`. Columns stand in
// the order in which they first came up; numbers stand to the right; long cells are cut. Confined
// to its owner.
class Table {
 public:
  // Rows that are laid out together: widths are those of the widest cell among them.
  static constexpr size_t kMaxRows = 500;
  // Characters of a cell; what is longer ends in an ellipsis.
  static constexpr size_t kMaxCellWidth = 60;

  void Add(const Json& row);
  bool empty() const { return rows_.empty(); }
  bool full() const { return rows_.size() >= kMaxRows; }
  // The lines, each with its end; the table is empty then.
  std::string Take();

 private:
  struct Cell {
    std::string text;
    bool is_number = false;
  };

  void AddCell(const std::string& column, const Json& value, std::vector<Cell>* row);
  void AppendLine(const std::vector<Cell>& row, const std::vector<size_t>& widths,
                  std::string* out) const;

  std::vector<std::string> columns_;
  // Cells by column; a row may be shorter than the columns are many.
  std::vector<std::vector<Cell>> rows_;
};

}  // namespace sop::cli
