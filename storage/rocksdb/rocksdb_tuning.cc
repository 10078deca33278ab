#include "storage/rocksdb/rocksdb_tuning.h"

#include <algorithm>

#include <rocksdb/cache.h>
#include <rocksdb/file_checksum.h>
#include <rocksdb/filter_policy.h>
#include <rocksdb/table.h>
#include <rocksdb/write_buffer_manager.h>

#include "storage/rocksdb/node_memtable.h"
#include "storage/rocksdb/node_merge_operator.h"
#include "storage/rocksdb/ticker_statistics.h"

namespace sop::rocksdb_storage {
namespace {

constexpr uint64_t kKiB = 1024;
constexpr uint64_t kMiB = 1024 * kKiB;
// Each compaction of level 0 writes every node that changed since the one before it, so it waits
// for some files; with little memory, cold reads took half as long with few.
int NodeFilesInLevel0(uint64_t write_buffer_size) { return write_buffer_size >= 32 * kMiB ? 8 : 4; }

// Values from this size on are written to blob files; what is shorter is inline in nodes anyway.
constexpr uint64_t kMinBlobBytes = kKiB;

rocksdb::BlockBasedTableOptions TableOptions(const RocksDbEnvironment& environment,
                                             uint64_t block_bytes) {
  rocksdb::BlockBasedTableOptions table;
  table.block_cache = environment.block_cache();
  table.block_size = block_bytes;
  table.format_version = 5;
  table.checksum = rocksdb::kXXH3;
  table.filter_policy.reset(rocksdb::NewBloomFilterPolicy(10));
  // Indexes and filters count against the budget as well.
  table.cache_index_and_filter_blocks = true;
  table.cache_index_and_filter_blocks_with_high_priority = true;
  table.pin_l0_filter_and_index_blocks_in_cache = true;
  return table;
}

rocksdb::ColumnFamilyOptions SmallFamily(const RocksDbEnvironment& environment) {
  rocksdb::ColumnFamilyOptions family;
  family.write_buffer_size =
      std::clamp<uint64_t>(environment.write_buffer_bytes() / 8, 2 * kMiB, 16 * kMiB);
  family.level_compaction_dynamic_level_bytes = true;
  family.compression = rocksdb::kNoCompression;
  family.table_factory.reset(
      rocksdb::NewBlockBasedTableFactory(TableOptions(environment, 4 * kKiB)));
  return family;
}

rocksdb::ColumnFamilyOptions NodesFamily(const RocksDbEnvironment& environment,
                                         persistence::ApplyFunction apply) {
  rocksdb::ColumnFamilyOptions family = SmallFamily(environment);
  family.merge_operator = std::make_shared<NodeMergeOperator>(apply);
  family.write_buffer_size =
      std::clamp<uint64_t>(environment.write_buffer_bytes() / 4, 4 * kMiB, 256 * kMiB);
  family.max_write_buffer_number = 4;
  // Read one node at a time, so a hash table will do: a third of a skip list's CPU.
  family.memtable_factory = std::make_shared<NodeMemTableFactory>(family.write_buffer_size);
  // 78 MiB of 16 KiB images of words and text become 49 with LZ4 and 34 with ZSTD; one second of
  // CPU loads 87 MiB uncompressed, 76 with LZ4, 58 with ZSTD.
  family.compression = rocksdb::kLZ4Compression;
  family.compression_per_level.assign(7, family.compression);
  family.compression_per_level[0] = rocksdb::kNoCompression;
  family.target_file_size_base = 64 * kMiB;
  family.level0_file_num_compaction_trigger = NodeFilesInLevel0(family.write_buffer_size);
  family.max_bytes_for_level_base =
      std::max(256 * kMiB, family.level0_file_num_compaction_trigger * family.write_buffer_size);
  // Half an image: a cold read of a node fetches that node only.
  family.table_factory.reset(
      rocksdb::NewBlockBasedTableFactory(TableOptions(environment, 8 * kKiB)));
  // Nearly every node that is asked for exists, so filters of the last level would be idle memory.
  family.optimize_filters_for_hits = true;
  return family;
}

rocksdb::ColumnFamilyOptions BlobsFamily(const RocksDbEnvironment& environment) {
  rocksdb::ColumnFamilyOptions family = SmallFamily(environment);
  family.write_buffer_size =
      std::clamp<uint64_t>(environment.write_buffer_bytes() / 4, 4 * kMiB, 64 * kMiB);
  family.enable_blob_files = true;
  family.min_blob_size = kMinBlobBytes;
  family.blob_file_size = 256 * kMiB;
  family.enable_blob_garbage_collection = true;
  return family;
}

// Written in the order of its keys and trimmed from the beginning: tables never overlap, so that
// compactions move them and write nothing again.
rocksdb::ColumnFamilyOptions FeedFamily(const RocksDbEnvironment& environment) {
  rocksdb::ColumnFamilyOptions family = SmallFamily(environment);
  family.compression = rocksdb::kLZ4Compression;
  rocksdb::BlockBasedTableOptions table = TableOptions(environment, 16 * kKiB);
  table.filter_policy = nullptr;  // rows are only scanned
  family.table_factory.reset(rocksdb::NewBlockBasedTableFactory(table));
  return family;
}

}  // namespace

Family FamilyOf(persistence::Space space) {
  switch (space) {
    case persistence::Space::kMeta:
      return Family::kMeta;
    case persistence::Space::kOutcomes:
      return Family::kOutcomes;
    case persistence::Space::kFeed:
      break;
  }
  return Family::kFeed;
}

rocksdb::DBOptions TunedOptions(const RocksDbEnvironment& environment) {
  rocksdb::DBOptions options;
  environment.AddTo(&options);
  options.max_total_wal_size = 2 * environment.write_buffer_bytes();
  // Written in order of arrival by one committer: no second queue, no pipelining to pay for.
  options.enable_pipelined_write = false;
  options.two_write_queues = false;
  options.manual_wal_flush = false;
  // NodeMemTable has one writer at a time.
  options.allow_concurrent_memtable_write = false;
  // Log files are not recycled: RocksDB 7.8 turns that off under point-in-time recovery, which we
  // need.
  // What recovery read is written and synced again before anything new is acknowledged.
  options.avoid_flush_during_recovery = false;
  options.wal_recovery_mode = rocksdb::WALRecoveryMode::kPointInTimeRecovery;
  options.wal_bytes_per_sync = 0;
  options.bytes_per_sync = kMiB;
  // A failed write stays failed (see WriteHealth); RocksDB must not heal it behind our back.
  options.max_bgerror_resume_count = 0;
  // Every byte of a table or blob file can be held against the manifest.
  options.file_checksum_gen_factory = rocksdb::GetFileChecksumGenCrc32cFactory();
  options.statistics = std::make_shared<TickerStatistics>();
  options.statistics->set_stats_level(rocksdb::StatsLevel::kExceptHistogramOrTimers);
  options.stats_dump_period_sec = 0;
  options.stats_persist_period_sec = 0;
  options.info_log_level = rocksdb::InfoLogLevel::WARN_LEVEL;
  options.max_log_file_size = 4 * kMiB;
  options.keep_log_file_num = 4;
  return options;
}

std::vector<rocksdb::ColumnFamilyDescriptor> TunedFamilies(const RocksDbEnvironment& environment,
                                                           persistence::ApplyFunction apply) {
  return {{kFamilyNames[0], rocksdb::ColumnFamilyOptions()},
          {kFamilyNames[1], NodesFamily(environment, apply)},
          {kFamilyNames[2], BlobsFamily(environment)},
          {kFamilyNames[3], SmallFamily(environment)},
          {kFamilyNames[4], SmallFamily(environment)},
          {kFamilyNames[5], FeedFamily(environment)}};
}

}  // namespace sop::rocksdb_storage
