#pragma once

#include <cstdint>
#include <cstdlib>

namespace sop::txn {

// The seed of a random test: `ours`, or what the environment variable SOP_SEED says. Tests
// print it with every failure.
inline uint64_t TestSeed(uint64_t ours) {
  const char* const given = std::getenv("SOP_SEED");
  return given == nullptr ? ours : std::strtoull(given, nullptr, 10);
}

}  // namespace sop::txn
