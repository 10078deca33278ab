#pragma once

#include <cstdint>
#include <string>

#include <rocksdb/env.h>
#include <rocksdb/wal_filter.h>
#include <rocksdb/write_batch.h>

namespace sop::rocksdb_storage {

// The order of the records in a database's log: a prefix of what was written is recovered, never
// something after a hole.
//
// When the power goes, a file that grew without a sync may keep later bytes and have zeros where
// earlier ones should be. RocksDB takes zeros for the unused end of a block, drops what is missing
// silently and replays what follows. So each record carries its number, and replay ends before the
// first whose number does not follow.
//
// Invariants:
// 1. Numbers of one opening are 1, 2, ... in the order of the log.
// 2. A record without a number says nothing: records were not numbered at first.
// Thread-compatible: Number is called by whoever may write, the filter while a database is opened.
class LogOrder : public rocksdb::WalFilter {
 public:
  // `env` must outlive this.
  explicit LogOrder(rocksdb::Env& env) : env_(env) {}

  // Before each try to open the database.
  void BeginReplay();
  // Makes `batch` the next record. It must be written before the next one is numbered.
  void Number(rocksdb::WriteBatch* batch);

  const char* Name() const override { return "sop.LogOrder"; }
  WalProcessingOption LogRecordFound(unsigned long long log, const std::string& path,
                                     const rocksdb::WriteBatch& batch, rocksdb::WriteBatch* changed,
                                     bool* is_changed) override;

 private:
  // Whether the file's first record is missing.
  bool BeginsWithHole(const std::string& path) const;

  rocksdb::Env& env_;
  uint64_t written_ = 0;
  // Of what is replayed.
  unsigned long long log_ = 0;
  uint64_t replayed_ = 0;
};

}  // namespace sop::rocksdb_storage
