#pragma once

#include <cstdint>
#include <vector>

namespace sop::catalog {

// `count` different numbers below `size`, or all of them if there are no more, ascending: every set
// of that many is equally likely, and the same seed gives the same. By R. W. Floyd's method
// (Bentley and Floyd, "A sample of brilliance", 1987): O(count log count), whatever the size.
std::vector<uint64_t> ChooseRanks(uint64_t size, uint64_t count, uint64_t seed);

}  // namespace sop::catalog
