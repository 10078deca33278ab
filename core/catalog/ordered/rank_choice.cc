#include "core/catalog/ordered/rank_choice.h"

#include <algorithm>
#include <unordered_set>

#include "core/base/random.h"

namespace sop::catalog {
namespace {

// Uniform in [0, bound): what would make some numbers likelier is drawn again.
uint64_t Below(uint64_t bound, base::Random& random) {
  const uint64_t rejected = (0 - bound) % bound;
  uint64_t drawn = random.Next64();
  while (drawn < rejected) drawn = random.Next64();
  return drawn % bound;
}

}  // namespace

std::vector<uint64_t> ChooseRanks(uint64_t size, uint64_t count, uint64_t seed) {
  count = std::min(count, size);
  std::vector<uint64_t> ranks;
  ranks.reserve(count);
  base::SeededRandom random(seed);
  std::unordered_set<uint64_t> chosen;
  for (uint64_t i = size - count; i < size; ++i) {
    const uint64_t rank = Below(i + 1, random);
    ranks.push_back(chosen.insert(rank).second ? rank : i);
    chosen.insert(ranks.back());
  }
  std::sort(ranks.begin(), ranks.end());
  return ranks;
}

}  // namespace sop::catalog
