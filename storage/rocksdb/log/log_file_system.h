#pragma once

#include <memory>
#include <string>

#include <rocksdb/file_system.h>

#include "storage/rocksdb/log/log_filling.h"

namespace sop::rocksdb_storage {

// Another file system, whose logs of small synced records are quick to sync.
//
// The sync of a file that grew brings its new size to the disk too, and the journal of the file
// system if it has one: 100 bytes take half as long again as 100 bytes written over others. So
// where syncs come every few kilobytes, zeros are written and synced ahead of the records, and the
// records over them. It costs a second writing of the log, of which a sync writes whole blocks
// anyway; where much is written between syncs, nothing is filled.
//
// Invariants:
// 1. Zeros are only behind the last record, as in the unused end of a block: RocksDB's replay, and
//    LogOrder with it, takes them for the end of the log.
// 2. A closed log has no zeros behind its last record, and its size is on stable storage.
// A log is confined to who writes it, but for Sync. Thread-safe.
class LogFileSystem : public rocksdb::FileSystemWrapper {
 public:
  LogFileSystem(const std::shared_ptr<rocksdb::FileSystem>& files, const LogFilling& filling)
      : FileSystemWrapper(files),
        filling_(filling),
        zeros_(std::make_shared<const std::string>(filling.fill_bytes, '\0')) {}

  const char* Name() const override { return "sop.LogFileSystem"; }
  rocksdb::IOStatus NewWritableFile(const std::string& path, const rocksdb::FileOptions& options,
                                    std::unique_ptr<rocksdb::FSWritableFile>* file,
                                    rocksdb::IODebugContext* context) override;

 private:
  const LogFilling filling_;
  const std::shared_ptr<const std::string> zeros_;
};

}  // namespace sop::rocksdb_storage
