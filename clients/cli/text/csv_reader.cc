#include "clients/cli/text/csv_reader.h"

#include <sstream>
#include <string_view>
#include <utility>

namespace sop::cli {

RowOutcome CsvReader::Next(std::vector<std::string>* fields) {
  LineReader::Line& first = row_lines_.front();
  do {
    if (!lines_.Next(&first)) {
      return RowOutcome::kEnd;
    }
  } while (first.text.empty());
  line_ = first.number;
  row_size_bytes_ = first.text.size();
  position_ = 0;
  row_line_count_ = 1;
  complaint_.clear();
  const RowOutcome outcome = ReadRow(fields);
  if (outcome == RowOutcome::kMalformed) {
    ReturnFollowingLines();
  }
  return outcome;
}

RowOutcome CsvReader::ReadRow(std::vector<std::string>* fields) {
  // Fields are written in place so that their memory serves row after row.
  size_t count = 0;
  FieldEnd end = FieldEnd::kSeparator;
  while (end == FieldEnd::kSeparator) {
    if (fields->size() == count) {
      fields->emplace_back();
    }
    std::string& field = (*fields)[count++];
    field.clear();
    end = ReadField(&field);
  }
  fields->resize(count);
  return end == FieldEnd::kLineEnd ? RowOutcome::kRow : RowOutcome::kMalformed;
}

CsvReader::FieldEnd CsvReader::ReadField(std::string* field) {
  const std::string& text = last_line().text;
  if (dialect_.quote && position_ < text.size() && text[position_] == *dialect_.quote) {
    ++position_;
    return ReadQuotedField(field);
  }
  return ReadPlainField(field);
}

CsvReader::FieldEnd CsvReader::ReadPlainField(std::string* field) {
  const std::string& text = last_line().text;
  const size_t end = text.find(dialect_.separator, position_);
  const auto content = std::string_view(text).substr(
      position_, end == std::string::npos ? std::string::npos : end - position_);
  if (dialect_.quote && content.find(*dialect_.quote) != std::string_view::npos) {
    complaint_ = "a quote inside a field that is not quoted";
    return FieldEnd::kMalformed;
  }
  field->assign(content);
  if (end == std::string::npos) {
    return FieldEnd::kLineEnd;
  }
  position_ = end + 1;
  return FieldEnd::kSeparator;
}

CsvReader::FieldEnd CsvReader::ReadQuotedField(std::string* field) {
  const char quote = *dialect_.quote;
  while (true) {
    const std::string& text = last_line().text;
    const size_t end = text.find(quote, position_);
    if (end == std::string::npos) {
      field->append(text, position_);
      field->append(last_line().carriage_return ? "\r\n" : "\n");
      if (!AppendNextLine()) {
        complaint_ = "a quote that is never closed";
        return FieldEnd::kMalformed;
      }
      continue;
    }
    field->append(text, position_, end - position_);
    position_ = end + 1;
    if (position_ == text.size()) {
      return FieldEnd::kLineEnd;
    }
    const char following = text[position_++];
    if (following == dialect_.separator) {
      return FieldEnd::kSeparator;
    }
    if (following != quote) {
      complaint_ = "text behind a closing quote";
      return FieldEnd::kMalformed;
    }
    field->push_back(quote);
  }
}

bool CsvReader::AppendNextLine() {
  if (row_line_count_ == row_lines_.size()) {
    row_lines_.emplace_back();
  }
  LineReader::Line& next = row_lines_[row_line_count_];
  if (row_size_bytes_ > dialect_.max_row_size_bytes || !lines_.Next(&next)) {
    return false;
  }
  ++row_line_count_;
  row_size_bytes_ += next.text.size() + 1;
  position_ = 0;
  return true;
}

void CsvReader::ReturnFollowingLines() {
  while (row_line_count_ > 1) {
    lines_.Return(std::move(last_line()));
    --row_line_count_;
  }
}

std::optional<std::vector<std::string>> SplitCsvLine(const std::string& text, CsvDialect dialect) {
  std::vector<std::string> fields;
  if (text.empty()) {
    fields.emplace_back();
    return fields;
  }
  std::istringstream stream(text);
  LineReader lines(stream);
  CsvReader reader(lines, dialect);
  if (reader.Next(&fields) != RowOutcome::kRow) {
    return std::nullopt;
  }
  std::vector<std::string> more;
  if (reader.Next(&more) != RowOutcome::kEnd) {
    return std::nullopt;
  }
  return fields;
}

std::string QuotedCsvField(const std::string& field, CsvDialect dialect) {
  if (!dialect.quote) {
    return field;
  }
  const char special[] = {dialect.separator, *dialect.quote, '\n', '\r'};
  if (field.find_first_of(std::string_view(special, sizeof(special))) == std::string::npos) {
    return field;
  }
  std::string quoted(1, *dialect.quote);
  for (const char byte : field) {
    if (byte == *dialect.quote) {
      quoted.push_back(byte);
    }
    quoted.push_back(byte);
  }
  quoted.push_back(*dialect.quote);
  return quoted;
}

}  // namespace sop::cli
