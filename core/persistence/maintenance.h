#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "core/base/ids.h"

namespace sop::persistence {

// A file that is not what the storage wrote.
struct FileProblem {
  std::string file;  // relative to the database's folder
  std::string what;
  // Trees with nodes or values in it; empty if it is not known, or concerns them all.
  std::vector<TreeId> trees;
};

struct FileCheck {
  uint64_t files = 0;
  uint64_t bytes = 0;
  std::vector<FileProblem> problems;
};

// One backup of a database.
struct Backup {
  uint32_t number = 0;  // ascends with time
  absl::Time time;
  Sequence sequence;   // the last commit in it
  uint64_t bytes = 0;  // of the files it needs; those shared with other backups count in each
  uint64_t files = 0;
  Uuid database_id;
};

struct BackupProgress {
  uint64_t done_bytes = 0;
  uint64_t total_bytes = 0;
};

// Upkeep of a database's files. Long calls, for worker threads; reads and commits go on meanwhile.
// Thread-safe.
class Maintenance {
 public:
  virtual ~Maintenance() = default;

  // Reads every file and compares it with the checksum taken when it was written. Problems are in
  // the result; a status is for what could not be done. UNAVAILABLE.
  virtual absl::StatusOr<FileCheck> VerifyFiles() = 0;

  // Writes out memory and compacts every family. UNAVAILABLE, kDamaged, kDiskFull.
  virtual absl::Status Compact() = 0;

  // Counters since the opening and gauges of now, by name: bytes unless the name says otherwise.
  virtual std::map<std::string, uint64_t> Statistics() const = 0;

  // To be called every second or so: gives back the space of dropped trees and freed values that no
  // snapshot can see. Quick when there is nothing to do. UNAVAILABLE, kDamaged.
  virtual absl::Status KeepHouse() = 0;

  // Why this database has stopped compacting; OK while it is sound.
  virtual absl::Status damage() const = 0;

  // Adds a backup to the folder `target`, which is made if need be: copies what no earlier backup
  // there has. What it holds is one state: some commit and all before it. `progress` is called on
  // threads of the storage and may be null. kDiskFull, kDamaged, UNAVAILABLE,
  // PRECONDITION_NOT_MET: `target` has backups of another database.
  virtual absl::StatusOr<Backup> MakeBackup(
      const std::string& target, std::function<void(const BackupProgress&)> progress) = 0;
};

// Folders of backups that no open database is needed for. Thread-safe.
class Backups {
 public:
  virtual ~Backups() = default;

  // Oldest first. kDatabaseNotFound: no backups are there. kDamaged, UNAVAILABLE.
  virtual absl::StatusOr<std::vector<Backup>> List(const std::string& target) = 0;

  // Removes all but the newest `keep`, and what an interrupted backup left. What is left. Errors as
  // above; kFolderInUse while a backup is made there.
  virtual absl::StatusOr<std::vector<Backup>> Prune(const std::string& target, uint32_t keep) = 0;

  // Makes a database of backup `number` (0: the newest) in `folder`, which must be empty or not be
  // there: PRECONDITION_NOT_MET. Every file is compared with its checksum: kDamaged. kDiskFull.
  virtual absl::StatusOr<Backup> Restore(const std::string& target, uint32_t number,
                                         const std::string& folder) = 0;
};

}  // namespace sop::persistence
