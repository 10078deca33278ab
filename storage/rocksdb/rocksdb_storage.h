#pragma once

#include <atomic>
#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <string>
#include <string_view>

#include "core/base/clock.h"
#include "core/base/file_system.h"
#include "core/base/mutex.h"
#include "core/base/random.h"
#include "core/persistence/storage.h"
#include "storage/rocksdb/rocksdb_environment.h"
#include "storage/rocksdb/upkeep/reclaimer.h"

namespace rocksdb {
class WriteBatch;
}  // namespace rocksdb

namespace sop::rocksdb_storage {

class OpenDatabase;

struct RocksDbOptions {
  // The database's folder; made if it is not there. REQUIRES: not empty.
  std::string path;
  // How deltas meet images. REQUIRES: not null. Read by background threads while this is open.
  persistence::ApplyFunction apply = nullptr;
  // Bytes of the disk that records may not touch; below them Append answers kDiskFull, except to
  // records that only remove. Default 256 MiB.
  uint64_t reserve_bytes = uint64_t{256} << 20;
  // Program and release, written into a folder that is made. Default "sop".
  std::string creator = "sop";
  // Told about files in the folder that are none of ours, one line each, during Open. May be null.
  std::function<void(std::string_view line)> report;
};

// What the constructors and Open borrow; all must outlive the storage and its snapshots.
struct RocksDbSurroundings {
  const RocksDbEnvironment& environment;
  base::FileSystem& files;
  base::Clock& clock;
  base::Random& random;
};

// A database on one machine: a RocksDB in a folder of its own (docs/formats/folder.md).
//
// 1. One record is one write batch, synced unless kRelaxed; the tail row is part of it.
// 2. After a write or fsync that failed, here or in the background, nothing is acknowledged until
// the
//    folder is opened again.
// 3. A process may be killed at any moment of Open, Append or the destructor: the folder opens
// again
//    with every acknowledged record.
// One committer at a time calls Append, see CommitLog. Thread-safe.
class RocksDbStorage : public persistence::Storage,
                       public persistence::Maintenance,
                       private persistence::NodeStore,
                       private persistence::CommitLog {
 public:
  // kFolderInUse, naming the process that holds the folder. kFormatNotSupported, naming what this
  // release does not know and the release that does. kDamaged. kDiskFull. UNAVAILABLE.
  static absl::StatusOr<std::unique_ptr<RocksDbStorage>> Open(const RocksDbOptions& options,
                                                              const RocksDbSurroundings& around);
  // The database as it is, for checks: nothing in the folder is changed, nothing can be appended,
  // the first damage does not stop it. kDatabaseNotFound; otherwise errors as above.
  static absl::StatusOr<std::unique_ptr<RocksDbStorage>> Inspect(const RocksDbOptions& options,
                                                                 const RocksDbSurroundings& around);
  ~RocksDbStorage() override;
  RocksDbStorage(const RocksDbStorage&) = delete;
  RocksDbStorage& operator=(const RocksDbStorage&) = delete;

  persistence::NodeStore& nodes() override { return *this; }
  persistence::CommitLog& log() override { return *this; }
  Uuid database_id() const override { return database_id_; }
  uint64_t timeline() const override;
  persistence::Maintenance* maintenance() override { return this; }

  // Where transactions of this database spill; emptied by every Open.
  std::string spill_folder() const;

  // Counters since Open and gauges of now, by name: bytes unless the name says otherwise.
  std::map<std::string, uint64_t> Statistics() const override;

  // Writes out memory and compacts every family: for offline work and tests. UNAVAILABLE, kDamaged.
  absl::Status Compact() override;

  absl::StatusOr<persistence::FileCheck> VerifyFiles() override;
  absl::Status KeepHouse() override;
  absl::Status damage() const override;
  absl::StatusOr<persistence::Backup> MakeBackup(
      const std::string& target,
      std::function<void(const persistence::BackupProgress&)> progress) override;

 private:
  RocksDbStorage(std::shared_ptr<OpenDatabase> database, const RocksDbOptions& options,
                 const RocksDbSurroundings& around);

  static absl::StatusOr<std::unique_ptr<RocksDbStorage>> Make(
      std::shared_ptr<OpenDatabase> database, const RocksDbOptions& options,
      const RocksDbSurroundings& around);

  // Reads the tail and completes a creation that has not finished.
  absl::Status Start(const RocksDbOptions& options, base::Random& random);

  absl::StatusOr<std::shared_ptr<const persistence::StorageSnapshot>> TakeSnapshot() override;
  absl::StatusOr<std::unique_ptr<persistence::StagedNodes>> StageNodes(
      persistence::SpaceUse use) override;
  absl::StatusOr<uint64_t> FreeBytes() override SOP_EXCLUDES(space_mu_);
  absl::StatusOr<uint64_t> ApproximateSize(TreeId tree) override;

  Sequence Tail() const override;
  absl::StatusOr<persistence::AppendResult> Append(Sequence expected_tail,
                                                   const persistence::CommitRecord& record,
                                                   persistence::Durability durability) override;
  bool WantsWrites() const override { return false; }

  absl::Status Fill(const persistence::CommitRecord& record, rocksdb::WriteBatch* batch) const;
  // kPreconditionNotMet unless those nodes are sealed and no record has taken them.
  absl::Status CheckStaged(uint64_t id) const;
  // A number that was never given before.
  absl::StatusOr<uint64_t> NextStagedId() SOP_EXCLUDES(staged_mu_);
  // kDiskFull if `bytes` more would touch the reserve.
  absl::Status ClaimSpace(uint64_t bytes) SOP_EXCLUDES(space_mu_);

  // Constant after construction.
  const std::shared_ptr<OpenDatabase> database_;
  const uint64_t reserve_bytes_;
  base::FileSystem& files_;
  base::Clock& clock_;
  Uuid database_id_;

  // Synchronises itself.
  Reclaimer reclaimer_;
  std::atomic<uint64_t> tail_{0};

  // Guarded by staged_mu_: the next number, and the first one that needs another row.
  base::Mutex staged_mu_;
  uint64_t next_staged_ SOP_GUARDED_BY(staged_mu_) = 1;
  uint64_t staged_end_ SOP_GUARDED_BY(staged_mu_) = 1;

  // Guarded by space_mu_.
  base::Mutex space_mu_;
  uint64_t unclaimed_bytes_ SOP_GUARDED_BY(space_mu_) = 0;  // above the reserve
  absl::Duration measured_at_ SOP_GUARDED_BY(space_mu_) = -absl::InfiniteDuration();
};

}  // namespace sop::rocksdb_storage
