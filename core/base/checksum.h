#pragma once

#include <cstdint>
#include <memory>
#include <string_view>

namespace sop::base {

// XXH3 (Collet 2019). Not cryptographic: guards against damage, not against people.
uint64_t Checksum64(std::string_view bytes);
inline uint32_t Checksum32(std::string_view bytes) {
  return static_cast<uint32_t>(Checksum64(bytes));
}

// Checksum64 of bytes that come in parts. Confined to its owner.
class Checksum {
 public:
  Checksum();
  ~Checksum();
  Checksum(const Checksum&) = delete;
  Checksum& operator=(const Checksum&) = delete;

  void Add(std::string_view bytes);
  // Of all that was added so far.
  uint64_t Value() const;
  // Nothing was added.
  void Reset();

 private:
  struct State;
  const std::unique_ptr<State> state_;
};

}  // namespace sop::base
