#include "server/observe/trace_parent.h"

namespace sop::observe {
namespace {

bool IsHex(std::string_view text) {
  return text.find_first_not_of("0123456789abcdef") == std::string_view::npos;
}
bool IsZero(std::string_view text) { return text.find_first_not_of('0') == std::string_view::npos; }

}  // namespace

// version "-" trace-id "-" parent-id "-" flags; later versions may append "-" and more.
std::string TraceIdOf(std::string_view traceparent) {
  constexpr size_t kSize = 55;
  if (traceparent.size() < kSize) return "";
  const std::string_view version = traceparent.substr(0, 2);
  const std::string_view trace = traceparent.substr(3, 32);
  const std::string_view parent = traceparent.substr(36, 16);
  const std::string_view flags = traceparent.substr(53, 2);
  const bool dashes = traceparent[2] == '-' && traceparent[35] == '-' && traceparent[52] == '-';
  if (!dashes || !IsHex(version) || !IsHex(trace) || !IsHex(parent) || !IsHex(flags)) return "";
  if (version == "ff" || IsZero(trace) || IsZero(parent)) return "";
  if (traceparent.size() > kSize && (version == "00" || traceparent[kSize] != '-')) return "";
  return std::string(trace);
}

}  // namespace sop::observe
