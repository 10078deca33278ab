#include <array>
#include <cstdlib>
#include <string>
#include <utility>

#include <rocksdb/statistics.h>

#include "storage/rocksdb/open_database.h"
#include "storage/rocksdb/rocksdb_storage.h"

namespace sop::rocksdb_storage {
namespace {

constexpr std::array kCounters = {
    std::pair{"wal_written_bytes", rocksdb::WAL_FILE_BYTES},
    std::pair{"wal_syncs_count", rocksdb::WAL_FILE_SYNCED},
    std::pair{"flush_written_bytes", rocksdb::FLUSH_WRITE_BYTES},
    std::pair{"compaction_written_bytes", rocksdb::COMPACT_WRITE_BYTES},
    std::pair{"compaction_read_bytes", rocksdb::COMPACT_READ_BYTES},
    std::pair{"blob_file_written_bytes", rocksdb::BLOB_DB_BLOB_FILE_BYTES_WRITTEN},
    std::pair{"blob_file_read_bytes", rocksdb::BLOB_DB_BLOB_FILE_BYTES_READ},
    std::pair{"user_written_bytes", rocksdb::BYTES_WRITTEN},
    std::pair{"user_read_bytes", rocksdb::BYTES_READ},
    std::pair{"block_cache_hits_count", rocksdb::BLOCK_CACHE_HIT},
    std::pair{"block_cache_misses_count", rocksdb::BLOCK_CACHE_MISS},
    std::pair{"filter_useful_count", rocksdb::BLOOM_FILTER_USEFUL},
    std::pair{"stall_microseconds", rocksdb::STALL_MICROS},
};

constexpr std::array kGauges = {
    std::pair{"write_buffers_bytes", &rocksdb::DB::Properties::kCurSizeAllMemTables},
    std::pair{"files_bytes", &rocksdb::DB::Properties::kTotalSstFilesSize},
    std::pair{"live_files_bytes", &rocksdb::DB::Properties::kLiveSstFilesSize},
    std::pair{"blob_files_bytes", &rocksdb::DB::Properties::kTotalBlobFileSize},
    std::pair{"live_blob_files_bytes", &rocksdb::DB::Properties::kLiveBlobFileSize},
    std::pair{"pending_compaction_bytes",
              &rocksdb::DB::Properties::kEstimatePendingCompactionBytes},
    std::pair{"estimated_keys_count", &rocksdb::DB::Properties::kEstimateNumKeys},
};

// Of the whole database, not summed over its families.
constexpr std::array kWholeGauges = {
    std::pair{"snapshots_count", &rocksdb::DB::Properties::kNumSnapshots},
    std::pair{"background_errors_count", &rocksdb::DB::Properties::kBackgroundErrors},
    std::pair{"running_compactions_count", &rocksdb::DB::Properties::kNumRunningCompactions},
    std::pair{"delayed_write_rate_bytes", &rocksdb::DB::Properties::kActualDelayedWriteRate},
    std::pair{"write_stopped_count", &rocksdb::DB::Properties::kIsWriteStopped},
    std::pair{"immutable_write_buffers_count", &rocksdb::DB::Properties::kNumImmutableMemTable},
    std::pair{"running_flushes_count", &rocksdb::DB::Properties::kNumRunningFlushes},
    std::pair{"block_cache_bytes", &rocksdb::DB::Properties::kBlockCacheUsage},
};

}  // namespace

std::map<std::string, uint64_t> RocksDbStorage::Statistics() const {
  std::map<std::string, uint64_t> values;
  for (const auto& [name, ticker] : kCounters) {
    values[name] = database_->statistics().getTickerCount(ticker);
  }
  for (const auto& [name, property] : kGauges) {
    uint64_t sum = 0;
    for (size_t i = 1; i < kFamilyNames.size(); ++i) {
      uint64_t value = 0;
      rocksdb::ColumnFamilyHandle* const family = database_->family(static_cast<Family>(i));
      if (family != nullptr) database_->db().GetIntProperty(family, *property, &value);
      sum += value;
    }
    values[name] = sum;
  }
  for (const auto& [name, property] : kWholeGauges) {
    uint64_t value = 0;
    database_->db().GetIntProperty(database_->family(Family::kNodes), *property, &value);
    values[name] = value;
  }
  values["values_read_count"] = database_->values_read();
  values["pending_trees_count"] = reclaimer_.pending_trees();
  values["reclaimed_trees_count"] = reclaimer_.reclaimed_trees();
  for (int level = 0; level < 7; ++level) {
    std::string files;
    const std::string at = std::to_string(level);
    database_->db().GetProperty(database_->family(Family::kNodes),
                                rocksdb::DB::Properties::kNumFilesAtLevelPrefix + at, &files);
    values["level" + at + "_files_count"] = std::strtoull(files.c_str(), nullptr, 10);
  }
  return values;
}

}  // namespace sop::rocksdb_storage
