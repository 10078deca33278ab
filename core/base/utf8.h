#pragma once

#include <string_view>

namespace sop::base {

// Whether `text` is well-formed UTF-8 (Unicode 15, table 3-7): shortest forms only, no surrogates,
// nothing above U+10FFFF. U+0000 is allowed.
bool IsValidUtf8(std::string_view text);

}  // namespace sop::base
