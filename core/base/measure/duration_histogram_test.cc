#include "core/base/measure/duration_histogram.h"

#include <limits>
#include <numeric>

#include "gtest/gtest.h"

namespace sop::base {
namespace {

size_t BucketOf(int64_t nanos) {
  DurationHistogram histogram;
  histogram.Record(nanos);
  const auto counts = histogram.Read();
  EXPECT_EQ(counts.sum_nanos, nanos);
  for (size_t i = 0; i < DurationHistogram::kBuckets; ++i) {
    if (counts.buckets[i] == 1) return i;
  }
  return DurationHistogram::kBuckets;
}

TEST(DurationHistogramTest, BoundsAreInclusive) {
  EXPECT_EQ(BucketOf(0), 0u);
  EXPECT_EQ(BucketOf(1), 0u);
  for (size_t i = 0; i + 1 < DurationHistogram::kBuckets; ++i) {
    EXPECT_EQ(BucketOf(DurationHistogram::BoundNanos(i)), i);
    EXPECT_EQ(BucketOf(DurationHistogram::BoundNanos(i) + 1), i + 1);
  }
  EXPECT_EQ(BucketOf(std::numeric_limits<int64_t>::max()), DurationHistogram::kBuckets - 1);
}

TEST(DurationHistogramTest, CountsAndSumsEverything) {
  DurationHistogram histogram;
  for (int i = 1; i <= 1'000; ++i) histogram.Record(i * 10'000);
  const auto counts = histogram.Read();
  EXPECT_EQ(std::accumulate(counts.buckets.begin(), counts.buckets.end(), uint64_t{0}), 1'000u);
  EXPECT_EQ(counts.sum_nanos, 5'005'000'000);
}

}  // namespace
}  // namespace sop::base
