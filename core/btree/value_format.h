#pragma once

#include <cstdint>

namespace sop::btree {

// How the bytes of a value are to be read. Opaque to the engine except where a filter, projection
// or join looks inside. Stored in nodes and packed pages: numbers never change. 0 is read as
// kBytes.
enum class ValueFormat : uint8_t {
  kBytes = 1,
  kText = 2,
  kJson = 3,
};

}  // namespace sop::btree
