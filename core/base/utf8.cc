#include "core/base/utf8.h"

#include <cstddef>
#include <cstdint>

#include "core/base/bytes.h"

namespace sop::base {
namespace {

// What may follow a lead byte: how many continuation bytes, and the range of the first of them.
struct Sequence {
  int continuations;
  uint8_t first_min;
  uint8_t first_max;
};

constexpr Sequence kIllFormed{-1, 0, 0};

Sequence SequenceOf(uint8_t lead) {
  if (lead < 0xc2) return kIllFormed;
  if (lead < 0xe0) return {1, 0x80, 0xbf};
  if (lead == 0xe0) return {2, 0xa0, 0xbf};
  if (lead == 0xed) return {2, 0x80, 0x9f};
  if (lead < 0xf0) return {2, 0x80, 0xbf};
  if (lead == 0xf0) return {3, 0x90, 0xbf};
  if (lead < 0xf4) return {3, 0x80, 0xbf};
  if (lead == 0xf4) return {3, 0x80, 0x8f};
  return kIllFormed;
}

size_t SkipAscii(std::string_view text, size_t i) {
  while (i + 8 <= text.size() && (LoadLittle64(text.data() + i) & 0x8080808080808080) == 0) i += 8;
  while (i < text.size() && static_cast<uint8_t>(text[i]) < 0x80) ++i;
  return i;
}

}  // namespace

bool IsValidUtf8(std::string_view text) {
  size_t i = SkipAscii(text, 0);
  while (i < text.size()) {
    const Sequence sequence = SequenceOf(static_cast<uint8_t>(text[i]));
    if (sequence.continuations < 0 ||
        text.size() - i <= static_cast<size_t>(sequence.continuations))
      return false;
    const uint8_t first = static_cast<uint8_t>(text[i + 1]);
    if (first < sequence.first_min || first > sequence.first_max) return false;
    for (int k = 2; k <= sequence.continuations; ++k) {
      if ((static_cast<uint8_t>(text[i + k]) & 0xc0) != 0x80) return false;
    }
    i = SkipAscii(text, i + 1 + sequence.continuations);
  }
  return true;
}

}  // namespace sop::base
