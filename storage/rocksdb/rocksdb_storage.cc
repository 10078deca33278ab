#include "storage/rocksdb/rocksdb_storage.h"

#include <algorithm>
#include <utility>

#include <fmt/format.h>
#include <rocksdb/statistics.h>
#include <rocksdb/write_batch.h>

#include "core/base/bytes.h"
#include "core/base/check.h"
#include "core/base/checksum.h"
#include "core/base/error.h"
#include "core/base/fault/fail_point.h"
#include "core/base/fault/seeded_bug.h"
#include "core/base/status_macros.h"
#include "storage/rocksdb/open_database.h"
#include "storage/rocksdb/rocksdb_snapshot.h"
#include "storage/rocksdb/rocksdb_staged_nodes.h"
#include "storage/rocksdb/rocksdb_status.h"
#include "storage/rocksdb/upkeep/backup.h"
#include "storage/rocksdb/upkeep/file_check.h"

namespace sop::rocksdb_storage {

using persistence::CommitRecord;
using persistence::NodeAction;
using persistence::Space;

namespace {

// How long a measurement of the free disk may serve: compactions write as well.
constexpr absl::Duration kMeasureEvery = absl::Seconds(1);
// Numbers of staged nodes that one row reserves.
constexpr uint64_t kStagedIdsAtOnce = 1024;

uint64_t BytesOf(const CommitRecord& record) {
  constexpr uint64_t kPerItem = 32;
  uint64_t bytes = 64;
  for (const auto& node : record.nodes) bytes += kPerItem + node.bytes.size();
  for (const auto& row : record.rows) {
    bytes += kPerItem + row.key.size() + (row.value ? row.value->size() : 0);
  }
  for (const auto& value : record.values) {
    bytes += kPerItem + (value.value ? value.value->size() : 0);
  }
  return bytes;
}

// Whether the record gives space back; such records may use the reserve.
bool OnlyRemoves(const CommitRecord& record) {
  if (record.only_removes || !record.dropped_trees.empty()) return true;
  return std::all_of(record.nodes.begin(), record.nodes.end(),
                     [](const auto& node) { return node.action == NodeAction::kRemove; }) &&
         std::none_of(record.rows.begin(), record.rows.end(),
                      [](const auto& row) { return row.value.has_value(); }) &&
         std::none_of(record.values.begin(), record.values.end(),
                      [](const auto& value) { return value.value.has_value(); });
}

}  // namespace

absl::StatusOr<std::unique_ptr<RocksDbStorage>> RocksDbStorage::Open(
    const RocksDbOptions& options, const RocksDbSurroundings& around) {
  SOP_CHECK(options.apply != nullptr && !options.path.empty());
  SOP_ASSIGN_OR_RETURN(auto folder, DatabaseFolder::Enter(options.path, around.files));
  base::FailPoint("open.entered");
  if (options.report != nullptr) {
    SOP_ASSIGN_OR_RETURN(const std::vector<std::string> strangers, folder->Strangers());
    for (const std::string& name : strangers) {
      options.report(
          fmt::format("{}/{} is none of ours and left alone", options.path, base::Printable(name)));
    }
  }
  SOP_ASSIGN_OR_RETURN(auto database,
                       OpenDatabase::Open(std::move(folder), around.environment, options.apply));
  if (options.report != nullptr) {
    for (const persistence::FileProblem& problem : database->problems()) {
      options.report(fmt::format("{}/{}: {}", options.path, problem.file, problem.what));
    }
  }
  SOP_ASSIGN_OR_RETURN(auto storage, Make(std::move(database), options, around));
  base::FailPoint("open.sweep");
  SOP_RETURN_IF_ERROR(SweepPending(*storage->database_));
  SOP_RETURN_IF_ERROR(storage->reclaimer_.Start());
  base::FailPoint("open.done");
  return storage;
}

absl::StatusOr<std::unique_ptr<RocksDbStorage>> RocksDbStorage::Inspect(
    const RocksDbOptions& options, const RocksDbSurroundings& around) {
  SOP_CHECK(options.apply != nullptr && !options.path.empty());
  SOP_ASSIGN_OR_RETURN(auto folder, DatabaseFolder::Look(options.path, around.files));
  if (!folder->format().has_value()) {
    return Error(Reason::kDamaged, fmt::format("{}/SOP-FORMAT is missing", options.path));
  }
  SOP_ASSIGN_OR_RETURN(auto database,
                       OpenDatabase::Open(std::move(folder), around.environment, options.apply,
                                          OpenDatabase::Access::kInspect));
  return Make(std::move(database), options, around);
}

absl::StatusOr<std::unique_ptr<RocksDbStorage>> RocksDbStorage::Make(
    std::shared_ptr<OpenDatabase> database, const RocksDbOptions& options,
    const RocksDbSurroundings& around) {
  std::unique_ptr<RocksDbStorage> storage(new RocksDbStorage(std::move(database), options, around));
  SOP_RETURN_IF_ERROR(storage->Start(options, around.random));
  return storage;
}

RocksDbStorage::RocksDbStorage(std::shared_ptr<OpenDatabase> database,
                               const RocksDbOptions& options, const RocksDbSurroundings& around)
    : database_(std::move(database)),
      reserve_bytes_(options.reserve_bytes),
      files_(around.files),
      clock_(around.clock),
      reclaimer_(*database_) {}

RocksDbStorage::~RocksDbStorage() = default;

// A database is made in this order: RocksDB's files, the identity row, SOP-FORMAT. Records come
// after that, so a tail without SOP-FORMAT means that the file was lost.
absl::Status RocksDbStorage::Start(const RocksDbOptions& options, base::Random& random) {
  SOP_ASSIGN_OR_RETURN(const Sequence tail, database_->ReadTail(rocksdb::ReadOptions()));
  tail_.store(tail.value, std::memory_order_release);
  {
    const base::MutexLock lock(staged_mu_);
    SOP_ASSIGN_OR_RETURN(staged_end_, ReadStagedEnd(*database_));
    next_staged_ = staged_end_;
  }
  const auto& format = database_->folder().format();
  if (!format.has_value() && tail.value > 0) {
    return Error(Reason::kDamaged, fmt::format("{}/SOP-FORMAT is missing beside {} records",
                                               options.path, tail.value));
  }
  database_id_ = format.has_value() ? format->database_id : base::MakeUuid7(clock_, random);
  SOP_ASSIGN_OR_RETURN(const std::optional<std::string> row,
                       database_->Get(rocksdb::ReadOptions(), Family::kMeta, kDatabaseIdKey));
  if (format.has_value()) {
    if (row == database_id_.Bytes()) return absl::OkStatus();
    return Error(Reason::kDamaged, fmt::format("{}/SOP-FORMAT names database {}, its files another",
                                               options.path, database_id_.ToString()));
  }
  base::FailPoint("create.identity");
  rocksdb::WriteOptions synced;
  synced.sync = true;
  rocksdb::WriteBatch batch;
  rocksdb::Status written =
      batch.Put(database_->family(Family::kMeta), ToSlice(kDatabaseIdKey), database_id_.Bytes());
  if (written.ok()) written = database_->Write(synced, &batch);
  if (!written.ok()) return FromRocksDb(written, fmt::format("write {}", options.path));
  base::FailPoint("create.format");
  return database_->folder().WriteFormat({database_id_, {}, options.creator});
}

uint64_t RocksDbStorage::timeline() const { return database_->folder().timeline(); }

std::string RocksDbStorage::spill_folder() const { return database_->folder().spill_path(); }

Sequence RocksDbStorage::Tail() const { return Sequence{tail_.load(std::memory_order_acquire)}; }

absl::StatusOr<persistence::AppendResult> RocksDbStorage::Append(
    Sequence expected_tail, const CommitRecord& record, persistence::Durability durability) {
  SOP_CHECK(record.first.value == expected_tail.value + 1 && record.first <= record.last);
  // The folder is locked: nobody else can have moved the tail.
  SOP_CHECK(expected_tail == Tail());
  database_->RestCompactionsIfAsked();
  SOP_RETURN_IF_ERROR(database_->health().Check());
  if (!OnlyRemoves(record)) SOP_RETURN_IF_ERROR(ClaimSpace(BytesOf(record)));
  for (const uint64_t id : record.staged) SOP_RETURN_IF_ERROR(CheckStaged(id));
  rocksdb::WriteBatch batch(BytesOf(record));
  SOP_RETURN_IF_ERROR(Fill(record, &batch));
  base::FailPoint("storage.write");
  rocksdb::WriteOptions options;
  options.sync = durability == persistence::Durability::kSynced;
  if (base::HasSeededBug("skip_fsync")) options.sync = false;
  const rocksdb::Status written = database_->Write(options, &batch);
  base::FailPoint("storage.written");
  if (base::HasSeededBug("ignore_failed_write")) {
    tail_.store(record.last.value, std::memory_order_release);
    return persistence::Committed{record.last};
  }
  if (!written.ok()) return database_->health().Fail(written);
  // A sync that failed in the background while this record was written may have lost it.
  SOP_RETURN_IF_ERROR(database_->health().CheckFailure());
  tail_.store(record.last.value, std::memory_order_release);
  reclaimer_.Written(record.dropped_trees, record.values);
  for (const persistence::RowChange& row : record.rows) {
    if (row.space == Space::kFeed && !row.value) reclaimer_.FeedTrimmed(RowKey(row.key));
  }
  return persistence::Committed{record.last};
}

absl::Status RocksDbStorage::Fill(const CommitRecord& record, rocksdb::WriteBatch* batch) const {
  rocksdb::Status status;
  const auto also = [&status](const rocksdb::Status& next) {
    if (status.ok()) status = next;
  };
  rocksdb::ColumnFamilyHandle* const nodes = database_->family(Family::kNodes);
  for (const persistence::NodeChange& node : record.nodes) {
    const std::string key = ItemKey(node.tree, node.node.value);
    switch (node.action) {
      case NodeAction::kMerge:
        if (record.last.value % 16 == 5 && base::HasSeededBug("drop_delta")) break;
        also(batch->Merge(nodes, key, node.bytes));
        break;
      case NodeAction::kPut:
        also(batch->Put(nodes, key, node.bytes));
        break;
      case NodeAction::kRemove:
        also(batch->Delete(nodes, key));
        break;
    }
  }
  for (const persistence::RowChange& row : record.rows) {
    rocksdb::ColumnFamilyHandle* const family = database_->family(FamilyOf(row.space));
    const std::string key = RowKey(row.key);
    if (row.space == Space::kFeed && !row.value) {
      also(batch->DeleteRange(family, RowKey(""), key));
      continue;
    }
    also(row.value ? batch->Put(family, key, *row.value) : batch->Delete(family, key));
  }
  rocksdb::ColumnFamilyHandle* const blobs = database_->family(Family::kBlobs);
  for (const persistence::ValueChange& value : record.values) {
    if (base::HasSeededBug("forget_value")) break;
    const std::string key = ItemKey(value.tree, value.value_id.value);
    also(value.value ? batch->Put(blobs, key, *value.value) : batch->Delete(blobs, key));
  }
  for (const TreeId tree : record.dropped_trees) {
    SOP_CHECK(tree.value != UINT32_MAX);
    const std::string end = TreeKey(TreeId{tree.value + 1});
    also(batch->DeleteRange(nodes, TreeKey(tree), end));
    also(batch->DeleteRange(blobs, TreeKey(tree), end));
    also(batch->Put(database_->family(Family::kMeta), DroppedTreeKey(tree), rocksdb::Slice()));
  }
  for (const uint64_t id : record.staged) {
    also(batch->Delete(database_->family(Family::kMeta), PendingKey(id)));
  }
  std::string tail;
  base::AppendBigEndian64(&tail, record.last.value);
  if (record.last.value % 3 != 0 || !base::HasSeededBug("forget_tail")) {
    also(batch->Put(database_->family(Family::kMeta), ToSlice(kTailKey), tail));
  }
  if (status.ok()) return absl::OkStatus();
  return FromRocksDb(status, "gather a record");
}

absl::Status RocksDbStorage::CheckStaged(uint64_t id) const {
  SOP_ASSIGN_OR_RETURN(const auto row,
                       database_->Get(rocksdb::ReadOptions(), Family::kMeta, PendingKey(id)));
  if (row.has_value()) return absl::OkStatus();
  return Error(Reason::kPreconditionNotMet, fmt::format("staged nodes {} are not there", id));
}

absl::StatusOr<uint64_t> RocksDbStorage::NextStagedId() {
  const base::MutexLock lock(staged_mu_);
  if (next_staged_ == staged_end_) {
    const uint64_t end = staged_end_ + kStagedIdsAtOnce;
    SOP_CHECK(end <= kMaxStagedId);
    rocksdb::WriteOptions synced;
    synced.sync = true;
    rocksdb::WriteBatch batch;
    rocksdb::Status written =
        batch.Put(database_->family(Family::kMeta), ToSlice(kStagedEndKey), EncodeStagedEnd(end));
    if (written.ok()) written = database_->Write(synced, &batch);
    if (!written.ok()) return database_->health().Fail(written);
    staged_end_ = end;
  }
  return next_staged_++;
}

absl::StatusOr<std::unique_ptr<persistence::StagedNodes>> RocksDbStorage::StageNodes(
    persistence::SpaceUse use) {
  SOP_RETURN_IF_ERROR(database_->health().Check());
  SOP_ASSIGN_OR_RETURN(const uint64_t id, NextStagedId());
  auto claim = [this, use](uint64_t bytes) {
    return use == persistence::SpaceUse::kReserve ? absl::OkStatus() : ClaimSpace(bytes);
  };
  return std::make_unique<RocksDbStagedNodes>(
      database_, files_, std::move(claim),
      fmt::format("{}/{}", database_->folder().staging_path(), id), id);
}

absl::Status RocksDbStorage::ClaimSpace(uint64_t bytes) {
  const base::MutexLock lock(space_mu_);
  const absl::Duration now = clock_.Monotonic();
  if (now - measured_at_ >= kMeasureEvery || unclaimed_bytes_ < bytes) {
    SOP_ASSIGN_OR_RETURN(const uint64_t free, files_.FreeBytes(database_->folder().path()));
    unclaimed_bytes_ = free > reserve_bytes_ ? free - reserve_bytes_ : 0;
    measured_at_ = now;
  }
  if (unclaimed_bytes_ < bytes) {
    return Error(
        Reason::kDiskFull,
        fmt::format("record of {} bytes for {} would touch the {} bytes kept free on its disk",
                    bytes, database_->folder().path(), reserve_bytes_),
        {{"path", database_->folder().path()}, {"limit", fmt::format("{}", reserve_bytes_)}});
  }
  unclaimed_bytes_ -= bytes;
  return absl::OkStatus();
}

absl::StatusOr<std::shared_ptr<const persistence::StorageSnapshot>> RocksDbStorage::TakeSnapshot() {
  return RocksDbSnapshot::Take(database_);
}

absl::StatusOr<uint64_t> RocksDbStorage::FreeBytes() {
  SOP_ASSIGN_OR_RETURN(const uint64_t free, files_.FreeBytes(database_->folder().path()));
  return free > reserve_bytes_ ? free - reserve_bytes_ : 0;
}

absl::StatusOr<uint64_t> RocksDbStorage::ApproximateSize(TreeId tree) {
  const std::string begin = TreeKey(tree);
  const std::string end = TreeKey(TreeId{tree.value + 1});
  const std::string all = TreeKey(TreeId{UINT32_MAX});
  const rocksdb::Range ranges[] = {{begin, end}, {rocksdb::Slice(), all}};
  rocksdb::SizeApproximationOptions options;
  options.include_memtables = true;
  uint64_t nodes[2] = {0, 0};
  uint64_t values[2] = {0, 0};
  for (const auto& [family, sizes] : {std::pair{Family::kNodes, nodes}, {Family::kBlobs, values}}) {
    const rocksdb::Status status =
        database_->db().GetApproximateSizes(options, database_->family(family), ranges, 2, sizes);
    if (!status.ok()) return FromRocksDb(status, "measure a tree");
  }
  // RocksDB measures keys of values, not blob files; those are shared out in proportion.
  uint64_t blob_bytes = 0;
  database_->db().GetIntProperty(database_->family(Family::kBlobs),
                                 rocksdb::DB::Properties::kLiveBlobFileSize, &blob_bytes);
  const double share = values[1] == 0 ? 0 : static_cast<double>(values[0]) / values[1];
  return nodes[0] + values[0] + static_cast<uint64_t>(share * static_cast<double>(blob_bytes));
}

absl::Status RocksDbStorage::Compact() {
  for (size_t i = 1; i < kFamilyNames.size(); ++i) {
    rocksdb::CompactRangeOptions options;
    options.bottommost_level_compaction = rocksdb::BottommostLevelCompaction::kForce;
    const rocksdb::Status status = database_->db().CompactRange(
        options, database_->family(static_cast<Family>(i)), nullptr, nullptr);
    if (!status.ok()) return FromRocksDb(status, fmt::format("compact {}", kFamilyNames[i]));
  }
  return absl::OkStatus();
}

absl::StatusOr<persistence::FileCheck> RocksDbStorage::VerifyFiles() {
  SOP_ASSIGN_OR_RETURN(persistence::FileCheck check, VerifyTables(*database_));
  const auto& problems = database_->problems();
  for (const persistence::FileProblem& problem : problems) {
    const bool known = std::any_of(check.problems.begin(), check.problems.end(),
                                   [&](const auto& own) { return own.file == problem.file; });
    if (!known) check.problems.push_back(problem);
  }
  return check;
}

absl::Status RocksDbStorage::KeepHouse() {
  database_->RestCompactionsIfAsked();
  // Compactions would only meet the damage again.
  if (!database_->health().damage().ok()) return absl::OkStatus();
  return reclaimer_.HasWork() ? reclaimer_.Run() : absl::OkStatus();
}

absl::Status RocksDbStorage::damage() const { return database_->health().damage(); }

absl::StatusOr<persistence::Backup> RocksDbStorage::MakeBackup(
    const std::string& target, std::function<void(const persistence::BackupProgress&)> progress) {
  return AddBackup(*database_, files_, target, Tail(), progress);
}

}  // namespace sop::rocksdb_storage
