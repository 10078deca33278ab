#include "core/txn/overlay/spill_file.h"

#include <algorithm>
#include <utility>

#include "core/base/bytes.h"
#include "core/base/check.h"
#include "core/base/checksum.h"
#include "core/base/error.h"
#include "core/base/status_macros.h"
#include "fmt/format.h"

namespace sop::txn {
namespace {

// A block: entries (key size, payload size, key, payload), the offset of each entry, their number,
// checksum of all before. Integers are 4 bytes, little endian.
constexpr size_t kEntryHeader = 8;
constexpr size_t kBlockTail = 8;

absl::Status DamagedBlock(std::string_view what) {
  return Error(Reason::kDamaged, fmt::format("block of a temporary file: {}", what));
}

absl::Status WithPath(const absl::Status& status, const std::string& path) {
  return WithDetail(status, "file", path);
}

// The shortest start of `key` that is above `previous`.
std::string_view Separator(std::string_view previous, std::string_view key) {
  return key.substr(0, base::CommonPrefix(previous, key) + 1);
}

}  // namespace

absl::StatusOr<SpillBlock> SpillBlock::Parse(std::string bytes) {
  if (bytes.size() < kBlockTail) return DamagedBlock("too short");
  const size_t body = bytes.size() - 4;
  const std::string_view checked = std::string_view(bytes).substr(0, body);
  if (base::Checksum32(checked) != base::LoadLittle32(bytes.data() + body)) {
    return DamagedBlock("checksum differs");
  }
  SpillBlock block;
  block.entry_count_ = base::LoadLittle32(bytes.data() + body - 4);
  if (block.entry_count_ > (bytes.size() - kBlockTail) / 4) return DamagedBlock("too many entries");
  block.offsets_ = bytes.size() - kBlockTail - block.entry_count_ * 4;
  for (size_t i = 0; i < block.entry_count_; ++i) {
    const uint64_t at = base::LoadLittle32(bytes.data() + block.offsets_ + i * 4);
    if (at + kEntryHeader > block.offsets_) return DamagedBlock("offset outside");
    const uint64_t key_size = base::LoadLittle32(bytes.data() + at);
    const uint64_t payload_size = base::LoadLittle32(bytes.data() + at + 4);
    if (at + kEntryHeader + key_size + payload_size > block.offsets_) {
      return DamagedBlock("entry outside");
    }
  }
  block.bytes_ = std::move(bytes);
  return block;
}

size_t SpillBlock::EntryOffset(size_t index) const {
  return base::LoadLittle32(bytes_.data() + offsets_ + index * 4);
}

std::string_view SpillBlock::key(size_t index) const {
  const char* const entry = bytes_.data() + EntryOffset(index);
  return {entry + kEntryHeader, base::LoadLittle32(entry)};
}

std::string_view SpillBlock::payload(size_t index) const {
  const char* const entry = bytes_.data() + EntryOffset(index);
  return {entry + kEntryHeader + base::LoadLittle32(entry), base::LoadLittle32(entry + 4)};
}

size_t SpillBlock::LowerBound(std::string_view wanted) const {
  size_t low = 0;
  size_t high = entry_count_;
  while (low < high) {
    const size_t middle = (low + high) / 2;
    if (key(middle) < wanted) {
      low = middle + 1;
    } else {
      high = middle;
    }
  }
  return low;
}

// A file that cannot be removed now is removed as a leftover at the next start.
SpillFile::~SpillFile() {
  file_.reset();
  files_.Remove(path_).IgnoreError();
}

size_t SpillFile::memory_bytes() const {
  return blocks_.capacity() * sizeof(BlockPlace) + first_keys_.capacity() + filter_.memory_bytes() +
         last_block_.memory_bytes();
}

std::string_view SpillFile::FirstKey(size_t block) const {
  const uint64_t begin = block == 0 ? 0 : blocks_[block - 1].key_end;
  return std::string_view(first_keys_).substr(begin, blocks_[block].key_end - begin);
}

size_t SpillFile::BlockOf(std::string_view key) const {
  size_t low = 0;
  size_t high = blocks_.size();
  while (low < high) {
    const size_t middle = (low + high) / 2;
    if (FirstKey(middle) <= key) {
      low = middle + 1;
    } else {
      high = middle;
    }
  }
  return low == 0 ? 0 : low - 1;
}

absl::StatusOr<SpillBlock> SpillFile::ReadBlock(size_t block) const {
  const BlockPlace& place = blocks_[block];
  auto bytes = file_->ReadAt(place.offset, place.size);
  // A file that is shorter than what was written is damage, not the end of anything.
  if (absl::IsOutOfRange(bytes.status())) {
    return WithPath(DamagedBlock("the file is cut short"), path_);
  }
  if (!bytes.ok()) return bytes.status();
  auto parsed = SpillBlock::Parse(*std::move(bytes));
  if (!parsed.ok()) return WithPath(parsed.status(), path_);
  return parsed;
}

absl::StatusOr<bool> SpillFile::Find(std::string_view key, std::string* payload) {
  if (!filter_.MayContain(base::Checksum64(key))) return false;
  const size_t block = BlockOf(key);
  if (block != last_block_index_) {
    SOP_ASSIGN_OR_RETURN(last_block_, ReadBlock(block));
    last_block_index_ = block;
  }
  const size_t index = last_block_.LowerBound(key);
  if (index == last_block_.entry_count() || last_block_.key(index) != key) return false;
  payload->assign(last_block_.payload(index));
  return true;
}

absl::StatusOr<std::unique_ptr<SpillFileWriter>> SpillFileWriter::Open(base::FileSystem& files,
                                                                       std::string path,
                                                                       uint64_t expected_entries) {
  auto out = files.OpenForAppend(path);
  if (!out.ok()) {
    // It may have been made nevertheless.
    files.Remove(path).IgnoreError();
    return out.status();
  }
  std::unique_ptr<SpillFileWriter> writer(new SpillFileWriter);
  writer->out_ = *std::move(out);
  writer->run_.reset(new SpillFile(files, std::move(path), expected_entries));
  return writer;
}

absl::Status SpillFileWriter::Add(std::string_view key, std::string_view payload) {
  SOP_CHECK(run_->entry_count_ == 0 || last_key_ < key);
  if (offsets_.empty()) {
    const std::string_view first =
        run_->entry_count_ == 0 ? std::string_view() : Separator(last_key_, key);
    run_->first_keys_.append(first);
  }
  offsets_.push_back(static_cast<uint32_t>(block_.size()));
  base::AppendLittle32(&block_, static_cast<uint32_t>(key.size()));
  base::AppendLittle32(&block_, static_cast<uint32_t>(payload.size()));
  block_.append(key);
  block_.append(payload);
  run_->filter_.Add(base::Checksum64(key));
  ++run_->entry_count_;
  run_->content_bytes_ += key.size() + payload.size();
  last_key_.assign(key);
  if (block_.size() < SpillFile::kBlockBytes) return absl::OkStatus();
  return EndBlock();
}

absl::Status SpillFileWriter::EndBlock() {
  for (const uint32_t offset : offsets_) base::AppendLittle32(&block_, offset);
  base::AppendLittle32(&block_, static_cast<uint32_t>(offsets_.size()));
  base::AppendLittle32(&block_, base::Checksum32(block_));
  SOP_RETURN_IF_ERROR(out_->Append(block_));
  run_->blocks_.push_back(
      {file_size_, run_->first_keys_.size(), static_cast<uint32_t>(block_.size())});
  file_size_ += block_.size();
  block_.clear();
  offsets_.clear();
  return absl::OkStatus();
}

absl::StatusOr<std::unique_ptr<SpillFile>> SpillFileWriter::Finish() && {
  if (!offsets_.empty()) SOP_RETURN_IF_ERROR(EndBlock());
  out_.reset();
  SOP_ASSIGN_OR_RETURN(run_->file_, run_->files_.OpenForRead(run_->path_));
  SOP_ASSIGN_OR_RETURN(const uint64_t size, run_->file_->Size());
  if (size != file_size_) {
    return WithPath(DamagedBlock("the file is not as long as what was written"), run_->path_);
  }
  run_->blocks_.shrink_to_fit();
  run_->first_keys_.shrink_to_fit();
  return std::move(run_);
}

bool SpillCursor::Load(size_t block) {
  if (block == block_number_ && status_.ok()) return true;
  auto loaded = run_->ReadBlock(block);
  if (!loaded.ok()) {
    Invalidate();
    status_ = loaded.status();
    return false;
  }
  block_ = *std::move(loaded);
  block_number_ = block;
  status_ = absl::OkStatus();
  return true;
}

void SpillCursor::Invalidate() {
  block_ = SpillBlock();
  block_number_ = SIZE_MAX;
  index_ = 0;
}

void SpillCursor::Seek(std::string_view key) {
  status_ = absl::OkStatus();
  const size_t block = run_->BlockOf(key);
  if (!Load(block)) return;
  index_ = block_.LowerBound(key);
  if (index_ < block_.entry_count()) return;
  if (block + 1 == run_->block_count()) return Invalidate();
  if (Load(block + 1)) index_ = 0;
}

void SpillCursor::SeekBefore(std::string_view key) {
  status_ = absl::OkStatus();
  const size_t block = run_->BlockOf(key);
  if (!Load(block)) return;
  index_ = block_.LowerBound(key);
  Prev();
}

void SpillCursor::SeekToLast() {
  status_ = absl::OkStatus();
  if (Load(run_->block_count() - 1)) index_ = block_.entry_count() - 1;
}

void SpillCursor::Next() {
  if (++index_ < block_.entry_count()) return;
  if (block_number_ + 1 == run_->block_count()) return Invalidate();
  if (Load(block_number_ + 1)) index_ = 0;
}

void SpillCursor::Prev() {
  if (index_ > 0) {
    --index_;
    return;
  }
  if (block_number_ == 0) return Invalidate();
  if (Load(block_number_ - 1)) index_ = block_.entry_count() - 1;
}

}  // namespace sop::txn
