#include "storage/rocksdb/open_database.h"

#include <algorithm>
#include <cstdarg>
#include <utility>

#include <fmt/format.h>
#include <rocksdb/env.h>
#include <rocksdb/statistics.h>

#include "core/base/bytes.h"
#include "core/base/error.h"
#include "core/base/fault/fail_point.h"
#include "core/base/status_macros.h"
#include "storage/rocksdb/rocksdb_status.h"

namespace sop::rocksdb_storage {
namespace {

// Looking at a database leaves no trace in its folder.
class SilentLog : public rocksdb::Logger {
 public:
  using rocksdb::Logger::Logv;
  void Logv(const char* /*format*/, va_list /*arguments*/) override {}
};

}  // namespace

std::string TreeKey(TreeId tree) {
  std::string key;
  base::AppendBigEndian32(&key, tree.value);
  return key;
}

std::string ItemKey(TreeId tree, uint64_t number) {
  std::string key;  // 12 bytes: never leaves the string's own buffer
  base::AppendBigEndian32(&key, tree.value);
  base::AppendBigEndian64(&key, number);
  return key;
}

std::string RowKey(std::string_view key) {
  std::string row("\x01", 1);
  row.append(key);
  return row;
}

OpenDatabase::OpenDatabase(std::unique_ptr<DatabaseFolder> folder, rocksdb::Env& env, Access access)
    : env_(env),
      access_(access),
      folder_(std::move(folder)),
      health_(std::make_shared<WriteHealth>(folder_->path())),
      log_order_(env) {}

OpenDatabase::~OpenDatabase() {
  if (db_ == nullptr) return;
  base::FailPoint("close.storage");
  // What is on disk after a failure is unknown: without a seal the next opening takes it as a
  // crash.
  const bool sealing = access_ == Access::kServe && health_->CheckFailure().ok();
  // Relaxed records are in the log, but perhaps not on the disk, and a seal vouches for the log.
  const rocksdb::Status synced = sealing ? db_->SyncWAL() : rocksdb::Status::OK();
  for (rocksdb::ColumnFamilyHandle* family : families_) {
    if (family != nullptr) db_->DestroyColumnFamilyHandle(family).PermitUncheckedError();
  }
  // Everything acknowledged is in the log already; an error here loses nothing.
  const rocksdb::Status closed = db_->Close();
  base::FailPoint("close.closed");
  if (sealing && synced.ok() && closed.ok()) WriteSeal();
}

void OpenDatabase::WriteSeal() {
  // A log that was deleted must not come back with a power cut: the seal would call it a stranger.
  std::unique_ptr<rocksdb::Directory> directory;
  if (!env_.NewDirectory(folder_->rocksdb_path(), &directory).ok()) return;
  if (!directory->Fsync().ok()) return;
  const auto seal = MeasureFiles(folder_->rocksdb_path(), env_);
  if (seal.ok()) folder_->WriteSeal(*seal).IgnoreError();
}

absl::Status OpenDatabase::BreakSeal() {
  const auto seal = folder_->ReadSeal();
  if (!seal.ok()) problems_.push_back({"SOP-SEAL", std::string(seal.status().message()), {}});
  if (seal.ok() && !seal->has_value() && folder_->format().has_value()) {
    problems_.push_back({"SOP-SEAL", "it is not there", {}});
  }
  if (seal.ok() && seal->has_value()) {
    SOP_ASSIGN_OR_RETURN(const std::vector<SealProblem> found,
                         CompareFiles(**seal, folder_->rocksdb_path(), env_));
    for (const SealProblem& problem : found) {
      problems_.push_back(problem.problem);
      if (access_ == Access::kInspect || !problem.decides_commits) continue;
      return Error(Reason::kDamaged,
                   fmt::format("{}/{}: {}; repair the database or restore a backup",
                               folder_->path(), problem.problem.file, problem.problem.what),
                   {{"file", problem.problem.file}});
    }
  }
  if (access_ == Access::kInspect) return absl::OkStatus();
  return folder_->WriteSeal({});
}

absl::StatusOr<std::shared_ptr<OpenDatabase>> OpenDatabase::Open(
    std::unique_ptr<DatabaseFolder> folder, const RocksDbEnvironment& environment,
    persistence::ApplyFunction apply, Access access) {
  std::shared_ptr<OpenDatabase> database(
      new OpenDatabase(std::move(folder), environment.env(), access));
  SOP_RETURN_IF_ERROR(database->BreakSeal());
  base::FailPoint("open.rocksdb");
  const rocksdb::Status status = database->OpenRocksDb(environment, apply);
  if (!status.ok()) {
    return FromRocksDb(status, fmt::format("open {}", database->folder_->rocksdb_path()));
  }
  database->health_->WatchLog(*database->db_);
  base::FailPoint("open.recovered");
  return database;
}

rocksdb::Status OpenDatabase::OpenRocksDb(const RocksDbEnvironment& environment,
                                          persistence::ApplyFunction apply) {
  rocksdb::DBOptions options = TunedOptions(environment);
  // A finished database is never made again: missing files are damage, not a new database.
  options.create_if_missing = access_ == Access::kServe && !folder_->format().has_value();
  options.create_missing_column_families = options.create_if_missing;
  options.listeners.push_back(health_);
  options.wal_filter = &log_order_;
  if (access_ == Access::kInspect) options.info_log = std::make_shared<SilentLog>();
  statistics_ = options.statistics;
  std::vector<rocksdb::ColumnFamilyDescriptor> families = TunedFamilies(environment, apply);
  rocksdb::Status status = TryOpen(options, families);
  if (status.IsInvalidArgument() && LacksFeed(options)) {
    options.create_missing_column_families = access_ == Access::kServe;
    if (access_ == Access::kInspect) families.pop_back();
    status = TryOpen(options, families);
  }
  families_.resize(kFamilyNames.size(), nullptr);
  if (status.ok() || options.create_if_missing) return status;
  if (!status.IsCorruption() && !status.IsPathNotFound() && !status.IsNotFound()) return status;
  // A table that is missing or damaged at its end: without these checks whoever asks for what is in
  // it is told so, and the rest is served.
  options.paranoid_checks = false;
  for (auto& family : families) family.options.disable_auto_compactions = true;
  if (!TryOpen(options, families).ok()) return status;
  families_.resize(kFamilyNames.size(), nullptr);
  problems_.push_back({"db", status.ToString(), {}});
  health_->MarkDamage(status);
  health_->TakeStopRequest();
  return rocksdb::Status::OK();
}

bool OpenDatabase::LacksFeed(const rocksdb::DBOptions& options) const {
  std::vector<std::string> names;
  if (!rocksdb::DB::ListColumnFamilies(options, folder_->rocksdb_path(), &names).ok()) return false;
  const bool has_feed = std::find(names.begin(), names.end(), kFamilyNames.back()) != names.end();
  return names.size() + 1 == kFamilyNames.size() && !has_feed;
}

rocksdb::Status OpenDatabase::TryOpen(
    const rocksdb::DBOptions& options,
    const std::vector<rocksdb::ColumnFamilyDescriptor>& families) {
  const std::string path = folder_->rocksdb_path();
  rocksdb::DB* db = nullptr;
  families_.clear();
  log_order_.BeginReplay();
  const rocksdb::Status status =
      access_ == Access::kInspect
          ? rocksdb::DB::OpenForReadOnly(options, path, families, &families_, &db)
          : rocksdb::DB::Open(options, path, families, &families_, &db);
  if (status.ok()) db_.reset(db);
  return status;
}

rocksdb::Status OpenDatabase::Write(const rocksdb::WriteOptions& options,
                                    rocksdb::WriteBatch* batch) const {
  const base::MutexLock lock(log_mu_);
  log_order_.Number(batch);
  return db_->Write(options, batch);
}

void OpenDatabase::RestCompactionsIfAsked() {
  if (!health_->TakeStopRequest()) return;
  for (rocksdb::ColumnFamilyHandle* family : families_) {
    if (family != nullptr)
      db_->SetOptions(family, {{"disable_auto_compactions", "true"}}).PermitUncheckedError();
  }
}

absl::StatusOr<std::optional<std::string>> OpenDatabase::Get(const rocksdb::ReadOptions& options,
                                                             Family family,
                                                             std::string_view key) const {
  // This overload writes into the string at once unless the block is pinned: one copy either way.
  std::string value;
  const rocksdb::Status status = db_->Get(options, this->family(family), ToSlice(key), &value);
  if (family == Family::kBlobs) values_read_.fetch_add(1, std::memory_order_relaxed);
  if (status.ok()) return std::optional<std::string>(std::move(value));
  if (status.IsNotFound()) return std::optional<std::string>();
  return FromRocksDb(status, fmt::format("read {} of {}", kFamilyNames[static_cast<size_t>(family)],
                                         folder_->path()));
}

absl::StatusOr<Sequence> OpenDatabase::ReadTail(const rocksdb::ReadOptions& options) const {
  SOP_ASSIGN_OR_RETURN(const std::optional<std::string> row, Get(options, Family::kMeta, kTailKey));
  if (!row.has_value()) return Sequence{0};
  if (row->size() != sizeof(uint64_t)) {
    return Error(Reason::kDamaged,
                 fmt::format("tail of {} has {} bytes instead of 8", folder_->path(), row->size()));
  }
  return Sequence{base::LoadBig64(row->data())};
}

}  // namespace sop::rocksdb_storage
