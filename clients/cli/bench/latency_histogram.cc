#include "clients/cli/bench/latency_histogram.h"

#include <algorithm>
#include <bit>
#include <cmath>

namespace sop::cli {

int LatencyHistogram::BucketOf(uint64_t nanoseconds) {
  if (nanoseconds < kSteps) return static_cast<int>(nanoseconds);
  const int power = static_cast<int>(std::bit_width(nanoseconds)) - 1 - kStepBits;
  const int step = static_cast<int>(nanoseconds >> power) - kSteps;
  return (power + 1) * kSteps + step;
}

// One behind the last value of the bucket.
uint64_t LatencyHistogram::EndOf(int bucket) {
  if (bucket < kSteps) return static_cast<uint64_t>(bucket) + 1;
  const int power = bucket / kSteps - 1;
  return static_cast<uint64_t>(kSteps + bucket % kSteps + 1) << power;
}

void LatencyHistogram::Add(absl::Duration latency) {
  const int64_t nanoseconds = std::max<int64_t>(0, absl::ToInt64Nanoseconds(latency));
  ++buckets_[static_cast<size_t>(BucketOf(static_cast<uint64_t>(nanoseconds)))];
  ++count_;
  most_ = std::max(most_, nanoseconds);
}

void LatencyHistogram::Merge(const LatencyHistogram& other) {
  for (size_t i = 0; i < buckets_.size(); ++i) buckets_[i] += other.buckets_[i];
  count_ += other.count_;
  most_ = std::max(most_, other.most_);
}

absl::Duration LatencyHistogram::Percentile(double share) const {
  const auto wanted = static_cast<uint64_t>(std::ceil(share * static_cast<double>(count_)));
  uint64_t seen = 0;
  for (size_t i = 0; i < buckets_.size(); ++i) {
    seen += buckets_[i];
    if (seen >= std::max<uint64_t>(wanted, 1)) {
      const uint64_t end = EndOf(static_cast<int>(i)) - 1;
      return absl::Nanoseconds(std::min<int64_t>(static_cast<int64_t>(end), most_));
    }
  }
  return absl::ZeroDuration();
}

}  // namespace sop::cli
