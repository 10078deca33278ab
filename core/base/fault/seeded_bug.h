#pragma once

#include <cstdlib>
#include <string_view>

// Bugs that are put in on purpose, to see that the tests find them: "skip_fsync" and others, listed
// in tests/seeded. They exist only in libraries compiled with SOP_SEEDED_BUGS, which nothing but
// the programs of tests/seeded links; everywhere else every question is false at compile time.
namespace sop::base {

#ifdef SOP_SEEDED_BUGS
inline namespace with_bugs {
// Whether the environment variable SOP_SEEDED_BUG names this one.
inline bool HasSeededBug(std::string_view bug) {
  static const char* const chosen = std::getenv("SOP_SEEDED_BUG");
  return chosen != nullptr && bug == chosen;
}
}  // namespace with_bugs
#else
inline namespace without_bugs {
constexpr bool HasSeededBug(std::string_view /*bug*/) { return false; }
}  // namespace without_bugs
#endif

}  // namespace sop::base
