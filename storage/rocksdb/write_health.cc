#include "storage/rocksdb/write_health.h"

#include <fmt/format.h>

#include "core/base/error.h"
#include "core/base/fault/fail_point.h"

namespace sop::rocksdb_storage {

absl::Status WriteHealth::Check() const {
  const base::MutexLock lock(mu_);
  return failure_.ok() ? pause_ : failure_;
}

absl::Status WriteHealth::CheckFailure() const {
  const base::MutexLock lock(mu_);
  return failure_;
}

absl::Status WriteHealth::damage() const {
  const base::MutexLock lock(mu_);
  return damage_;
}

void WriteHealth::MarkDamage(const rocksdb::Status& status) {
  const base::MutexLock lock(mu_);
  if (!damage_.ok()) return;
  damage_ = Error(Reason::kDamaged,
                  fmt::format("database {} has damaged files and is no longer compacted until it "
                              "is repaired: {}",
                              path_, status.ToString()),
                  {{"path", path_}});
  stop_requested_ = true;
}

absl::Status WriteHealth::Fail(const rocksdb::Status& status) {
  const base::MutexLock lock(mu_);
  if (failure_.ok()) {
    failure_ = Error(Reason::kUnavailable,
                     fmt::format("database {} takes no more writes until it is opened again: {}",
                                 path_, status.ToString()),
                     {{"path", path_}});
  }
  return failure_;
}

void WriteHealth::OnBackgroundError(rocksdb::BackgroundErrorReason reason, rocksdb::Status* error) {
  const bool reads_tables = reason == rocksdb::BackgroundErrorReason::kCompaction;
  if (reads_tables && (error->IsCorruption() || error->IsPathNotFound())) {
    // RocksDB would refuse every write to the database from now on, for one block.
    MarkDamage(*error);
    *error = rocksdb::Status::OK();
    return;
  }
  if (!error->IsNoSpace()) {
    Fail(*error).IgnoreError();
    return;
  }
  const base::MutexLock lock(mu_);
  pause_ = Error(Reason::kDiskFull, fmt::format("disk of database {} is full", path_),
                 {{"path", path_}});
}

void WriteHealth::OnMemTableSealed(const rocksdb::MemTableInfo& /*sealed*/) {
  rocksdb::DB* const db = db_.load(std::memory_order_acquire);
  if (db == nullptr) return;
  const rocksdb::Status synced = db->SyncWAL();
  if (!synced.ok()) Fail(synced).IgnoreError();
}

void WriteHealth::OnFlushBegin(rocksdb::DB* /*db*/, const rocksdb::FlushJobInfo& /*flush*/) {
  base::FailPoint("flush.begin");
}
void WriteHealth::OnFlushCompleted(rocksdb::DB* /*db*/, const rocksdb::FlushJobInfo& /*flush*/) {
  base::FailPoint("flush.done");
}
void WriteHealth::OnCompactionBegin(rocksdb::DB* /*db*/,
                                    const rocksdb::CompactionJobInfo& /*compaction*/) {
  base::FailPoint("compaction.begin");
}
void WriteHealth::OnCompactionCompleted(rocksdb::DB* /*db*/,
                                        const rocksdb::CompactionJobInfo& /*compaction*/) {
  base::FailPoint("compaction.done");
}

void WriteHealth::OnErrorRecoveryEnd(const rocksdb::BackgroundErrorRecoveryInfo& recovery) {
  if (!recovery.new_bg_error.ok()) return;
  const base::MutexLock lock(mu_);
  pause_ = absl::OkStatus();
}

}  // namespace sop::rocksdb_storage
