#include "core/txn/overlay/overlay.h"

#include <algorithm>
#include <cstring>
#include <new>
#include <utility>

#include "core/base/check.h"
#include "core/base/fault/seeded_bug.h"
#include "core/base/status_macros.h"

namespace sop::txn {
namespace {

// Room in the index for one entry: a slot of 16 bytes in nodes that are two thirds full.
constexpr size_t kSlotBytes = 24;

}  // namespace

Overlay::Overlay(SpillSpace& space) : space_(space) { space_.Register(this); }

Overlay::~Overlay() {
  space_.memory_bytes_ -= charged_bytes_;
  space_.Unregister(this);
}

absl::Status Overlay::Put(std::string_view key, std::string_view payload) {
  PutInBuffer(key, payload);
  UpdateCharge();
  if (space_.memory_bytes_ <= space_.granted_bytes_) return absl::OkStatus();
  return space_.MakeRoom();
}

void Overlay::PutInBuffer(std::string_view key, std::string_view payload) {
  const KeyProbe probe(key);
  const auto at = buffer_.lower_bound(probe);
  if (at != buffer_.end() && at->head == probe.head && at->entry->key() == key) {
    SetPayload(*at->entry, payload);
    return;
  }
  // One piece of the arena: the entry, its key, its payload.
  char* const memory = arena_.Allocate(sizeof(Entry) + key.size() + payload.size());
  char* const key_bytes = memory + sizeof(Entry);
  if (!key.empty()) std::memcpy(key_bytes, key.data(), key.size());
  Entry* const entry = new (memory) Entry{
      .key_bytes = key_bytes,
      .payload_bytes = key_bytes + key.size(),
      .key_size = static_cast<uint32_t>(key.size()),
      .payload_size = 0,
      .payload_capacity = static_cast<uint32_t>(payload.size()),
  };
  buffer_content_bytes_ += key.size();
  SetPayload(*entry, payload);
  buffer_.insert(at, {probe.head, entry});
  ++generation_;
}

void Overlay::SetPayload(Entry& entry, std::string_view payload) {
  if (payload.size() > entry.payload_capacity) {
    // What was there is waste until the buffer is written out, which the charge hastens.
    entry.payload_bytes = arena_.Allocate(payload.size());
    entry.payload_capacity = static_cast<uint32_t>(payload.size());
  }
  if (!payload.empty()) std::memcpy(entry.payload_bytes, payload.data(), payload.size());
  buffer_content_bytes_ += payload.size();
  buffer_content_bytes_ -= entry.payload_size;
  entry.payload_size = static_cast<uint32_t>(payload.size());
}

void Overlay::UpdateCharge() {
  const size_t bytes = arena_.memory_bytes() + buffer_.size() * kSlotBytes;
  space_.memory_bytes_ += bytes - charged_bytes_;
  charged_bytes_ = bytes;
}

absl::StatusOr<std::optional<std::string>> Overlay::Find(std::string_view key) const {
  const KeyProbe probe(key);
  const auto at = buffer_.lower_bound(probe);
  if (at != buffer_.end() && at->head == probe.head && at->entry->key() == key) {
    return std::string(at->entry->payload());
  }
  std::string payload;
  for (auto run = runs_.rbegin(); run != runs_.rend(); ++run) {
    SOP_ASSIGN_OR_RETURN(const bool found, (*run)->Find(key, &payload));
    if (found) return payload;
  }
  return std::nullopt;
}

uint64_t Overlay::entry_count() const {
  uint64_t count = buffer_.size();
  for (const auto& run : runs_) count += run->entry_count();
  return count;
}

uint64_t Overlay::bytes() const {
  uint64_t bytes = buffer_content_bytes_;
  for (const auto& run : runs_) bytes += run->content_bytes();
  return bytes;
}

size_t Overlay::run_memory_bytes() const {
  size_t bytes = 0;
  for (const auto& run : runs_) bytes += run->memory_bytes();
  return bytes;
}

absl::Status Overlay::Spill() {
  if (!buffer_.empty()) {
    SOP_ASSIGN_OR_RETURN(const auto writer, space_.MakeFile(buffer_.size()));
    for (const auto& slot : buffer_) {
      if (&slot == &*buffer_.begin() && base::HasSeededBug("spill_loses_write")) continue;
      SOP_RETURN_IF_ERROR(writer->Add(slot.entry->key(), slot.entry->payload()));
    }
    SOP_ASSIGN_OR_RETURN(auto run, std::move(*writer).Finish());
    runs_.push_back(std::move(run));
    ClearBuffer();
  }
  return runs_.size() > kMaxRuns ? MergeRuns() : absl::OkStatus();
}

void Overlay::ClearBuffer() {
  buffer_.clear();
  arena_.Clear();
  buffer_content_bytes_ = 0;
  UpdateCharge();
  ++generation_;
}

// Merges the newest runs, and as many older ones as do not exceed what is merged with them by far:
// sizes then grow geometrically towards the oldest, and each entry is rewritten O(log n) times.
size_t Overlay::FirstRunToMerge() const {
  size_t first = runs_.size() - 1;
  uint64_t merged_bytes = runs_.back()->content_bytes();
  while (first > 0 &&
         (runs_.size() - first < 2 || runs_[first - 1]->content_bytes() <= 2 * merged_bytes)) {
    --first;
    merged_bytes += runs_[first]->content_bytes();
  }
  return first;
}

absl::Status Overlay::MergeRuns() {
  const size_t first = FirstRunToMerge();
  uint64_t expected_entries = 0;
  std::vector<SpillCursor> cursors;  // newest first, so that the first of equal keys wins
  for (size_t i = runs_.size(); i-- > first;) {
    expected_entries += runs_[i]->entry_count();
    cursors.emplace_back(*runs_[i]).Seek({});
  }
  SOP_ASSIGN_OR_RETURN(const auto writer, space_.MakeFile(expected_entries));
  while (true) {
    SpillCursor* lowest = nullptr;
    for (SpillCursor& cursor : cursors) {
      SOP_RETURN_IF_ERROR(cursor.status());
      if (!cursor.Valid()) continue;
      if (lowest == nullptr || cursor.key() < lowest->key()) lowest = &cursor;
    }
    if (lowest == nullptr) break;
    SOP_RETURN_IF_ERROR(writer->Add(lowest->key(), lowest->payload()));
    for (SpillCursor& cursor : cursors) {
      if (&cursor != lowest && cursor.Valid() && cursor.key() == lowest->key()) cursor.Next();
    }
    lowest->Next();
  }
  SOP_ASSIGN_OR_RETURN(auto merged, std::move(*writer).Finish());
  runs_.resize(first);
  runs_.push_back(std::move(merged));
  ++generation_;
  return absl::OkStatus();
}

void Overlay::Iterator::Refresh() {
  if (generation_ == overlay_->generation_) return;
  generation_ = overlay_->generation_;
  runs_at_.clear();
  for (auto run = overlay_->runs_.rbegin(); run != overlay_->runs_.rend(); ++run) {
    runs_at_.emplace_back(**run);
  }
}

void Overlay::Iterator::Seek(std::string_view key) {
  Refresh();
  buffer_at_ = overlay_->buffer_.lower_bound(KeyProbe(key));
  buffer_valid_ = buffer_at_ != overlay_->buffer_.end();
  for (SpillCursor& run : runs_at_) run.Seek(key);
  Settle(Direction::kForward);
}

void Overlay::Iterator::SeekBefore(std::string_view key) {
  Refresh();
  buffer_at_ = overlay_->buffer_.lower_bound(KeyProbe(key));
  StepBufferBack();
  for (SpillCursor& run : runs_at_) run.SeekBefore(key);
  Settle(Direction::kBackward);
}

void Overlay::Iterator::SeekToLast() {
  Refresh();
  buffer_at_ = overlay_->buffer_.end();
  StepBufferBack();
  for (SpillCursor& run : runs_at_) run.SeekToLast();
  Settle(Direction::kBackward);
}

void Overlay::Iterator::StepBufferBack() {
  buffer_valid_ = buffer_at_ != overlay_->buffer_.begin();
  if (buffer_valid_) --buffer_at_;
}

void Overlay::Iterator::Next() {
  if (generation_ != overlay_->generation_ || direction_ != Direction::kForward) {
    // The smallest key above this one.
    std::string above = key_;
    above.push_back('\0');
    return Seek(above);
  }
  if (buffer_valid_ && buffer_at_->entry->key() == key_) {
    buffer_valid_ = ++buffer_at_ != overlay_->buffer_.end();
  }
  for (SpillCursor& run : runs_at_) {
    if (run.Valid() && run.key() == key_) run.Next();
  }
  Settle(Direction::kForward);
}

void Overlay::Iterator::Prev() {
  if (generation_ != overlay_->generation_ || direction_ != Direction::kBackward) {
    const std::string below = key_;
    return SeekBefore(below);
  }
  if (buffer_valid_ && buffer_at_->entry->key() == key_) StepBufferBack();
  for (SpillCursor& run : runs_at_) {
    if (run.Valid() && run.key() == key_) run.Prev();
  }
  Settle(Direction::kBackward);
}

// Takes the first entry in `direction` of all that the buffer and the runs stand on, the newest
// of equal keys.
void Overlay::Iterator::Settle(Direction direction) {
  direction_ = direction;
  status_ = absl::OkStatus();
  valid_ = false;
  std::string_view key;
  if (buffer_valid_) {
    valid_ = true;
    key = buffer_at_->entry->key();
    payload_ = buffer_at_->entry->payload();
  }
  for (const SpillCursor& run : runs_at_) {
    if (!run.status().ok()) {
      status_ = run.status();
      valid_ = false;
      return;
    }
    if (!run.Valid()) continue;
    const std::string_view other = run.key();
    if (!valid_ || (direction == Direction::kForward ? other < key : other > key)) {
      valid_ = true;
      key = other;
      payload_ = run.payload();
    }
  }
  if (valid_) key_.assign(key);
}

}  // namespace sop::txn
