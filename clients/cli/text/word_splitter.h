#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/statusor.h"

namespace sop::cli {

// Takes words off the front of a text. Words end at white space unless quoted ('as it is', "with \"
// escapes") or enclosed in the brackets of JSON; '#' at the beginning of a word begins a comment.
// Borrows the text. Confined to its owner.
class WordSplitter {
 public:
  explicit WordSplitter(std::string_view text) : rest_(text) {}

  // nullopt at the end of the text or at a comment. INVALID_ARGUMENT if a quote or bracket is never
  // closed: nothing else is wrong with any text.
  absl::StatusOr<std::optional<std::string>> Next();

  // What was not taken yet.
  std::string_view rest() const { return rest_; }

 private:
  absl::Status TakePart(std::string* word);
  // Up to the bracket that closes the first one; brackets inside strings do not count.
  absl::Status TakeJson(std::string* word);

  std::string_view rest_;
};

// All words of `text`; the errors of WordSplitter::Next.
absl::StatusOr<std::vector<std::string>> SplitWords(std::string_view text);

}  // namespace sop::cli
