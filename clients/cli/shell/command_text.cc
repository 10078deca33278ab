#include "clients/cli/shell/command_text.h"

#include "clients/cli/text/word_splitter.h"

namespace sop::cli {

namespace {

bool EndsInBackslash(std::string_view text) {
  size_t backslashes = 0;
  while (text.ends_with('\\')) {
    text.remove_suffix(1);
    ++backslashes;
  }
  return backslashes % 2 == 1;
}

bool EndsInComment(std::string_view text) {
  WordSplitter words(text);
  while (true) {
    const auto word = words.Next();
    if (!word.ok() || !word->has_value()) {
      return words.rest().starts_with('#');
    }
  }
}

}  // namespace

bool CommandText::Add(std::string_view line) {
  ++lines_;
  if (line.ends_with('\r')) {
    line.remove_suffix(1);
  }
  text_.append(line);
  if (!SplitWords(text_).ok()) {
    text_.push_back('\n');
    return false;
  }
  // "\q" and its like are commands of their own.
  if (EndsInBackslash(text_) && text_ != "\\" && !EndsInComment(text_)) {
    text_.pop_back();
    return false;
  }
  return true;
}

void CommandText::Clear() {
  text_.clear();
  lines_ = 0;
}

}  // namespace sop::cli
