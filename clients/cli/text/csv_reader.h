#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "clients/cli/text/line_reader.h"

namespace sop::cli {

struct CsvDialect {
  char separator = ',';
  // Encloses fields that hold separators, line ends or quotes; none: every byte is taken as it is.
  std::optional<char> quote = '"';
  // A quoted field that has not ended after this many bytes is taken for an unpaired quote.
  size_t max_row_size_bytes = 4 << 20;
};

// What became of one step of reading.
enum class RowOutcome { kRow, kMalformed, kEnd };

// The rows of delimited text as RFC 4180 has them: a quoted field may hold separators, line ends
// and, doubled, quotes. A row that breaks the rules is reported with the number of its first line,
// and reading goes on behind that line. Empty lines are passed over. Confined to its owner.
class CsvReader {
 public:
  // `lines` must outlive this.
  CsvReader(LineReader& lines, CsvDialect dialect) : lines_(lines), dialect_(dialect) {}

  // kRow fills `fields`, kMalformed the complaint.
  RowOutcome Next(std::vector<std::string>* fields);
  // First line of the row last read, from 1.
  uint64_t line() const { return line_; }
  // Why the row last read is malformed.
  const std::string& complaint() const { return complaint_; }

 private:
  enum class FieldEnd { kSeparator, kLineEnd, kMalformed };

  RowOutcome ReadRow(std::vector<std::string>* fields);
  FieldEnd ReadField(std::string* field);
  FieldEnd ReadPlainField(std::string* field);
  FieldEnd ReadQuotedField(std::string* field);
  bool AppendNextLine();
  // Makes the lines behind the first one of the row the next ones again.
  void ReturnFollowingLines();

  LineReader::Line& last_line() { return row_lines_[row_line_count_ - 1]; }

  LineReader& lines_;
  const CsvDialect dialect_;
  // The lines of the row; all but the last end inside a quoted field. What is behind them is memory
  // for other rows.
  std::vector<LineReader::Line> row_lines_ = std::vector<LineReader::Line>(1);
  size_t row_line_count_ = 0;
  size_t row_size_bytes_ = 0;
  // Next byte in the last line of the row.
  size_t position_ = 0;
  uint64_t line_ = 0;
  std::string complaint_;
};

// One line of such text that must be one row, as on a command line. nullopt if it is malformed.
std::optional<std::vector<std::string>> SplitCsvLine(const std::string& text, CsvDialect dialect);

// `field`, quoted if it has to be.
std::string QuotedCsvField(const std::string& field, CsvDialect dialect);

}  // namespace sop::cli
