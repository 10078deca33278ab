#include "clients/cli/bench/workload_mix.h"

#include <gtest/gtest.h>

#include <map>

namespace sop::cli {
namespace {

TEST(WorkloadMixTest, ChoosesKindsByWeight) {
  const auto mix = WorkloadMix::Parse("get=7,transaction=2,put=1");
  ASSERT_TRUE(mix.ok());
  std::map<CallKind, int> chosen;
  for (uint64_t random = 0; random < 100; ++random) ++chosen[mix->Choose(random)];
  EXPECT_EQ(chosen, (std::map<CallKind, int>{
                        {CallKind::kGet, 70}, {CallKind::kPut, 10}, {CallKind::kTransaction, 20}}));
}

TEST(WorkloadMixTest, ANameAloneHasWeightOne) {
  const auto mix = WorkloadMix::Parse("scan");
  ASSERT_TRUE(mix.ok());
  EXPECT_EQ(mix->Choose(12345), CallKind::kScan);
}

TEST(WorkloadMixTest, RefusesWhatIsNoMix) {
  for (const char* text : {"", "get=0", "gets=1", "get=", "get=x", "get=-1", "get=1,,put=1",
                           "get=1000001", "get =1", "=1"}) {
    EXPECT_FALSE(WorkloadMix::Parse(text).ok()) << text;
  }
}

}  // namespace
}  // namespace sop::cli
