#pragma once

#include <cstdint>
#include <string_view>

namespace sop::base {

// XXH3 (Collet 2019). Not cryptographic: guards against damage, not against people.
uint64_t Checksum64(std::string_view bytes);
inline uint32_t Checksum32(std::string_view bytes) {
  return static_cast<uint32_t>(Checksum64(bytes));
}

}  // namespace sop::base
