#include "storage/rocksdb/log/log_file_system.h"

#include <algorithm>
#include <atomic>
#include <cstdint>
#include <string_view>
#include <utility>

namespace sop::rocksdb_storage {
namespace {

using rocksdb::IODebugContext;
using rocksdb::IOOptions;
using rocksdb::IOStatus;
using rocksdb::Slice;

class FilledLog : public rocksdb::FSWritableFileOwnerWrapper {
 public:
  FilledLog(std::unique_ptr<rocksdb::FSWritableFile> file, const LogFilling& filling,
            std::shared_ptr<const std::string> zeros)
      : FSWritableFileOwnerWrapper(std::move(file)), filling_(filling), zeros_(std::move(zeros)) {}

  IOStatus Append(const Slice& bytes, const IOOptions& options, IODebugContext* context) override {
    if (end_ + bytes.size() > filled_ && fills_ && !torn_) Consider(options, context);
    IOStatus status = target()->Append(bytes, options, context);
    if (status.ok()) {
      end_ += bytes.size();
    } else {
      torn_ = true;
    }
    return status;
  }
  IOStatus Append(const Slice& bytes, const IOOptions& options,
                  const rocksdb::DataVerificationInfo& /*checksum*/,
                  IODebugContext* context) override {
    return Append(bytes, options, context);
  }
  // RocksDB syncs from other threads than it appends from.
  IOStatus Sync(const IOOptions& options, IODebugContext* context) override {
    syncs_.fetch_add(1, std::memory_order_relaxed);
    return target()->Sync(options, context);
  }
  IOStatus Close(const IOOptions& options, IODebugContext* context) override {
    IOStatus status;
    // Also where records passed the zeros: the file below takes its size for what was filled last.
    if (filled_ > 0 && !torn_) {
      status = target()->Truncate(end_, options, context);
      if (status.ok()) status = target()->Sync(options, context);
    }
    IOStatus closed = target()->Close(options, context);
    return status.ok() ? closed : status;
  }
  uint64_t GetFileSize(const IOOptions& /*options*/, IODebugContext* /*context*/) override {
    return end_;
  }

 private:
  // Once it is clear how often the log is synced, begins to count anew.
  void Consider(const IOOptions& options, IODebugContext* context) {
    const uint64_t bytes = end_ - counted_from_;
    const uint64_t syncs = syncs_.load(std::memory_order_relaxed);
    const bool often = bytes <= syncs * filling_.synced_bytes;
    const bool seldom = bytes >= filling_.syncs_counted * filling_.synced_bytes;
    if (syncs < filling_.syncs_counted && !seldom) return;
    counted_from_ = end_;
    syncs_.store(0, std::memory_order_relaxed);
    if (often) Fill(options, context);
  }

  // A preparation: if it fails, the disk full perhaps, this log grows with its records from there
  // on.
  void Fill(const IOOptions& options, IODebugContext* context) {
    const uint64_t from = std::max(filled_, end_);
    fills_ = target()->PositionedAppend(*zeros_, from, options, context).ok();
    filled_ = from + zeros_->size();
  }

  const LogFilling filling_;
  const std::shared_ptr<const std::string> zeros_;
  uint64_t end_ = 0;     // of the records
  uint64_t filled_ = 0;  // zeros end here at the latest, if behind the records
  bool fills_ = true;    // the last filling was whole: the file ends at max(filled_, end_)
  bool torn_ = false;    // part of a record may be behind `end_`
  uint64_t counted_from_ = 0;
  std::atomic<uint64_t> syncs_{0};
};

}  // namespace

IOStatus LogFileSystem::NewWritableFile(const std::string& path,
                                        const rocksdb::FileOptions& options,
                                        std::unique_ptr<rocksdb::FSWritableFile>* file,
                                        IODebugContext* context) {
  IOStatus status = target()->NewWritableFile(path, options, file, context);
  const bool is_log = std::string_view(path).ends_with(".log");
  if (status.ok() && is_log && !options.use_direct_writes) {
    *file = std::make_unique<FilledLog>(std::move(*file), filling_, zeros_);
  }
  return status;
}

}  // namespace sop::rocksdb_storage
