#pragma once

#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "core/base/file_system.h"
#include "core/persistence/maintenance.h"

namespace sop::rocksdb_storage {

class OpenDatabase;

// See Maintenance::MakeBackup. `sequence`: a commit that is surely in it.
absl::StatusOr<persistence::Backup> AddBackup(
    OpenDatabase& database, base::FileSystem& files, const std::string& target, Sequence sequence,
    const std::function<void(const persistence::BackupProgress&)>& progress);

// Backups in folders, as RocksDB's backup engine keeps them (docs/formats/folder.md). Thread-safe.
class RocksDbBackups : public persistence::Backups {
 public:
  // `files` must outlive this.
  explicit RocksDbBackups(base::FileSystem& files) : files_(files) {}

  absl::StatusOr<std::vector<persistence::Backup>> List(const std::string& target) override;
  absl::StatusOr<std::vector<persistence::Backup>> Prune(const std::string& target,
                                                         uint32_t keep) override;
  absl::StatusOr<persistence::Backup> Restore(const std::string& target, uint32_t number,
                                              const std::string& folder) override;

 private:
  base::FileSystem& files_;
};

}  // namespace sop::rocksdb_storage
