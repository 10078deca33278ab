#include "clients/cli/text/word_splitter.h"

#include <fmt/format.h>

#include <utility>

#include "absl/strings/ascii.h"
#include "core/base/bytes.h"
#include "core/base/error.h"
#include "core/base/status_macros.h"

namespace sop::cli {

absl::StatusOr<std::optional<std::string>> WordSplitter::Next() {
  while (!rest_.empty() && absl::ascii_isspace(rest_.front())) {
    rest_.remove_prefix(1);
  }
  if (rest_.empty() || rest_.front() == '#') {
    return std::optional<std::string>();
  }
  std::string word;
  if (rest_.front() == '{' || rest_.front() == '[') {
    SOP_RETURN_IF_ERROR(TakeJson(&word));
  }
  while (!rest_.empty() && !absl::ascii_isspace(rest_.front())) {
    SOP_RETURN_IF_ERROR(TakePart(&word));
  }
  return std::optional(std::move(word));
}

absl::Status WordSplitter::TakePart(std::string* word) {
  const char quote = rest_.front();
  if (quote != '"' && quote != '\'') {
    word->push_back(quote);
    rest_.remove_prefix(1);
    return absl::OkStatus();
  }
  size_t i = 1;
  while (i < rest_.size() && rest_[i] != quote) {
    if (quote == '"' && rest_[i] == '\\' && i + 1 < rest_.size()) {
      ++i;
    }
    word->push_back(rest_[i++]);
  }
  if (i == rest_.size()) {
    return Error(Reason::kInvalidArgument, fmt::format("the quote before \"{}\" is never closed",
                                                       base::Printable(rest_.substr(1))));
  }
  rest_.remove_prefix(i + 1);
  return absl::OkStatus();
}

absl::Status WordSplitter::TakeJson(std::string* word) {
  int depth = 0;
  bool in_string = false;
  for (size_t i = 0; i < rest_.size(); ++i) {
    const char byte = rest_[i];
    if (in_string) {
      i += byte == '\\' ? 1 : 0;
      in_string = byte != '"';
      continue;
    }
    in_string = byte == '"';
    depth += byte == '{' || byte == '[' ? 1 : 0;
    depth -= byte == '}' || byte == ']' ? 1 : 0;
    if (depth == 0) {
      word->append(rest_.substr(0, i + 1));
      rest_.remove_prefix(i + 1);
      return absl::OkStatus();
    }
  }
  return Error(Reason::kInvalidArgument,
               fmt::format("\"{}\" lacks a closing bracket", base::Printable(rest_)));
}

absl::StatusOr<std::vector<std::string>> SplitWords(std::string_view text) {
  WordSplitter splitter(text);
  std::vector<std::string> words;
  while (true) {
    SOP_ASSIGN_OR_RETURN(std::optional<std::string> word, splitter.Next());
    if (!word) {
      return words;
    }
    words.push_back(*std::move(word));
  }
}

}  // namespace sop::cli
