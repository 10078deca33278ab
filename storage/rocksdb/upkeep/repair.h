#pragma once

#include <memory>
#include <string>
#include <vector>

#include <rocksdb/db.h>
#include <rocksdb/write_batch.h>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "core/base/file_system.h"
#include "core/persistence/copy_target.h"
#include "core/persistence/maintenance.h"
#include "core/persistence/storage.h"
#include "storage/rocksdb/rocksdb_environment.h"

namespace sop::rocksdb_storage {

// A repaired copy of the database in a folder. The steps survive being interrupted anywhere: the
// copy is made as `db.unfinished`, renamed to `db.repaired` when it is whole, and then takes the
// place of `db`, which is kept as `db.damaged-N`.
// Confined to one thread.
class RepairedCopy : public persistence::CopyTarget {
 public:
  // Removes what an interrupted repair left. `environment` and `files` must outlive this.
  static absl::StatusOr<std::unique_ptr<RepairedCopy>> Make(const std::string& folder,
                                                            Uuid database_id,
                                                            const RocksDbEnvironment& environment,
                                                            base::FileSystem& files,
                                                            persistence::ApplyFunction apply);
  ~RepairedCopy() override;

  absl::Status AddNode(TreeId tree, NodeId node, std::string_view image) override;
  absl::Status AddValue(TreeId tree, Serial value_id, std::string_view value) override;
  absl::Status AddRow(persistence::Space space, std::string_view key,
                      std::string_view value) override;
  absl::Status Finish(Sequence tail) override;

 private:
  RepairedCopy(std::string folder, Uuid database_id, rocksdb::Env& env)
      : folder_(std::move(folder)), database_id_(database_id), env_(env) {}

  absl::Status Flush(size_t least_bytes);
  absl::Status Check(const rocksdb::Status& status) const;

  const std::string folder_;
  const Uuid database_id_;
  rocksdb::Env& env_;
  std::unique_ptr<rocksdb::DB> db_;
  std::vector<rocksdb::ColumnFamilyHandle*> families_;
  rocksdb::WriteBatch batch_;
  uint64_t staged_end_ = 1;  // above the numbers of all staged values
};

// Puts a finished copy in the place of the database in `folder`, which nobody may have open; where
// the damaged one is now. Also what completes an exchange that was interrupted: then, and if there
// is no copy, empty.
absl::StatusOr<std::string> ExchangeRepaired(const std::string& folder, rocksdb::Env& env,
                                             base::FileSystem& files);

// For a database whose manifest or list of files is lost, so that it cannot be opened at all:
// RocksDB gathers what it finds in tables and logs. The original is kept as `db.damaged-N`, whose
// path is returned. SOP-FORMAT is written anew if it is lost. Nobody may have the folder open.
absl::StatusOr<std::string> GatherTables(const std::string& folder,
                                         const RocksDbEnvironment& environment,
                                         base::FileSystem& files, persistence::ApplyFunction apply);

// Turns on the features of this release; those that were not on. kFormatNotSupported for a folder
// with one that this release does not know, naming it. Nobody may have the folder open.
absl::StatusOr<std::vector<std::string>> UpgradeFormat(const std::string& folder,
                                                       base::FileSystem& files);

}  // namespace sop::rocksdb_storage
