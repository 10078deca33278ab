#pragma once

#include <string>
#include <string_view>

namespace sop::observe {

// The trace id in a W3C `traceparent` header (Trace Context, level 1, section 3.2): 32 lower-case
// hexadecimal digits, not all zero. Empty if the header is not valid, which is then to be ignored.
std::string TraceIdOf(std::string_view traceparent);

}  // namespace sop::observe
