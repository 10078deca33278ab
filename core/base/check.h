#pragma once

#include <string_view>

namespace sop::base {

// Prints `condition` with its place to stderr and aborts.
[[noreturn]] void CheckFailed(const char* file, int line, std::string_view condition);

}  // namespace sop::base

// Guards our own state before it is stored; stays on in release builds. Never for bytes that were
// read from disk, network or a caller: those get a Status.
#define SOP_CHECK(condition)                                    \
  do {                                                          \
    if (!(condition)) [[unlikely]] {                            \
      ::sop::base::CheckFailed(__FILE__, __LINE__, #condition); \
    }                                                           \
  } while (false)
