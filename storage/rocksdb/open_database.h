#pragma once

#include <atomic>
#include <memory>
#include <string>
#include <vector>

#include <rocksdb/db.h>

#include "absl/status/statusor.h"
#include "core/base/ids.h"
#include "core/base/mutex.h"
#include "core/persistence/storage.h"
#include "storage/rocksdb/database_folder.h"
#include "storage/rocksdb/log/log_order.h"
#include "storage/rocksdb/rocksdb_environment.h"
#include "storage/rocksdb/rocksdb_tuning.h"
#include "storage/rocksdb/upkeep/file_list_gate.h"
#include "storage/rocksdb/write_health.h"

namespace sop::rocksdb_storage {

// Keys of the families (docs/formats/folder.md).
std::string TreeKey(TreeId tree);                   // first key of a tree in nodes and blobs
std::string ItemKey(TreeId tree, uint64_t number);  // a node or a value
std::string RowKey(std::string_view key);           // a row of core/txn in meta and outcomes
inline constexpr std::string_view kTailKey{"\0tail", 5};
inline constexpr std::string_view kDatabaseIdKey{"\0id", 3};
inline constexpr std::string_view kRowsEnd{"\x02", 1};  // greater than every RowKey

// An open RocksDB with its families, in the folder it holds. Shared by the storage and its
// snapshots, which may outlive the storage: the folder stays locked until the last has gone.
// Thread-safe.
class OpenDatabase {
 public:
  enum class Access {
    kServe,
    kInspect,  // nothing in the folder is changed; what is wrong is in problems()
  };

  // Opens the database of `folder`, or makes it if its creation never finished. Damaged tables do
  // not stop it: what is in them cannot be read and nothing is compacted, see health().damage().
  // kDamaged: what decides which commits there are, manifest or log, is missing or does not verify.
  static absl::StatusOr<std::shared_ptr<OpenDatabase>> Open(std::unique_ptr<DatabaseFolder> folder,
                                                            const RocksDbEnvironment& environment,
                                                            persistence::ApplyFunction apply,
                                                            Access access = Access::kServe);
  ~OpenDatabase();
  OpenDatabase(const OpenDatabase&) = delete;
  OpenDatabase& operator=(const OpenDatabase&) = delete;

  rocksdb::DB& db() const { return *db_; }
  // Null for the feed of a database that has none and is only looked at.
  rocksdb::ColumnFamilyHandle* family(Family family) const {
    return families_[static_cast<size_t>(family)];
  }
  DatabaseFolder& folder() const { return *folder_; }
  WriteHealth& health() const { return *health_; }
  const rocksdb::Statistics& statistics() const { return *statistics_; }
  rocksdb::Env& env() const { return env_; }
  FileListGate& file_list() { return file_list_; }
  // What opening found wrong with the files.
  const std::vector<persistence::FileProblem>& problems() const { return problems_; }

  // Writes `batch` as the next record of the log. Every write to a served database comes here.
  rocksdb::Status Write(const rocksdb::WriteOptions& options, rocksdb::WriteBatch* batch) const
      SOP_EXCLUDES(log_mu_);

  // Turns compactions off if they met damage since the last call. Quick if they did not.
  void RestCompactionsIfAsked();

  // The value of `key` as `options` sees it, or nothing. kDamaged, UNAVAILABLE.
  absl::StatusOr<std::optional<std::string>> Get(const rocksdb::ReadOptions& options, Family family,
                                                 std::string_view key) const;
  // Values outside nodes that Get has read, pieces counting each.
  uint64_t values_read() const { return values_read_.load(std::memory_order_relaxed); }
  // The last sequence that `options` sees; 0 for an empty database.
  absl::StatusOr<Sequence> ReadTail(const rocksdb::ReadOptions& options) const;

 private:
  OpenDatabase(std::unique_ptr<DatabaseFolder> folder, rocksdb::Env& env, Access access);

  // Compares the files with the seal of the last closing and takes it off. kDamaged: see Open.
  absl::Status BreakSeal();
  // Seals the files after RocksDB has closed them.
  void WriteSeal();
  rocksdb::Status OpenRocksDb(const RocksDbEnvironment& environment,
                              persistence::ApplyFunction apply);
  // Whether the database was made before there were feeds.
  bool LacksFeed(const rocksdb::DBOptions& options) const;
  rocksdb::Status TryOpen(const rocksdb::DBOptions& options,
                          const std::vector<rocksdb::ColumnFamilyDescriptor>& families);

  // Constant after construction.
  rocksdb::Env& env_;
  const Access access_;
  std::vector<persistence::FileProblem> problems_;
  const std::unique_ptr<DatabaseFolder> folder_;
  const std::shared_ptr<WriteHealth> health_;
  std::shared_ptr<rocksdb::Statistics> statistics_;
  // Held over each write, with its sync: numbers ascend in the log. There is one committer; only
  // the rows of what is being staged come from elsewhere.
  mutable base::Mutex log_mu_;
  mutable LogOrder log_order_;
  mutable std::atomic<uint64_t> values_read_{0};
  FileListGate file_list_;
  std::unique_ptr<rocksdb::DB> db_;
  std::vector<rocksdb::ColumnFamilyHandle*> families_;
};

}  // namespace sop::rocksdb_storage
