#include "clients/cli/bench/latency_histogram.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <random>
#include <vector>

namespace sop::cli {
namespace {

TEST(LatencyHistogramTest, NothingMeasuredIsZero) {
  EXPECT_EQ(LatencyHistogram().Percentile(0.5), absl::ZeroDuration());
}

TEST(LatencyHistogramTest, PercentilesAreWithinABucketOfTheSortedTimes) {
  std::mt19937_64 random(7);  // NOLINT: the same times every run
  LatencyHistogram halves[2];
  std::vector<int64_t> times;
  for (int i = 0; i < 20'000; ++i) {
    const auto time =
        static_cast<int64_t>(std::exp(std::uniform_real_distribution<>(0, 30)(random)));
    times.push_back(time);
    halves[i % 2].Add(absl::Nanoseconds(time));
  }
  std::sort(times.begin(), times.end());
  halves[0].Merge(halves[1]);
  EXPECT_EQ(halves[0].count(), times.size());
  EXPECT_EQ(halves[0].most(), absl::Nanoseconds(times.back()));
  for (const double share : {0.001, 0.1, 0.5, 0.9, 0.99, 0.999, 1.0}) {
    const auto rank = static_cast<size_t>(std::ceil(share * static_cast<double>(times.size())));
    const int64_t exact = times[rank - 1];
    const int64_t found = absl::ToInt64Nanoseconds(halves[0].Percentile(share));
    EXPECT_GE(found, exact) << share;
    EXPECT_LE(found, exact + exact / 32 + 1) << share;
  }
}

}  // namespace
}  // namespace sop::cli
