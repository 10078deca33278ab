#include "core/base/bytes.h"

#include <algorithm>

#include <fmt/format.h>

namespace sop::base {

void AppendVarint(std::string* out, uint64_t v) {
  if (v < 0x80) {
    out->push_back(static_cast<char>(v));
    return;
  }
  char bytes[10];
  size_t size = 0;
  for (; v >= 0x80; v >>= 7) bytes[size++] = static_cast<char>(v | 0x80);
  bytes[size++] = static_cast<char>(v);
  out->append(bytes, size);
}

int VarintSize(uint64_t v) { return (std::bit_width(v | 1) + 6) / 7; }

void AppendSignedVarint(std::string* out, int64_t v) {
  AppendVarint(out, (static_cast<uint64_t>(v) << 1) ^ static_cast<uint64_t>(v >> 63));
}

void AppendLengthPrefixed(std::string* out, std::string_view bytes) {
  AppendVarint(out, bytes.size());
  out->append(bytes);
}

bool ByteReader::Fail() {
  failed_ = true;
  rest_ = {};
  return false;
}

bool ByteReader::GetByte(uint8_t* v) {
  if (rest_.empty()) return Fail();
  *v = static_cast<uint8_t>(rest_.front());
  rest_.remove_prefix(1);
  return true;
}

bool ByteReader::GetLittle32(uint32_t* v) {
  if (rest_.size() < 4) return Fail();
  *v = LoadLittle32(rest_.data());
  rest_.remove_prefix(4);
  return true;
}

bool ByteReader::GetLittle64(uint64_t* v) {
  if (rest_.size() < 8) return Fail();
  *v = LoadLittle64(rest_.data());
  rest_.remove_prefix(8);
  return true;
}

bool ByteReader::GetBig64(uint64_t* v) {
  if (!GetLittle64(v)) return false;
  *v = __builtin_bswap64(*v);
  return true;
}

bool ByteReader::GetVarint(uint64_t* v) {
  uint64_t result = 0;
  for (int shift = 0; shift < 64; shift += 7) {
    uint8_t byte;
    if (!GetByte(&byte)) return false;
    if (shift == 63 && byte > 1) return Fail();
    result |= static_cast<uint64_t>(byte & 0x7f) << shift;
    if (byte < 0x80) {
      *v = result;
      return true;
    }
  }
  return Fail();
}

bool ByteReader::GetSignedVarint(int64_t* v) {
  uint64_t raw;
  if (!GetVarint(&raw)) return false;
  *v = static_cast<int64_t>((raw >> 1) ^ (~(raw & 1) + 1));
  return true;
}

bool ByteReader::GetBytes(size_t size, std::string_view* v) {
  if (rest_.size() < size) return Fail();
  *v = rest_.substr(0, size);
  rest_.remove_prefix(size);
  return true;
}

bool ByteReader::GetLengthPrefixed(std::string_view* v) {
  uint64_t size;
  return GetVarint(&size) && GetBytes(size, v);
}

std::string Printable(std::string_view user_bytes) {
  std::string out;
  for (char c : user_bytes) {
    if (out.size() >= 64) return out + "...";
    if (c >= 0x20 && c < 0x7f && c != '\\') {
      out.push_back(c);
    } else {
      out += fmt::format("\\x{:02x}", static_cast<uint8_t>(c));
    }
  }
  return out;
}

std::string Hex(std::string_view bytes) {
  std::string out;
  for (char c : bytes) out += fmt::format("{:02x}", static_cast<uint8_t>(c));
  return out;
}

size_t CommonPrefix(std::string_view a, std::string_view b) {
  const size_t limit = std::min(a.size(), b.size());
  return std::mismatch(a.begin(), a.begin() + limit, b.begin()).first - a.begin();
}

}  // namespace sop::base
