#pragma once

#include <rocksdb/statistics.h>

#include <array>
#include <atomic>
#include <cstdint>
#include <memory>

namespace sop::rocksdb_storage {

// RocksDB's counters without its histograms, which nobody here reads: 7 KiB of an open database
// instead of 440. Counts exactly; a count that is read beside writers may miss their latest.
// Thread-safe.
class TickerStatistics : public rocksdb::Statistics {
 public:
  const char* Name() const override { return "sop.TickerStatistics"; }

  uint64_t getTickerCount(uint32_t ticker) const override {
    uint64_t sum = 0;
    for (const Shard& shard : shards_) sum += shard.counts[ticker].load(std::memory_order_relaxed);
    return sum;
  }
  void recordTick(uint32_t ticker, uint64_t count) override {
    shards_[ShardOfThread()].counts[ticker].fetch_add(count, std::memory_order_relaxed);
  }
  void setTickerCount(uint32_t ticker, uint64_t count) override {
    getAndResetTickerCount(ticker);
    shards_[0].counts[ticker].fetch_add(count, std::memory_order_relaxed);
  }
  uint64_t getAndResetTickerCount(uint32_t ticker) override {
    uint64_t sum = 0;
    for (Shard& shard : shards_) {
      sum += shard.counts[ticker].exchange(0, std::memory_order_relaxed);
    }
    return sum;
  }

  void histogramData(uint32_t /*type*/, rocksdb::HistogramData* /*result*/) const override {}
  void recordInHistogram(uint32_t /*type*/, uint64_t /*value*/) override {}
  bool HistEnabledForType(uint32_t /*type*/) const override { return false; }

 private:
  // Threads that count at once rarely share a cache line.
  struct alignas(64) Shard {
    std::array<std::atomic<uint64_t>, rocksdb::TICKER_ENUM_MAX> counts{};
  };
  static constexpr size_t kShards = 4;

  static size_t ShardOfThread() {
    static std::atomic<size_t> threads{0};
    thread_local const size_t shard = threads.fetch_add(1, std::memory_order_relaxed) % kShards;
    return shard;
  }

  std::array<Shard, kShards> shards_;
};

}  // namespace sop::rocksdb_storage
