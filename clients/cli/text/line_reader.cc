#include "clients/cli/text/line_reader.h"

#include <cstring>
#include <string_view>
#include <utility>

namespace sop::cli {

namespace {

constexpr std::string_view kByteOrderMark = "\xef\xbb\xbf";
constexpr size_t kBlockSizeBytes = 256 << 10;

}  // namespace

bool LineReader::Fill() {
  if (begin_ > 0) {
    std::memmove(buffer_.data(), buffer_.data() + begin_, end_ - begin_);
    end_ -= begin_;
    begin_ = 0;
  }
  if (buffer_.size() < end_ + kBlockSizeBytes) {
    buffer_.resize(2 * end_ + kBlockSizeBytes);
  }
  stream_.read(buffer_.data() + end_, static_cast<std::streamsize>(kBlockSizeBytes));
  end_ += static_cast<size_t>(stream_.gcount());
  return stream_.gcount() > 0;
}

bool LineReader::Next(Line* line) {
  if (!returned_.empty()) {
    *line = std::move(returned_.front());
    returned_.pop_front();
    return true;
  }
  size_t searched = 0;
  const void* found = nullptr;
  while (true) {
    const char* unsearched = buffer_.data() + begin_ + searched;
    found = std::memchr(unsearched, '\n', end_ - begin_ - searched);
    searched = end_ - begin_;
    if (found != nullptr || !Fill()) {
      break;
    }
  }
  if (found == nullptr && begin_ == end_) {
    return false;
  }
  const char* const start = buffer_.data() + begin_;
  const size_t size = found == nullptr
                          ? end_ - begin_
                          : static_cast<size_t>(static_cast<const char*>(found) - start);
  std::string_view text(start, size);
  line->position = position_;
  line->number = ++lines_read_;
  if (position_ == 0 && text.starts_with(kByteOrderMark)) {
    text.remove_prefix(kByteOrderMark.size());
  }
  line->carriage_return = text.ends_with('\r');
  text.remove_suffix(line->carriage_return ? 1 : 0);
  line->text.assign(text);
  const size_t taken = size + (found == nullptr ? 0 : 1);
  begin_ += taken;
  position_ += taken;
  return true;
}

void LineReader::Return(Line line) { returned_.push_front(std::move(line)); }

void LineReader::GoTo(uint64_t position, uint64_t lines) {
  returned_.clear();
  begin_ = end_ = 0;
  stream_.clear();
  stream_.seekg(static_cast<std::streamoff>(position));
  position_ = position;
  lines_read_ = lines;
}

}  // namespace sop::cli
