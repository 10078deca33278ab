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

bool Utf8Checker::Add(std::string_view part) {
  if (!valid_) return false;
  while (rest_size_ > 0 && !part.empty()) {
    rest_[rest_size_++] = part.front();
    part.remove_prefix(1);
    const auto whole =
        static_cast<size_t>(SequenceOf(static_cast<uint8_t>(rest_[0])).continuations) + 1;
    if (rest_size_ < whole) continue;
    valid_ = IsValidUtf8({rest_, whole});
    rest_size_ = 0;
    if (!valid_) return false;
  }
  // The last character, if it is not whole.
  size_t tail = 0;
  for (size_t back = 1; back <= 3 && back <= part.size() && tail == 0; ++back) {
    const auto byte = static_cast<uint8_t>(part[part.size() - back]);
    if ((byte & 0xc0) == 0x80) continue;
    const int continuations = SequenceOf(byte).continuations;
    if (byte >= 0xc2 && continuations >= static_cast<int>(back)) tail = back;
    break;
  }
  for (const char byte : part.substr(part.size() - tail)) rest_[rest_size_++] = byte;
  valid_ = IsValidUtf8(part.substr(0, part.size() - tail));
  return valid_;
}

}  // namespace sop::base
