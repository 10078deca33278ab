#pragma once

#include <cstddef>
#include <string_view>

namespace sop::base {

// Whether `text` is well-formed UTF-8 (Unicode 15, table 3-7): shortest forms only, no surrogates,
// nothing above U+10FFFF. U+0000 is allowed.
bool IsValidUtf8(std::string_view text);

// IsValidUtf8 of a text that comes in parts. Confined to its owner.
class Utf8Checker {
 public:
  // False once what came so far cannot begin a valid text.
  bool Add(std::string_view part);
  // Whether all of it is valid, if nothing follows.
  bool AtEnd() const { return valid_ && rest_size_ == 0; }

 private:
  bool valid_ = true;
  // A character at the end of which more is to come.
  char rest_[4] = {};
  size_t rest_size_ = 0;
};

}  // namespace sop::base
