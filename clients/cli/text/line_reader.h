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
    // The line ended with CR LF.
    bool carriage_return = false;
  };

  // `stream` must outlive this.
  explicit LineReader(std::istream& stream) : stream_(stream) {}

  // The next line; false at the end of the stream.
  bool Next(Line* line);
  // Gives a line back: it is the next one again.
  void Return(Line line);
  // Bytes taken from the stream so far.
  uint64_t bytes_read() const { return bytes_read_; }

 private:
  std::istream& stream_;
  std::deque<Line> returned_;
  uint64_t lines_read_ = 0;
  uint64_t bytes_read_ = 0;
};

}  // namespace sop::cli
