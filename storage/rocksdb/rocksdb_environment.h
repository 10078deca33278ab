#pragma once

#include <cstdint>
#include <memory>

#include "storage/rocksdb/log/log_filling.h"

namespace rocksdb {
class Cache;
class Env;
struct DBOptions;
}  // namespace rocksdb

namespace sop::rocksdb_storage {

// What all databases of a daemon share, so that one memory budget and one set of threads bounds
// them together. Must outlive the storages opened with it. Thread-safe.
class RocksDbEnvironment {
 public:
  // Memory of blocks, indexes and filters, and write buffers together, in bytes; at least 32 MiB is
  // used. `background_threads`: flushes and compactions at once, 1 to 64.
  RocksDbEnvironment(uint64_t memory_bytes, int background_threads);
  // With the files of `env` (for tests of failing disks), which must outlive this.
  RocksDbEnvironment(uint64_t memory_bytes, int background_threads, rocksdb::Env& env,
                     const LogFilling& filling = {});

  // Makes a database share files, threads and write buffers with the others.
  void AddTo(rocksdb::DBOptions* options) const;

  rocksdb::Env& env() const { return *env_; }
  const std::shared_ptr<rocksdb::Cache>& block_cache() const { return block_cache_; }
  uint64_t write_buffer_bytes() const { return write_buffer_bytes_; }

 private:
  struct WriteBuffers;

  // Constant after construction.
  const std::shared_ptr<rocksdb::Env> env_;
  const int background_threads_;
  const uint64_t write_buffer_bytes_;
  const std::shared_ptr<rocksdb::Cache> block_cache_;
  const std::shared_ptr<const WriteBuffers> write_buffers_;
};

}  // namespace sop::rocksdb_storage
