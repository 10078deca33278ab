#pragma once

#include <map>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "core/base/thread_pool.h"
#include "core/catalog/check/check_report.h"
#include "core/catalog/database.h"
#include "storage/rocksdb/model_disk/disk.h"
#include "storage/rocksdb/model_disk/disk_files.h"
#include "storage/rocksdb/rocksdb_environment.h"

namespace sop::faults {

// A database with named stores on a model disk, opened. Thread-compatible.
class DatabaseOnDisk {
 public:
  using Content = std::map<std::string, std::string>;

  // `disk` must outlive this. What RocksDbStorage::Open and Database::Open return.
  static absl::StatusOr<std::unique_ptr<DatabaseOnDisk>> Open(model_disk::Disk& disk);
  ~DatabaseOnDisk();

  catalog::Database& operator*() { return *database_; }

  // Upserts items in one transaction; the store is made if it is not there.
  absl::Status Put(std::string_view store, const Content& items);
  absl::Status Remove(std::string_view store, const std::vector<std::string>& keys);
  absl::Status RemoveStore(std::string_view store);
  // Everything in a store, read forward; values of a backward page and the count must agree.
  absl::StatusOr<Content> Read(std::string_view store);
  // Writes out memory and compacts.
  absl::Status Compact();
  absl::StatusOr<check::CheckReport> Check();

 private:
  explicit DatabaseOnDisk(model_disk::Disk& disk);
  static absl::StatusOr<Content> ReadIn(catalog::StoreSet& stores, std::string_view name);

  model_disk::DiskFiles files_;
  const std::shared_ptr<rocksdb::Env> env_;
  const rocksdb_storage::RocksDbEnvironment environment_;
  base::ThreadPool pool_{4};
  persistence::Storage* storage_ = nullptr;
  std::function<absl::Status()> compact_;
  std::unique_ptr<catalog::Database> database_;
};

}  // namespace sop::faults
