#include <algorithm>
#include <chrono>
#include <thread>

#include <rocksdb/cache.h>
#include <rocksdb/db.h>
#include <rocksdb/filter_policy.h>
#include <rocksdb/statistics.h>
#include <rocksdb/table.h>
#include <rocksdb/write_buffer_manager.h>

#include "tests/bench/ordered_map.h"

namespace sop::bench {
namespace {

constexpr uint64_t kMiB = uint64_t{1} << 20;
constexpr int kBackgroundThreads = 2;
// The filter of a file must fit a shard several times, also in a small cache.
constexpr int kCacheShardBits = 2;
constexpr double kIndexShare = 0.5;

void RequireOk(const rocksdb::Status& status) { Require(status.ok(), status.ToString()); }

rocksdb::Slice ToSlice(std::string_view bytes) { return {bytes.data(), bytes.size()}; }

// Reads the newest state, without a snapshot: the cheapest that RocksDB offers. Confined to one
// thread.
class RowReader : public MapReader {
 public:
  explicit RowReader(rocksdb::DB& db) : db_(db) {}

  size_t Get(std::string_view key) override {
    value_.Reset();
    RequireOk(db_.Get({}, db_.DefaultColumnFamily(), ToSlice(key), &value_));
    return value_.size();
  }

  uint64_t Scan(uint64_t* bytes) override {
    const std::unique_ptr<rocksdb::Iterator> row(db_.NewIterator({}));
    uint64_t items = 0;
    for (row->SeekToFirst(); row->Valid(); row->Next()) {
      *bytes += row->key().size() + row->value().size();
      ++items;
    }
    RequireOk(row->status());
    return items;
  }

 private:
  rocksdb::DB& db_;
  rocksdb::PinnableSlice value_;
};

// Thread-safe.
class RowMap : public OrderedMap {
 public:
  explicit RowMap(const MapOptions& options) {
    const uint64_t write_buffer_bytes = options.memory_bytes / 2;
    const auto cache =
        rocksdb::NewLRUCache(options.memory_bytes, kCacheShardBits, false, kIndexShare);
    rocksdb::Options row;
    row.max_background_jobs = kBackgroundThreads;
    row.max_subcompactions = kBackgroundThreads;
    row.write_buffer_manager =
        std::make_shared<rocksdb::WriteBufferManager>(write_buffer_bytes, cache);
    row.create_if_missing = true;
    row.max_total_wal_size = 2 * write_buffer_bytes;
    row.bytes_per_sync = kMiB;
    row.statistics = rocksdb::CreateDBStatistics();
    row.statistics->set_stats_level(rocksdb::StatsLevel::kExceptHistogramOrTimers);
    row.write_buffer_size = std::clamp<uint64_t>(write_buffer_bytes / 4, 4 * kMiB, 256 * kMiB);
    row.max_write_buffer_number = 4;
    row.target_file_size_base = 64 * kMiB;
    row.level0_file_num_compaction_trigger = row.write_buffer_size >= 32 * kMiB ? 8 : 4;
    row.max_bytes_for_level_base = std::max(256 * kMiB, 8 * row.write_buffer_size);
    row.level_compaction_dynamic_level_bytes = true;
    row.compression = rocksdb::kLZ4Compression;
    row.compression_per_level.assign(7, row.compression);
    row.compression_per_level[0] = rocksdb::kNoCompression;
    rocksdb::BlockBasedTableOptions table;
    table.block_cache = cache;
    table.block_size = 4 * 1024;
    table.format_version = 5;
    table.checksum = rocksdb::kXXH3;
    table.filter_policy.reset(rocksdb::NewBloomFilterPolicy(10));
    table.cache_index_and_filter_blocks = true;
    table.cache_index_and_filter_blocks_with_high_priority = true;
    table.pin_l0_filter_and_index_blocks_in_cache = true;
    row.table_factory.reset(rocksdb::NewBlockBasedTableFactory(table));
    statistics_ = row.statistics;
    rocksdb::DB* db = nullptr;
    RequireOk(rocksdb::DB::Open(row, options.folder, &db));
    db_.reset(db);
  }

  void Commit(std::span<const KeyValue> items, CommitMode mode) override {
    rocksdb::WriteBatch batch;
    for (const KeyValue& item : items) RequireOk(batch.Put(item.key, ToSlice(item.value)));
    rocksdb::WriteOptions options;
    options.sync = mode.sync == Sync::kSynced;
    RequireOk(db_->Write(options, &batch));
  }

  std::unique_ptr<MapReader> Read() override { return std::make_unique<RowReader>(*db_); }

  void Settle() override {
    while (Gauge(rocksdb::DB::Properties::kNumRunningFlushes) +
               Gauge(rocksdb::DB::Properties::kNumRunningCompactions) !=
           0) {
      std::this_thread::sleep_for(std::chrono::milliseconds(2));
    }
  }

  void Compact() override {
    rocksdb::CompactRangeOptions options;
    options.bottommost_level_compaction = rocksdb::BottommostLevelCompaction::kForceOptimized;
    RequireOk(db_->Flush({}));
    RequireOk(db_->CompactRange(options, nullptr, nullptr));
  }

  uint64_t written_bytes() override {
    return statistics_->getTickerCount(rocksdb::WAL_FILE_BYTES) +
           statistics_->getTickerCount(rocksdb::FLUSH_WRITE_BYTES) +
           statistics_->getTickerCount(rocksdb::COMPACT_WRITE_BYTES);
  }

 private:
  uint64_t Gauge(const std::string& property) {
    uint64_t value = 0;
    Require(db_->GetIntProperty(property, &value), property);
    return value;
  }

  std::shared_ptr<rocksdb::Statistics> statistics_;
  std::unique_ptr<rocksdb::DB> db_;
};

}  // namespace

std::unique_ptr<OrderedMap> OpenRowMap(const MapOptions& options) {
  return std::make_unique<RowMap>(options);
}

}  // namespace sop::bench
