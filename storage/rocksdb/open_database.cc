#include "storage/rocksdb/open_database.h"

#include <utility>

#include <fmt/format.h>
#include <rocksdb/statistics.h>

#include "core/base/bytes.h"
#include "core/base/error.h"
#include "core/base/fault/fail_point.h"
#include "core/base/status_macros.h"
#include "storage/rocksdb/rocksdb_status.h"

namespace sop::rocksdb_storage {

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

OpenDatabase::OpenDatabase(std::unique_ptr<DatabaseFolder> folder)
    : folder_(std::move(folder)), health_(std::make_shared<WriteHealth>(folder_->path())) {}

OpenDatabase::~OpenDatabase() {
  if (db_ == nullptr) return;
  base::FailPoint("close.storage");
  for (rocksdb::ColumnFamilyHandle* family : families_) {
    db_->DestroyColumnFamilyHandle(family).PermitUncheckedError();
  }
  // Everything acknowledged is in the log already; an error here loses nothing.
  db_->Close().PermitUncheckedError();
  base::FailPoint("close.closed");
}

absl::StatusOr<std::shared_ptr<OpenDatabase>> OpenDatabase::Open(
    std::unique_ptr<DatabaseFolder> folder, const RocksDbEnvironment& environment,
    persistence::ApplyFunction apply) {
  std::shared_ptr<OpenDatabase> database(new OpenDatabase(std::move(folder)));
  rocksdb::DBOptions options = TunedOptions(environment);
  // A finished database is never made again: missing files are damage, not a new database.
  options.create_if_missing = !database->folder_->format().has_value();
  options.create_missing_column_families = options.create_if_missing;
  options.listeners.push_back(database->health_);
  database->statistics_ = options.statistics;
  const std::string path = database->folder_->rocksdb_path();
  base::FailPoint("open.rocksdb");
  rocksdb::DB* db = nullptr;
  const rocksdb::Status status = rocksdb::DB::Open(options, path, TunedFamilies(environment, apply),
                                                   &database->families_, &db);
  if (!status.ok()) return FromRocksDb(status, fmt::format("open {}", path));
  database->db_.reset(db);
  base::FailPoint("open.recovered");
  return database;
}

absl::StatusOr<std::optional<std::string>> OpenDatabase::Get(const rocksdb::ReadOptions& options,
                                                             Family family,
                                                             std::string_view key) const {
  // This overload writes into the string at once unless the block is pinned: one copy either way.
  std::string value;
  const rocksdb::Status status = db_->Get(options, this->family(family), ToSlice(key), &value);
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
