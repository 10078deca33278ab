#include "storage/rocksdb/rocksdb_environment.h"

#include <algorithm>

#include <rocksdb/cache.h>
#include <rocksdb/env.h>
#include <rocksdb/options.h>
#include <rocksdb/write_buffer_manager.h>

#include "storage/rocksdb/log/log_file_system.h"

namespace sop::rocksdb_storage {
namespace {

constexpr uint64_t kMinMemoryBytes = uint64_t{32} << 20;
constexpr double kIndexShare = 0.3;  // of the block cache, kept for index and filter blocks

}  // namespace

// Keeps RocksDB's name for it out of the header.
struct RocksDbEnvironment::WriteBuffers {
  std::shared_ptr<rocksdb::WriteBufferManager> budget;
};

RocksDbEnvironment::RocksDbEnvironment(uint64_t memory_bytes, int background_threads)
    : RocksDbEnvironment(memory_bytes, background_threads, *rocksdb::Env::Default()) {}

// Write buffers are charged to the block cache: blocks give way while much is written.
RocksDbEnvironment::RocksDbEnvironment(uint64_t memory_bytes, int background_threads,
                                       rocksdb::Env& env, const LogFilling& filling)
    : env_(rocksdb::NewCompositeEnv(std::make_shared<LogFileSystem>(env.GetFileSystem(), filling))),
      background_threads_(std::clamp(background_threads, 1, 64)),
      write_buffer_bytes_(std::max(memory_bytes, kMinMemoryBytes) / 2),
      block_cache_(
          rocksdb::NewLRUCache(std::max(memory_bytes, kMinMemoryBytes), -1, false, kIndexShare)),
      write_buffers_(std::make_shared<WriteBuffers>(WriteBuffers{
          std::make_shared<rocksdb::WriteBufferManager>(write_buffer_bytes_, block_cache_)})) {
  env_->SetBackgroundThreads(background_threads_, rocksdb::Env::Priority::LOW);
  env_->SetBackgroundThreads(std::max(1, background_threads_ / 4), rocksdb::Env::Priority::HIGH);
}

void RocksDbEnvironment::AddTo(rocksdb::DBOptions* options) const {
  options->env = env_.get();
  options->max_background_jobs = background_threads_;
  // Only one compaction at a time takes level 0 down, and it has most to do.
  options->max_subcompactions = static_cast<uint32_t>(std::min(background_threads_, 4));
  options->write_buffer_manager = write_buffers_->budget;
}

}  // namespace sop::rocksdb_storage
