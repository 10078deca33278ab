#include "clients/cli/text/line_reader.h"

#include <utility>

namespace sop::cli {

namespace {

constexpr std::string_view kByteOrderMark = "\xef\xbb\xbf";

}  // namespace

bool LineReader::Next(Line* line) {
  if (!returned_.empty()) {
    *line = std::move(returned_.front());
    returned_.pop_front();
    return true;
  }
  line->carriage_return = false;
  if (!std::getline(stream_, line->text)) {
    return false;
  }
  bytes_read_ += line->text.size() + 1;
  line->number = ++lines_read_;
  if (lines_read_ == 1 && line->text.starts_with(kByteOrderMark)) {
    line->text.erase(0, kByteOrderMark.size());
  }
  if (!line->text.empty() && line->text.back() == '\r') {
    line->text.pop_back();
    line->carriage_return = true;
  }
  return true;
}

void LineReader::Return(Line line) { returned_.push_front(std::move(line)); }

}  // namespace sop::cli
