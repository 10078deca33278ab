#pragma once

#include <array>
#include <cstdint>

#include "absl/time/time.h"

namespace sop::cli {

// How long calls took, in buckets that are at most 1/32 wider than their lower end, so that any
// number of calls takes the same 16 KiB. Thread-compatible.
class LatencyHistogram {
 public:
  void Add(absl::Duration latency);
  void Merge(const LatencyHistogram& other);

  uint64_t count() const { return count_; }
  absl::Duration most() const { return absl::Nanoseconds(most_); }
  // What a share of the calls (0 to 1) did not exceed, rounded up to its bucket's end, which never
  // lies above the most. Zero without calls.
  absl::Duration Percentile(double share) const;

 private:
  static constexpr int kStepBits = 5;  // steps of a power of two
  static constexpr int kSteps = 1 << kStepBits;
  static int BucketOf(uint64_t nanoseconds);
  static uint64_t EndOf(int bucket);

  std::array<uint64_t, 60 * kSteps> buckets_{};
  uint64_t count_ = 0;
  int64_t most_ = 0;
};

}  // namespace sop::cli
