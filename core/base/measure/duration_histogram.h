#pragma once

#include <array>
#include <atomic>
#include <bit>
#include <cstddef>
#include <cstdint>

namespace sop::base {

// How long something took, in buckets whose bounds double: bucket i counts what took at most
// BoundNanos(i), the last one everything above. Two relaxed additions for each Record. Thread-safe.
class DurationHistogram {
 public:
  static constexpr size_t kBuckets = 24;  // 2 us to 16 s, and above

  // Upper bound of bucket `i`, inclusive. REQUIRES: i + 1 < kBuckets.
  static constexpr int64_t BoundNanos(size_t i) { return int64_t{2048} << i; }

  void Record(int64_t nanos) {
    const uint64_t units = nanos <= 0 ? 0 : (static_cast<uint64_t>(nanos) - 1) >> 11;
    const auto bucket = static_cast<size_t>(std::bit_width(units));
    counts_[bucket < kBuckets ? bucket : kBuckets - 1].fetch_add(1, std::memory_order_relaxed);
    sum_nanos_.fetch_add(nanos, std::memory_order_relaxed);
  }

  // Counts of the buckets, each by itself, and the sum of all that was recorded.
  struct Counts {
    std::array<uint64_t, kBuckets> buckets = {};
    int64_t sum_nanos = 0;
  };
  Counts Read() const {
    Counts counts;
    for (size_t i = 0; i < kBuckets; ++i) {
      counts.buckets[i] = counts_[i].load(std::memory_order_relaxed);
    }
    counts.sum_nanos = sum_nanos_.load(std::memory_order_relaxed);
    return counts;
  }

 private:
  std::array<std::atomic<uint64_t>, kBuckets> counts_ = {};
  std::atomic<int64_t> sum_nanos_{0};
};

}  // namespace sop::base
