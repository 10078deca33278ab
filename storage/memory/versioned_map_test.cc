#include "storage/memory/versioned_map.h"

#include <cstdlib>
#include <vector>

#include <gtest/gtest.h>

#include "core/base/random.h"

namespace sop::memory {
namespace {

using Map = VersionedMap<int>;

Map::Bytes Text(std::string text) { return std::make_shared<const std::string>(std::move(text)); }

TEST(VersionedMapTest, ReaderSeesNewestVersionNotNewerThanItself) {
  Map map;
  const Map::Readers readers{Sequence{1}, Sequence{3}, Sequence{5}};
  map.Set(7, Sequence{2}, Text("two"), readers);
  map.Set(7, Sequence{4}, Text("four"), readers);
  map.Set(7, Sequence{6}, nullptr, readers);
  EXPECT_EQ(map.Get(7, Sequence{1}), nullptr);
  EXPECT_EQ(*map.Get(7, Sequence{3}), "two");
  EXPECT_EQ(*map.Get(7, Sequence{5}), "four");
  EXPECT_EQ(map.Get(7, Sequence{6}), nullptr);
}

TEST(VersionedMapTest, VersionsNobodySeesAreForgotten) {
  Map map;
  for (uint64_t i = 1; i <= 100; ++i) map.Set(7, Sequence{i}, Text("x"), {Sequence{50}});
  EXPECT_EQ(map.VersionCount(), 2U);
  map.Set(7, Sequence{101}, nullptr, {});
  EXPECT_EQ(map.VersionCount(), 0U);
}

// Oracle: one whole std::map per sequence.
TEST(VersionedMapTest, RandomHistoryAgreesWithOneMapPerSequence) {
  const char* env = std::getenv("SOP_SEED");
  const uint64_t seed = env != nullptr ? std::strtoull(env, nullptr, 10) : 11;
  SCOPED_TRACE(seed);
  base::SeededRandom random(seed);
  const auto below = [&](uint64_t limit) { return random.Next64() % limit; };
  Map map;
  Map::Readers readers;
  std::vector<std::map<int, std::string>> history(1);
  for (uint64_t i = 1; i <= 3000; ++i) {
    auto now = history.back();
    if (below(20) == 0) {
      const int begin = static_cast<int>(below(50));
      map.RemoveRange(begin, begin + 5, Sequence{i}, readers);
      now.erase(now.lower_bound(begin), now.lower_bound(begin + 5));
    } else {
      const int key = static_cast<int>(below(50));
      const bool remove = below(3) == 0;
      map.Set(key, Sequence{i}, remove ? nullptr : Text(std::to_string(i)), readers);
      remove ? void(now.erase(key)) : void(now[key] = std::to_string(i));
    }
    history.push_back(std::move(now));
    if (below(4) == 0) readers.insert(Sequence{i});
    if (readers.size() > 8) readers.erase(std::next(readers.begin(), below(readers.size())));
    Map::Readers checked = readers;
    checked.insert(Sequence{i});
    for (const Sequence at : checked) {
      std::map<int, std::string> seen;
      map.Scan(0, at,
               [&](int key, const std::string& value) { return seen.emplace(key, value).second; });
      ASSERT_EQ(seen, history[at.value]) << i << " at " << at.value;
    }
  }
  EXPECT_LT(map.VersionCount(), 50U * 10U);
}

}  // namespace
}  // namespace sop::memory
