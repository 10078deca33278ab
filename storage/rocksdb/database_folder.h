#pragma once

#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "core/base/file_system.h"
#include "storage/rocksdb/database_format.h"
#include "storage/rocksdb/upkeep/seal.h"
#include "storage/rocksdb/upkeep/timeline.h"

namespace sop::rocksdb_storage {

// A database's folder, held against other processes while this lives (docs/formats/folder.md).
// Thread-compatible.
class DatabaseFolder {
 public:
  // Makes the folder if need be, locks it, empties its spill and staging folders and
  // reads SOP-FORMAT. `files`
  // must outlive this. kFolderInUse, naming the process that holds the folder; kFormatNotSupported;
  // kDamaged; UNAVAILABLE and kDiskFull of the file system.
  static absl::StatusOr<std::unique_ptr<DatabaseFolder>> Enter(std::string path,
                                                               base::FileSystem& files);

  // The same for a folder that is only looked at: nothing is made or removed in it but the lock.
  // NOT_FOUND (kDatabaseNotFound): no database is there.
  static absl::StatusOr<std::unique_ptr<DatabaseFolder>> Look(std::string path,
                                                              base::FileSystem& files);

  // Absent while the database's creation has not finished.
  const std::optional<DatabaseFormat>& format() const { return format_; }
  // Finishes the creation. On OK the format is on stable storage.
  absl::Status WriteFormat(const DatabaseFormat& format);

  // What was said when the database was last opened or closed; absent if nothing is there.
  // kDamaged.
  absl::StatusOr<std::optional<Seal>> ReadSeal() const;
  // On OK the seal is on stable storage.
  absl::Status WriteSeal(const Seal& seal);

  // See persistence::Storage; 0 if nothing is said.
  uint64_t timeline() const { return timeline_; }

  const std::string& path() const { return path_; }
  std::string rocksdb_path() const { return path_ + "/db"; }
  std::string spill_path() const { return path_ + "/spill"; }
  // Files on their way into the RocksDB; on its file system.
  std::string staging_path() const { return path_ + "/staging"; }

  // Names in the folder, and in its db/, that are none of ours nor of RocksDB's. They are left
  // alone.
  absl::StatusOr<std::vector<std::string>> Strangers() const;

 private:
  DatabaseFolder(std::string path, base::FileSystem& files)
      : path_(std::move(path)), files_(files) {}

  absl::Status ReadFormat();
  absl::Status ReadTimeline();
  std::string format_path() const { return path_ + "/SOP-FORMAT"; }
  std::string seal_path() const { return path_ + "/SOP-SEAL"; }

  const std::string path_;
  base::FileSystem& files_;
  std::unique_ptr<base::FileLock> lock_;
  uint64_t timeline_ = 0;
  std::optional<DatabaseFormat> format_;
};

}  // namespace sop::rocksdb_storage
