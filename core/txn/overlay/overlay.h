#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "absl/container/btree_set.h"
#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "core/txn/arena.h"
#include "core/txn/key_slot.h"
#include "core/txn/overlay/spill_file.h"
#include "core/txn/overlay/spill_space.h"

namespace sop::txn {

// A transaction's own writes to one tree: an ordered map of key bytes to payload bytes, opaque here
// (an erasure is a payload like any other). The newest payload of a key wins. The buffer is in
// memory; when the SpillSpace's budget is exceeded, the largest buffer of the transaction becomes a
// sorted run in a temporary file. Runs are merged as they accumulate: a Spill that returns OK
// leaves at most kMaxRuns.
//
// Confined to its transaction.
class Overlay {
 public:
  static constexpr size_t kMaxRuns = 8;

  class Iterator;

  // `space` must outlive the overlay.
  explicit Overlay(SpillSpace& space);
  ~Overlay();
  Overlay(const Overlay&) = delete;
  Overlay& operator=(const Overlay&) = delete;

  // REQUIRES: key and payload are below 1 GiB.
  // On an error (kDiskFull, UNAVAILABLE: some buffer of the space could not be written out, or its
  // runs not merged; DATA_LOSS: a damaged temporary file met while merging) the write is in the
  // overlay nevertheless and nothing is lost. A later Put tries again.
  absl::Status Put(std::string_view key, std::string_view payload);

  // The payload of `key`, or nothing. UNAVAILABLE or DATA_LOSS when a run cannot be read.
  absl::StatusOr<std::optional<std::string>> Find(std::string_view key) const;

  bool empty() const { return buffer_.empty() && runs_.empty(); }
  // Keys and their bytes with payloads. Upper bounds: a key counts once for the buffer and once for
  // each run it is in. Exact while nothing was spilled, and while there is one run and no buffer.
  uint64_t entry_count() const;
  uint64_t bytes() const;

  size_t run_count() const { return runs_.size(); }
  // Bytes of the buffer, its index and unused room included.
  size_t buffer_memory_bytes() const { return charged_bytes_; }
  // Bytes of indexes, filters and blocks of the runs.
  size_t run_memory_bytes() const;

  // Writes the buffer to a run, and merges runs if there are too many. For SpillSpace and tests.
  // Errors as Put.
  absl::Status Spill();

 private:
  friend class SpillSpace;

  struct Entry {
    std::string_view key() const { return {key_bytes, key_size}; }
    std::string_view payload() const { return {payload_bytes, payload_size}; }

    const char* key_bytes;
    char* payload_bytes;
    uint32_t key_size;
    uint32_t payload_size;
    uint32_t payload_capacity;
  };
  using Buffer = absl::btree_set<KeySlot<Entry>, KeySlotLess<Entry>>;

  void PutInBuffer(std::string_view key, std::string_view payload);
  void SetPayload(Entry& entry, std::string_view payload);
  void UpdateCharge();
  void ClearBuffer();
  absl::Status MergeRuns();
  size_t FirstRunToMerge() const;

  SpillSpace& space_;
  Arena arena_;  // of the buffer's entries
  Buffer buffer_;
  uint64_t buffer_content_bytes_ = 0;
  size_t charged_bytes_ = 0;  // part of the space's memory_bytes()
  uint64_t generation_ = 0;   // changes with everything that invalidates iterators' positions
  std::vector<std::unique_ptr<SpillFile>> runs_;  // oldest first
};

// A position in an overlay, in key order over buffer and runs. Writes may come in between: the next
// move then starts from key(), which stays, and sees them; Valid() stays too.
// Confined to its transaction.
class Overlay::Iterator {
 public:
  // `overlay` must outlive the iterator. Not Valid() until it is positioned.
  explicit Iterator(const Overlay& overlay) : overlay_(&overlay) {}

  void Seek(std::string_view key);        // first entry >= key
  void SeekBefore(std::string_view key);  // last entry < key
  void SeekToFirst() { Seek({}); }
  void SeekToLast();
  // REQUIRES: Valid(). To the first entry above, or the last one below, key().
  void Next();
  void Prev();

  // False before the first and after the last entry, and after an error.
  bool Valid() const { return valid_; }
  // REQUIRES: Valid(). Until the iterator moves.
  std::string_view key() const { return key_; }
  // REQUIRES: Valid(), and no Put to any overlay of the space since the iterator moved.
  std::string_view payload() const { return payload_; }
  // UNAVAILABLE or DATA_LOSS when a run could not be read, until the next Seek....
  const absl::Status& status() const { return status_; }

 private:
  enum class Direction { kForward, kBackward };

  // Makes the cursors match the overlay's runs.
  void Refresh();
  void StepBufferBack();
  void Settle(Direction direction);

  const Overlay* overlay_;
  uint64_t generation_ = UINT64_MAX;
  Buffer::const_iterator buffer_at_;
  bool buffer_valid_ = false;
  std::vector<SpillCursor> runs_at_;  // newest first
  Direction direction_ = Direction::kForward;
  bool valid_ = false;
  std::string key_;
  std::string_view payload_;
  absl::Status status_;
};

}  // namespace sop::txn
