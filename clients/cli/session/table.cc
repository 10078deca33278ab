#include "clients/cli/session/table.h"

#include <algorithm>
#include <utility>

#include "clients/cli/text/item_json.h"

namespace sop::cli {

namespace {

constexpr std::string_view kEllipsis = "…";
constexpr size_t kGap = 2;

bool BeginsCharacter(char byte) { return (static_cast<unsigned char>(byte) & 0xc0) != 0x80; }

// Characters of UTF-8; each is taken for one column.
size_t Width(std::string_view text) {
  return static_cast<size_t>(std::count_if(text.begin(), text.end(), BeginsCharacter));
}

std::string Cut(std::string text) {
  if (Width(text) <= Table::kMaxCellWidth) {
    return text;
  }
  size_t kept = 0;
  for (size_t characters = 0; kept < text.size(); ++kept) {
    characters += BeginsCharacter(text[kept]) ? 1 : 0;
    if (characters == Table::kMaxCellWidth) {
      break;
    }
  }
  text.resize(kept);
  return text.append(kEllipsis);
}

std::string CellText(const Json& value) {
  if (value.is_null()) {
    return {};
  }
  return Cut(PrintableLine(value.is_string() ? value.get<std::string>() : JsonText(value)));
}

}  // namespace

void Table::AddCell(const std::string& column, const Json& value, std::vector<Cell>* row) {
  const auto found = std::find(columns_.begin(), columns_.end(), column);
  const auto place = static_cast<size_t>(found - columns_.begin());
  if (found == columns_.end()) {
    columns_.push_back(column);
  }
  row->resize(std::max(row->size(), place + 1));
  (*row)[place] = {CellText(value), value.is_number()};
}

void Table::Add(const Json& row) {
  std::vector<Cell> cells;
  if (!row.is_object()) {
    AddCell("", row, &cells);
  }
  for (const auto& [name, value] : row.items()) {
    if (!row.is_object()) {
      break;
    }
    if (!value.is_object() || value.empty()) {
      AddCell(name, value, &cells);
      continue;
    }
    for (const auto& [member, inner] : value.items()) {
      AddCell(name + "." + member, inner, &cells);
    }
  }
  rows_.push_back(std::move(cells));
}

void Table::AppendLine(const std::vector<Cell>& row, const std::vector<size_t>& widths,
                       std::string* out) const {
  for (size_t i = 0; i < widths.size(); ++i) {
    const Cell cell = i < row.size() ? row[i] : Cell();
    const std::string padding(widths[i] - Width(cell.text), ' ');
    out->append(cell.is_number ? padding + cell.text : cell.text + padding);
    out->append(kGap, ' ');
  }
  out->resize(out->find_last_not_of(' ') + 1);
  out->push_back('\n');
}

std::string Table::Take() {
  std::vector<Cell> heading;
  std::vector<Cell> rule;
  std::vector<size_t> widths;
  for (const std::string& column : columns_) {
    heading.push_back({Cut(PrintableLine(column)), false});
    widths.push_back(Width(heading.back().text));
  }
  for (const std::vector<Cell>& row : rows_) {
    for (size_t i = 0; i < row.size(); ++i) {
      widths[i] = std::max(widths[i], Width(row[i].text));
    }
  }
  for (const size_t width : widths) {
    rule.push_back({std::string(width, '-'), false});
  }
  std::string lines;
  AppendLine(heading, widths, &lines);
  AppendLine(rule, widths, &lines);
  for (const std::vector<Cell>& row : rows_) {
    AppendLine(row, widths, &lines);
  }
  columns_.clear();
  rows_.clear();
  return lines;
}

}  // namespace sop::cli
