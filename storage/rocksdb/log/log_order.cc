#include "storage/rocksdb/log/log_order.h"

#include <algorithm>
#include <memory>
#include <optional>
#include <string_view>

#include "core/base/bytes.h"
#include "storage/rocksdb/rocksdb_status.h"

namespace sop::rocksdb_storage {
namespace {

constexpr char kTag = 'n';
constexpr size_t kNumberBytes = 1 + sizeof(uint64_t);
// Checksum, length and type of a record in the log: never all zero.
constexpr size_t kHeaderBytes = 7;

// Holds the numbers in a batch against the last one before it.
class NumberReader : public rocksdb::WriteBatch::Handler {
 public:
  explicit NumberReader(uint64_t last) : last_(last) {}

  uint64_t last() const { return last_; }
  bool follows() const { return follows_; }

  void LogData(const rocksdb::Slice& blob) override {
    if (blob.size() != kNumberBytes || blob[0] != kTag) return;
    const uint64_t number = base::LoadBig64(blob.data() + 1);
    // What is left of an earlier opening ends where it was recovered to.
    follows_ = follows_ && (last_ == 0 || number == last_ + 1 || number == 1);
    last_ = number;
  }
  rocksdb::Status PutCF(uint32_t, const rocksdb::Slice&, const rocksdb::Slice&) override {
    return rocksdb::Status::OK();
  }
  rocksdb::Status MergeCF(uint32_t, const rocksdb::Slice&, const rocksdb::Slice&) override {
    return rocksdb::Status::OK();
  }
  rocksdb::Status DeleteCF(uint32_t, const rocksdb::Slice&) override {
    return rocksdb::Status::OK();
  }
  rocksdb::Status SingleDeleteCF(uint32_t, const rocksdb::Slice&) override {
    return rocksdb::Status::OK();
  }
  rocksdb::Status DeleteRangeCF(uint32_t, const rocksdb::Slice&, const rocksdb::Slice&) override {
    return rocksdb::Status::OK();
  }

 private:
  uint64_t last_;
  bool follows_ = true;
};

}  // namespace

void LogOrder::BeginReplay() {
  log_ = 0;
  replayed_ = 0;
}

void LogOrder::Number(rocksdb::WriteBatch* batch) {
  std::string blob(1, kTag);
  base::AppendBigEndian64(&blob, ++written_);
  batch->PutLogData(blob).PermitUncheckedError();  // fails only beyond a limit of the batch's size
}

bool LogOrder::BeginsWithHole(const std::string& path) const {
  std::unique_ptr<rocksdb::SequentialFile> file;
  char bytes[kHeaderBytes];
  rocksdb::Slice read;
  if (!env_.NewSequentialFile(path, &file, rocksdb::EnvOptions()).ok() ||
      !file->Read(kHeaderBytes, &read, bytes).ok()) {
    return false;  // who reads the log will meet it too
  }
  const std::string_view header = View(read);
  return std::all_of(header.begin(), header.end(), [](char byte) { return byte == 0; });
}

rocksdb::WalFilter::WalProcessingOption LogOrder::LogRecordFound(unsigned long long log,
                                                                 const std::string& path,
                                                                 const rocksdb::WriteBatch& batch,
                                                                 rocksdb::WriteBatch* /*changed*/,
                                                                 bool* /*is_changed*/) {
  const bool first = log != log_;
  log_ = log;
  if (first && BeginsWithHole(path)) return WalProcessingOption::kStopReplay;
  NumberReader numbers(replayed_);
  if (!batch.Iterate(&numbers).ok()) return WalProcessingOption::kCorruptedRecord;
  if (!numbers.follows()) return WalProcessingOption::kStopReplay;
  replayed_ = numbers.last();
  return WalProcessingOption::kContinueProcessing;
}

}  // namespace sop::rocksdb_storage
