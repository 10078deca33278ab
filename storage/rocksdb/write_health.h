#pragma once

#include <atomic>
#include <string>

#include <rocksdb/db.h>
#include <rocksdb/listener.h>

#include "absl/status/status.h"
#include "core/base/mutex.h"

namespace sop::rocksdb_storage {

// Whether a database may still acknowledge writes.
//
// 1. A failed write or fsync, ours or one of RocksDB's background, is for ever: what is on disk is
//    unknown, and a second fsync may lie.
// 2. A compaction that met a damaged block writes nothing and stops nothing: what is damaged stays
//    as it is, the rest goes on without compactions, until the folder is repaired.
// 3. A background write that met a full disk only pauses writes until RocksDB has recovered.
// Thread-safe.
class WriteHealth : public rocksdb::EventListener {
 public:
  explicit WriteHealth(std::string path) : path_(std::move(path)) {}

  // UNAVAILABLE for ever after Fail(), kDiskFull while paused.
  absl::Status Check() const SOP_EXCLUDES(mu_);
  // UNAVAILABLE for ever after Fail(), else OK.
  absl::Status CheckFailure() const SOP_EXCLUDES(mu_);

  // Why compactions have to rest (kDamaged), or OK.
  absl::Status damage() const SOP_EXCLUDES(mu_);
  void MarkDamage(const rocksdb::Status& status) SOP_EXCLUDES(mu_);
  // True once after compactions met damage: whoever hears it turns them off.
  bool TakeStopRequest() {
    return stop_requested_.load(std::memory_order_relaxed) && stop_requested_.exchange(false);
  }

  // From now on a log that is full is on stable storage before the next one gets its first record:
  // after a power cut the next one could be there without it. `db` must outlive what it calls back.
  void WatchLog(rocksdb::DB& db) { db_.store(&db, std::memory_order_release); }

  // Records that a write failed and returns what every later Check() returns.
  absl::Status Fail(const rocksdb::Status& status) SOP_EXCLUDES(mu_);

  const char* Name() const override { return "sop.WriteHealth"; }
  void OnBackgroundError(rocksdb::BackgroundErrorReason reason, rocksdb::Status* error) override;
  // A new log has been made, the thread that is about to write to it calls.
  void OnMemTableSealed(const rocksdb::MemTableInfo& sealed) override;
  // These only pass fail points.
  void OnFlushBegin(rocksdb::DB* db, const rocksdb::FlushJobInfo& flush) override;
  void OnFlushCompleted(rocksdb::DB* db, const rocksdb::FlushJobInfo& flush) override;
  void OnCompactionBegin(rocksdb::DB* db, const rocksdb::CompactionJobInfo& compaction) override;
  void OnCompactionCompleted(rocksdb::DB* db,
                             const rocksdb::CompactionJobInfo& compaction) override;
  void OnErrorRecoveryEnd(const rocksdb::BackgroundErrorRecoveryInfo& recovery) override;

 private:
  const std::string path_;
  mutable base::Mutex mu_;
  absl::Status failure_ SOP_GUARDED_BY(mu_);
  absl::Status pause_ SOP_GUARDED_BY(mu_);
  absl::Status damage_ SOP_GUARDED_BY(mu_);
  std::atomic<bool> stop_requested_{false};
  std::atomic<rocksdb::DB*> db_{nullptr};  // WatchLog
};

}  // namespace sop::rocksdb_storage
