#include "core/base/clock.h"

#include <gtest/gtest.h>

namespace sop::base {
namespace {

TEST(ManualClockTest, StandsStillUntilAdvanced) {
  ManualClock clock(absl::FromUnixSeconds(100));
  EXPECT_EQ(clock.Now(), absl::FromUnixSeconds(100));
  const absl::Duration start = clock.Monotonic();
  EXPECT_EQ(clock.Monotonic(), start);
  clock.Advance(absl::Milliseconds(1500));
  EXPECT_EQ(clock.Now(), absl::FromUnixMillis(101500));
  EXPECT_EQ(clock.Monotonic() - start, absl::Milliseconds(1500));
}

TEST(SystemClockTest, MonotonicNeverGoesBack) {
  absl::Duration before = SystemClock().Monotonic();
  for (int i = 0; i < 10000; ++i) {
    const absl::Duration now = SystemClock().Monotonic();
    ASSERT_GE(now, before);
    before = now;
  }
}

TEST(SystemClockTest, WallClockIsThisCentury) {
  EXPECT_GT(SystemClock().Now(), absl::FromUnixSeconds(1'700'000'000));
  EXPECT_LT(SystemClock().Now(), absl::FromUnixSeconds(4'102'444'800));
}

}  // namespace
}  // namespace sop::base
