#include "core/base/ids.h"

#include <fmt/format.h>

#include <charconv>

#include "core/base/bytes.h"

namespace sop {

std::string Uuid::Bytes() const {
  std::string out;
  base::AppendBigEndian64(&out, high);
  base::AppendBigEndian64(&out, low);
  return out;
}

std::string Uuid::ToString() const {
  return fmt::format("{:08x}-{:04x}-{:04x}-{:04x}-{:012x}", high >> 32, (high >> 16) & 0xffff,
                     high & 0xffff, low >> 48, low & 0xffffffffffffULL);
}

std::optional<Uuid> Uuid::Parse(std::string_view text) {
  std::string digits;
  for (const char c : text) {
    if (c != '-') digits += c;
  }
  if (digits.size() != 32) return std::nullopt;
  const auto half = [&](size_t from, uint64_t* value) {
    const char* end = digits.data() + from + 16;
    return std::from_chars(digits.data() + from, end, *value, 16).ptr == end;
  };
  Uuid id;
  if (!half(0, &id.high) || !half(16, &id.low)) return std::nullopt;
  // Capitals and hyphens in other places are another text.
  if (id.ToString() != text) return std::nullopt;
  return id;
}

}  // namespace sop
