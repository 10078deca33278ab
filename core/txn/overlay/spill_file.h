#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "core/base/file_system.h"
#include "core/txn/overlay/key_filter.h"

namespace sop::txn {

// A block of a spill file: entries in key order, with their offsets behind them. Checked when it is
// read; after that the accessors cannot fail. Thread-compatible.
class SpillBlock {
 public:
  SpillBlock() = default;

  // DATA_LOSS (kDamaged) unless checksum and every offset hold.
  static absl::StatusOr<SpillBlock> Parse(std::string bytes);

  size_t entry_count() const { return entry_count_; }
  // REQUIRES: index < entry_count(). The views live as long as the block.
  std::string_view key(size_t index) const;
  std::string_view payload(size_t index) const;
  // The first entry whose key is >= `key`; entry_count() if there is none.
  size_t LowerBound(std::string_view key) const;
  size_t memory_bytes() const { return bytes_.capacity(); }

 private:
  size_t EntryOffset(size_t index) const;

  std::string bytes_;
  size_t entry_count_ = 0;
  size_t offsets_ = 0;  // where the array of entry offsets begins
};

// An immutable sorted run in a temporary file: blocks of about 32 KiB, of which memory holds only
// the place and first key (cut to what separates it from the block before), and a Bloom filter
// of 10 bits for each key. The file is removed with the object. Confined to its transaction.
class SpillFile {
 public:
  // Bytes after which a block ends.
  static constexpr size_t kBlockBytes = size_t{32} << 10;

  ~SpillFile();
  SpillFile(const SpillFile&) = delete;
  SpillFile& operator=(const SpillFile&) = delete;

  size_t block_count() const { return blocks_.size(); }
  uint64_t entry_count() const { return entry_count_; }
  // Bytes of keys and payloads.
  uint64_t content_bytes() const { return content_bytes_; }
  // Bytes of index, filter and the block at hand.
  size_t memory_bytes() const;

  // The block that has `key` if any has: the last one that begins at or before it, else the first.
  size_t BlockOf(std::string_view key) const;
  // Reads one block. UNAVAILABLE for an I/O error, DATA_LOSS for damage.
  absl::StatusOr<SpillBlock> ReadBlock(size_t block) const;

  // The payload of `key`, copied to `payload`; false if the run has no such key. Keeps the block
  // that it read, so that ascending lookups read each block once. Errors as ReadBlock.
  absl::StatusOr<bool> Find(std::string_view key, std::string* payload);

 private:
  friend class SpillFileWriter;

  struct BlockPlace {
    uint64_t offset;
    uint64_t key_end;  // of the block's first key within first_keys_; it begins at the previous end
    uint32_t size;
  };

  SpillFile(base::FileSystem& files, std::string path, uint64_t expected_entries)
      : files_(files), path_(std::move(path)), filter_(expected_entries) {}
  std::string_view FirstKey(size_t block) const;

  base::FileSystem& files_;
  const std::string path_;
  std::unique_ptr<base::ReadFile> file_;
  std::vector<BlockPlace> blocks_;
  std::string first_keys_;
  KeyFilter filter_;
  uint64_t entry_count_ = 0;
  uint64_t content_bytes_ = 0;
  SpillBlock last_block_;  // the one that Find read last
  size_t last_block_index_ = SIZE_MAX;
};

// Writes one run, which has at least one entry. Dropped before Finish, it removes what it wrote.
// Confined to its transaction.
class SpillFileWriter {
 public:
  // Makes the file. `expected_entries` sizes the filter.
  static absl::StatusOr<std::unique_ptr<SpillFileWriter>> Open(base::FileSystem& files,
                                                               std::string path,
                                                               uint64_t expected_entries);

  // REQUIRES: keys ascend strictly; key and payload are below 1 GiB.
  // kDiskFull or UNAVAILABLE from the file system; the run is then lost.
  absl::Status Add(std::string_view key, std::string_view payload);

  // REQUIRES: at least one Add. Ends the run and opens it for reading. Nothing is synced: the file
  // need not survive a crash.
  absl::StatusOr<std::unique_ptr<SpillFile>> Finish() &&;

 private:
  SpillFileWriter() = default;
  absl::Status EndBlock();

  std::unique_ptr<base::AppendFile> out_;
  std::unique_ptr<SpillFile> run_;
  std::string block_;
  std::vector<uint32_t> offsets_;
  std::string last_key_;
  uint64_t file_size_ = 0;
};

// A position in a run, between entries when not Valid(). Confined to its transaction.
class SpillCursor {
 public:
  // `run` must outlive every call but the destructor.
  explicit SpillCursor(const SpillFile& run) : run_(&run) {}

  void Seek(std::string_view key);        // first entry >= key
  void SeekBefore(std::string_view key);  // last entry < key
  void SeekToLast();
  // REQUIRES: Valid().
  void Next();
  void Prev();

  bool Valid() const { return index_ < block_.entry_count(); }
  // REQUIRES: Valid(). The views live until the cursor moves.
  std::string_view key() const { return block_.key(index_); }
  std::string_view payload() const { return block_.payload(index_); }
  // Not OK once a read failed: the cursor is not Valid() then.
  const absl::Status& status() const { return status_; }

 private:
  bool Load(size_t block);
  void Invalidate();

  const SpillFile* run_;
  SpillBlock block_;
  size_t block_number_ = SIZE_MAX;
  size_t index_ = 0;
  absl::Status status_;
};

}  // namespace sop::txn
