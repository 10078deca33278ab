#pragma once

#include <bit>
#include <cstdint>
#include <cstring>
#include <string>
#include <string_view>

namespace sop::base {

static_assert(std::endian::native == std::endian::little, "formats are written for little endian");

// Fixed-width integers. `Load*` read exactly sizeof bytes at `p`; no alignment is needed.
inline uint16_t LoadLittle16(const char* p) {
  uint16_t v;
  std::memcpy(&v, p, 2);
  return v;
}
inline uint32_t LoadLittle32(const char* p) {
  uint32_t v;
  std::memcpy(&v, p, 4);
  return v;
}
inline uint64_t LoadLittle64(const char* p) {
  uint64_t v;
  std::memcpy(&v, p, 8);
  return v;
}
inline uint32_t LoadBig32(const char* p) { return __builtin_bswap32(LoadLittle32(p)); }
inline uint64_t LoadBig64(const char* p) { return __builtin_bswap64(LoadLittle64(p)); }
inline void StoreLittle16(char* p, uint16_t v) { std::memcpy(p, &v, 2); }
inline void StoreLittle32(char* p, uint32_t v) { std::memcpy(p, &v, 4); }
inline void StoreLittle64(char* p, uint64_t v) { std::memcpy(p, &v, 8); }
inline void StoreBig64(char* p, uint64_t v) { StoreLittle64(p, __builtin_bswap64(v)); }

inline void AppendLittle32(std::string* out, uint32_t v) {
  out->append(reinterpret_cast<const char*>(&v), 4);
}
inline void AppendLittle64(std::string* out, uint64_t v) {
  out->append(reinterpret_cast<const char*>(&v), 8);
}
inline void AppendBigEndian32(std::string* out, uint32_t v) {
  AppendLittle32(out, __builtin_bswap32(v));
}
inline void AppendBigEndian64(std::string* out, uint64_t v) {
  AppendLittle64(out, __builtin_bswap64(v));
}

// LEB128, at most 10 bytes.
void AppendVarint(std::string* out, uint64_t v);
int VarintSize(uint64_t v);
// Zigzag first, so that small negative numbers stay short.
void AppendSignedVarint(std::string* out, int64_t v);
// Varint length, then the bytes.
void AppendLengthPrefixed(std::string* out, std::string_view bytes);

// Reads a buffer from front to back. Every getter returns false, and leaves the reader failed, when
// the bytes run out or are malformed; a failed reader keeps failing, so one check at the end will
// do. Thread-compatible.
class ByteReader {
 public:
  explicit ByteReader(std::string_view bytes) : rest_(bytes) {}

  bool GetByte(uint8_t* v);
  bool GetLittle32(uint32_t* v);
  bool GetLittle64(uint64_t* v);
  bool GetBig64(uint64_t* v);
  bool GetVarint(uint64_t* v);
  bool GetSignedVarint(int64_t* v);
  bool GetBytes(size_t size, std::string_view* v);
  bool GetLengthPrefixed(std::string_view* v);

  std::string_view rest() const { return rest_; }
  bool empty() const { return rest_.empty(); }
  bool failed() const { return failed_; }

 private:
  bool Fail();

  std::string_view rest_;
  bool failed_ = false;
};

// Escapes what is not printable ASCII and cuts at 64 characters: for error messages.
std::string Printable(std::string_view user_bytes);
std::string Hex(std::string_view bytes);

// Length of the common prefix.
size_t CommonPrefix(std::string_view a, std::string_view b);

}  // namespace sop::base
