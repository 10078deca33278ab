#pragma once

#include <string>
#include <string_view>

namespace sop::cli {

// A command of the shell as it grows line by line: it goes on as long as a quote or a bracket is
// open or its last line ends in a backslash, which is then left out. Confined to its owner.
class CommandText {
 public:
  // Adds a line; whether the command is complete with it.
  bool Add(std::string_view line);

  // The lines so far; between them line ends where a quote or bracket was open.
  const std::string& text() const { return text_; }
  bool empty() const { return lines_ == 0; }
  void Clear();

 private:
  std::string text_;
  int lines_ = 0;
};

}  // namespace sop::cli
