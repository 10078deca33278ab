#include "storage/rocksdb/upkeep/backup.h"

#include <algorithm>
#include <atomic>
#include <utility>

#include <fmt/format.h>
#include <rocksdb/env.h>
#include <rocksdb/utilities/backup_engine.h>

#include "core/base/bytes.h"
#include "core/base/error.h"
#include "core/base/status_macros.h"
#include "storage/rocksdb/database_folder.h"
#include "storage/rocksdb/database_format.h"
#include "storage/rocksdb/open_database.h"
#include "storage/rocksdb/rocksdb_status.h"
#include "storage/rocksdb/upkeep/timeline.h"

namespace sop::rocksdb_storage {
namespace {

using persistence::Backup;

constexpr uint64_t kProgressBytes = uint64_t{4} << 20;
constexpr int kThreads = 2;

rocksdb::BackupEngineOptions EngineOptions(const std::string& target) {
  rocksdb::BackupEngineOptions options(target);
  options.max_background_operations = kThreads;
  options.callback_trigger_interval_size = kProgressBytes;
  return options;
}

// Beside each backup: the sequence, then SOP-FORMAT.
std::string EncodeNote(Sequence sequence, const DatabaseFormat& format) {
  std::string note;
  base::AppendLittle64(&note, sequence.value);
  return note + EncodeFormat(format);
}

struct Note {
  Sequence sequence;
  DatabaseFormat format;
};

absl::StatusOr<Note> DecodeNote(const std::string& target, std::string_view bytes) {
  if (bytes.size() < 8) {
    return Error(Reason::kDamaged, fmt::format("{} has a backup that is none of ours", target));
  }
  Note note;
  note.sequence = Sequence{base::LoadLittle64(bytes.data())};
  SOP_ASSIGN_OR_RETURN(note.format, DecodeFormat(target, bytes.substr(8)));
  return note;
}

absl::StatusOr<Backup> Describe(const std::string& target, const rocksdb::BackupInfo& found) {
  SOP_ASSIGN_OR_RETURN(const Note note, DecodeNote(target, found.app_metadata));
  return Backup{.number = found.backup_id,
                .time = absl::FromUnixSeconds(found.timestamp),
                .sequence = note.sequence,
                .bytes = found.size,
                .files = found.number_files,
                .database_id = note.format.database_id};
}

absl::StatusOr<std::vector<Backup>> DescribeAll(const std::string& target,
                                                const std::vector<rocksdb::BackupInfo>& found) {
  std::vector<Backup> backups;
  for (const auto& one : found) {
    SOP_ASSIGN_OR_RETURN(backups.emplace_back(), Describe(target, one));
  }
  return backups;
}

absl::Status NoBackups(const std::string& target) {
  return Error(Reason::kDatabaseNotFound, fmt::format("{} has no backups", target));
}

bool HasBackups(base::FileSystem& files, const std::string& target) {
  return files.Exists(target + "/meta");
}

uint64_t BytesToCopy(const OpenDatabase& database) {
  uint64_t total = 0;
  std::vector<rocksdb::Env::FileAttributes> found;
  const rocksdb::Status listed =
      database.env().GetChildrenFileAttributes(database.folder().rocksdb_path(), &found);
  if (!listed.ok()) return 0;
  for (const auto& file : found) total += file.size_bytes;
  return total;
}

}  // namespace

absl::StatusOr<Backup> AddBackup(
    OpenDatabase& database, base::FileSystem& files, const std::string& target, Sequence sequence,
    const std::function<void(const persistence::BackupProgress&)>& progress) {
  SOP_RETURN_IF_ERROR(database.health().damage());
  SOP_RETURN_IF_ERROR(files.MakeFolders(target));
  SOP_ASSIGN_OR_RETURN(const auto lock, files.Lock(target + "/LOCK"));
  const std::string action = fmt::format("back up {} to {}", database.folder().path(), target);
  rocksdb::BackupEngine* opened = nullptr;
  rocksdb::Status status =
      rocksdb::BackupEngine::Open(rocksdb::Env::Default(), EngineOptions(target), &opened);
  if (!status.ok()) return FromRocksDb(status, action);
  const std::unique_ptr<rocksdb::BackupEngine> engine(opened);
  std::vector<rocksdb::BackupInfo> found;
  engine->GetBackupInfo(&found);
  SOP_ASSIGN_OR_RETURN(const std::vector<Backup> earlier, DescribeAll(target, found));
  const DatabaseFormat& format = *database.folder().format();
  for (const Backup& backup : earlier) {
    if (backup.database_id == format.database_id) continue;
    return Error(Reason::kPreconditionNotMet,
                 fmt::format("{} has backups of database {}, this is {}", target,
                             backup.database_id.ToString(), format.database_id.ToString()),
                 {{"folder", target}});
  }
  persistence::BackupProgress so_far;
  so_far.total_bytes = BytesToCopy(database);
  std::atomic<uint64_t> done{0};
  // RocksDB lists the tables first and then the logs; when it begins to copy it has both.
  std::atomic<bool> lists{true};
  const auto end_list = [&] {
    if (lists.exchange(false)) database.file_list().EndList();
  };
  rocksdb::CreateBackupOptions options;
  options.progress_callback = [&] {
    end_list();
    if (progress == nullptr) return;
    const uint64_t bytes = std::min(done += kProgressBytes, so_far.total_bytes);
    progress({bytes, so_far.total_bytes});
  };
  rocksdb::BackupID number = 0;
  database.file_list().BeginList();
  status = engine->CreateNewBackupWithMetadata(options, &database.db(),
                                               EncodeNote(sequence, format), &number);
  end_list();
  if (!status.ok()) return FromRocksDb(status, action);
  rocksdb::BackupInfo made;
  status = engine->GetBackupInfo(number, &made);
  if (!status.ok()) return FromRocksDb(status, action);
  return Describe(target, made);
}

absl::StatusOr<std::vector<Backup>> RocksDbBackups::List(const std::string& target) {
  if (!HasBackups(files_, target)) return NoBackups(target);
  rocksdb::BackupEngineReadOnly* opened = nullptr;
  const rocksdb::Status status =
      rocksdb::BackupEngineReadOnly::Open(rocksdb::Env::Default(), EngineOptions(target), &opened);
  if (!status.ok()) return FromRocksDb(status, fmt::format("read backups of {}", target));
  const std::unique_ptr<rocksdb::BackupEngineReadOnly> engine(opened);
  std::vector<rocksdb::BackupInfo> found;
  engine->GetBackupInfo(&found);
  return DescribeAll(target, found);
}

absl::StatusOr<std::vector<Backup>> RocksDbBackups::Prune(const std::string& target,
                                                          uint32_t keep) {
  if (!HasBackups(files_, target)) return NoBackups(target);
  SOP_ASSIGN_OR_RETURN(const auto lock, files_.Lock(target + "/LOCK"));
  rocksdb::BackupEngine* opened = nullptr;
  rocksdb::Status status =
      rocksdb::BackupEngine::Open(rocksdb::Env::Default(), EngineOptions(target), &opened);
  if (!status.ok()) return FromRocksDb(status, fmt::format("prune {}", target));
  const std::unique_ptr<rocksdb::BackupEngine> engine(opened);
  status = engine->PurgeOldBackups(keep);
  if (status.ok()) status = engine->GarbageCollect();
  if (!status.ok()) return FromRocksDb(status, fmt::format("prune {}", target));
  std::vector<rocksdb::BackupInfo> found;
  engine->GetBackupInfo(&found);
  return DescribeAll(target, found);
}

absl::StatusOr<Backup> RocksDbBackups::Restore(const std::string& target, uint32_t number,
                                               const std::string& folder) {
  if (!HasBackups(files_, target)) return NoBackups(target);
  SOP_RETURN_IF_ERROR(files_.MakeFolders(folder));
  SOP_ASSIGN_OR_RETURN(const std::vector<std::string> there, files_.List(folder));
  if (!there.empty()) {
    return Error(Reason::kPreconditionNotMet,
                 fmt::format("{} is not empty: it has {}", folder, base::Printable(there.front())),
                 {{"folder", folder}});
  }
  rocksdb::BackupEngineReadOnly* opened = nullptr;
  rocksdb::Status status =
      rocksdb::BackupEngineReadOnly::Open(rocksdb::Env::Default(), EngineOptions(target), &opened);
  const std::string action = fmt::format("restore {} to {}", target, folder);
  if (!status.ok()) return FromRocksDb(status, action);
  const std::unique_ptr<rocksdb::BackupEngineReadOnly> engine(opened);
  std::vector<rocksdb::BackupInfo> found;
  engine->GetBackupInfo(&found);
  const auto wanted = std::find_if(found.begin(), found.end(), [number](const auto& one) {
    return number == 0 || one.backup_id == number;
  });
  const auto chosen = number == 0 && !found.empty() ? std::prev(found.end()) : wanted;
  if (chosen == found.end()) {
    return Error(Reason::kDatabaseNotFound, fmt::format("{} has no backup {}", target, number));
  }
  SOP_ASSIGN_OR_RETURN(const Note note, DecodeNote(target, chosen->app_metadata));
  status = engine->RestoreDBFromBackup(chosen->backup_id, folder + "/db", folder + "/db");
  if (!status.ok()) return FromRocksDb(status, action);
  SOP_RETURN_IF_ERROR(WriteTimeline(folder, *rocksdb::Env::Default(), files_));
  SOP_RETURN_IF_ERROR(files_.WriteDurably(folder + "/SOP-SEAL", EncodeSeal({})));
  // Last, as in a creation: until it is there the folder is no database.
  SOP_RETURN_IF_ERROR(files_.WriteDurably(folder + "/SOP-FORMAT", EncodeFormat(note.format)));
  return Describe(target, *chosen);
}

}  // namespace sop::rocksdb_storage
