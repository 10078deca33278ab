#pragma once

#include <cstdint>

namespace sop::btree {

// How the bytes of a value are to be read. Opaque to the engine except where a filter, projection
// or join looks inside. Stored in nodes and packed pages: numbers never change.
enum class ValueFormat : uint8_t {
  kBytes = 0,
  kText = 1,
  kJson = 2,
};

}  // namespace sop::btree
