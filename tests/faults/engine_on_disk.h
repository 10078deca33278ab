#pragma once

#include <memory>
#include <string>

#include "core/base/clock.h"
#include "core/base/thread_pool.h"
#include "core/txn/engine.h"
#include "storage/rocksdb/model_disk/disk.h"
#include "storage/rocksdb/model_disk/disk_files.h"
#include "storage/rocksdb/rocksdb_environment.h"
#include "storage/rocksdb/rocksdb_storage.h"

namespace sop::faults {

inline constexpr char kDatabasePath[] = "/data/database";
inline constexpr rocksdb_storage::LogFilling kLogFilling = {
    .fill_bytes = size_t{32} << 10, .synced_bytes = size_t{32} << 10, .syncs_counted = 4};

// One database on a model disk, opened. Small nodes, a tiny cache, constant folds and logs that are
// filled often, so that a little load does everything. Thread-compatible.
class EngineOnDisk {
 public:
  struct Options {
    uint64_t reserve_bytes = 0;
    uint64_t groups_between_folds = 5;
    // Told about strangers in the folder. May be null.
    std::function<void(std::string_view line)> report;
  };

  // `disk` must outlive this. What RocksDbStorage::Open and Engine::Open return.
  static absl::StatusOr<std::unique_ptr<EngineOnDisk>> Open(model_disk::Disk& disk,
                                                            const Options& options);
  static absl::StatusOr<std::unique_ptr<EngineOnDisk>> Open(model_disk::Disk& disk) {
    return Open(disk, Options());
  }
  ~EngineOnDisk();

  txn::Engine& engine() { return *engine_; }
  rocksdb_storage::RocksDbStorage& storage() { return *storage_; }
  // Until the storage measures the free disk again; its clock stands still otherwise.
  void LetTimePass() { clock_.Advance(absl::Seconds(2)); }

 private:
  explicit EngineOnDisk(model_disk::Disk& disk);

  model_disk::DiskFiles files_;
  const std::shared_ptr<rocksdb::Env> env_;
  const rocksdb_storage::RocksDbEnvironment environment_;
  base::ManualClock clock_;
  base::ThreadPool pool_{4};
  std::unique_ptr<rocksdb_storage::RocksDbStorage> storage_;
  std::unique_ptr<txn::Engine> engine_;
};

// Writes everything on a disk below `folder` of the machine's file system, so that a failure can be
// looked at. Says where, in words.
std::string KeepDisk(const model_disk::DiskState& state, const std::string& folder);

// An environment variable as a number, or `ours` if it is not set.
uint64_t NumberFrom(const char* variable, uint64_t ours);

}  // namespace sop::faults
