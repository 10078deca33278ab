#pragma once

#include <cstddef>
#include <cstdint>
#include <deque>
#include <istream>
#include <string>

namespace sop::cli {

// The lines of a stream, numbered from 1, one after the other and able to go back. The end of a
// line may be LF or CR LF; a byte order mark at the very beginning is left out. Confined to its
// owner.
class LineReader {
 public:
  struct Line {
    std::string text;
    // From 1.
    uint64_t number = 0;
    // Where it begins in the stream.
    uint64_t position = 0;
    // The line ended with CR LF.
    bool carriage_return = false;
  };

  // `stream` must outlive this.
  explicit LineReader(std::istream& stream) : stream_(stream) {}

  // The next line; false at the end of the stream.
  bool Next(Line* line);
  // Gives a line back: it is the next one again.
  void Return(Line line);
  // Where the next line begins, in bytes; the size of the stream at its end.
  uint64_t position() const { return returned_.empty() ? position_ : returned_.front().position; }
  // Lines before the next one.
  uint64_t lines_passed() const {
    return returned_.empty() ? lines_read_ : returned_.front().number - 1;
  }
  // Makes the line at byte `position`, before which there are `lines` lines, the next one.
  // REQUIRES: the stream can be read from any place.
  void GoTo(uint64_t position, uint64_t lines);

 private:
  // More bytes behind those in the buffer; false at the end of the stream.
  bool Fill();

  std::istream& stream_;
  std::deque<Line> returned_;
  // What was read of the stream and not given out: buffer_[begin_, end_).
  std::string buffer_;
  size_t begin_ = 0;
  size_t end_ = 0;
  uint64_t lines_read_ = 0;
  // Of buffer_[begin_].
  uint64_t position_ = 0;
};

}  // namespace sop::cli
