#include "clients/cli/transfer/chunk.h"

#include <gtest/gtest.h>

#include <algorithm>

#include "core/base/checksum.h"

namespace sop::cli {
namespace {

Chunk WithKeys(std::vector<std::string> keys, bool hashed) {
  Chunk chunk;
  chunk.items = keys.size();
  for (const std::string& key : keys) chunk.key_hashes.push_back(base::Checksum64(key));
  std::sort(chunk.key_hashes.begin(), chunk.key_hashes.end());
  if (!hashed) chunk.key_hashes.clear();
  chunk.least_key = *std::min_element(keys.begin(), keys.end());
  chunk.greatest_key = *std::max_element(keys.begin(), keys.end());
  return chunk;
}

TEST(ChunkTest, RangesThatDoNotMeetShareNothing) {
  EXPECT_FALSE(WithKeys({"a", "c"}, false).MayShareKeys(WithKeys({"d", "e"}, false)));
  EXPECT_FALSE(WithKeys({"d", "e"}, true).MayShareKeys(WithKeys({"a", "c"}, false)));
}

TEST(ChunkTest, RangesThatMeetShareWhatTheirHashesShare) {
  EXPECT_FALSE(WithKeys({"a", "c"}, true).MayShareKeys(WithKeys({"b", "d"}, true)));
  EXPECT_TRUE(WithKeys({"a", "c", "d"}, true).MayShareKeys(WithKeys({"b", "d"}, true)));
  EXPECT_TRUE(WithKeys({"a", "c"}, false).MayShareKeys(WithKeys({"b", "d"}, true)))
      << "one of them has no hashes";
}

TEST(ChunkTest, KeysThatAreNotKnownMayBeAny) {
  Chunk unknown = WithKeys({"x"}, false);
  unknown.keys_known = false;
  EXPECT_TRUE(unknown.MayShareKeys(WithKeys({"a"}, true)));
  EXPECT_FALSE(Chunk().MayShareKeys(WithKeys({"a"}, true))) << "without items there is no key";
}

}  // namespace
}  // namespace sop::cli
