#pragma once

#include <cstdint>

namespace sop::txn {

// What a read depends on, and so which commits conflict with it.
enum class ReadMode : uint8_t {
  kKeyOnly,  // whether the key exists, and its ride-on bytes
  kItem,     // the value too
};

}  // namespace sop::txn
