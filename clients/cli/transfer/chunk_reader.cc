#include "clients/cli/transfer/chunk_reader.h"

#include <fmt/format.h>

#include <algorithm>
#include <utility>

#include "clients/cli/session/messages.h"
#include "clients/cpp/large_value.h"
#include "core/base/checksum.h"
#include "core/base/error.h"
#include "core/base/status_macros.h"

namespace sop::cli {

namespace {

// A message may have 4 MiB; the store's name and the row of progress go beside the page.
constexpr btree::PageBounds kPageBounds = {.max_items = 65'536, .max_size_bytes = 3 << 20};
constexpr size_t kMessagesSizeBytes = 2 << 20;
constexpr uint64_t kMostMessages = 10'000;
constexpr uint8_t kScalarColumns = btree::PageColumns::kKeys | btree::PageColumns::kValues;

}  // namespace

absl::StatusOr<std::unique_ptr<ChunkReader>> ChunkReader::Open(const ImportPlan& plan,
                                                               OnError on_error, Limits limits,
                                                               std::vector<Done> done) {
  std::unique_ptr<ChunkReader> reader(new ChunkReader(plan, on_error, limits, std::move(done)));
  SOP_RETURN_IF_ERROR(reader->OpenItemsAt(0, 0));
  return reader;
}

absl::Status ChunkReader::Reopen() {
  return OpenItemsAt(lines_->position(), lines_->lines_passed());
}

absl::Status ChunkReader::OpenItemsAt(uint64_t position, uint64_t lines) {
  lines_ = std::make_unique<LineReader>(plan_.input->Rewind());
  SOP_ASSIGN_OR_RETURN(source_, OpenItems(plan_.input->format(), plan_.input->dialect(),
                                          plan_.shape, plan_.keys, *lines_));
  if (position > 0) {
    lines_->GoTo(position, lines);
  }
  const bool records = plan_.keys.schema && plan_.keys.schema->form() == btree::KeyForm::kRecord;
  builder_.emplace(records ? kScalarColumns | btree::PageColumns::kRideOn : kScalarColumns,
                   kPageBounds);
  return absl::OkStatus();
}

absl::StatusOr<std::optional<Chunk>> ChunkReader::Next() { return Take(limits_); }

absl::StatusOr<std::optional<Chunk>> ChunkReader::NextSingle() {
  return Take({.items = 1, .size_bytes = limits_.size_bytes});
}

absl::StatusOr<std::optional<Chunk>> ChunkReader::Take(const Limits& limits) {
  SOP_RETURN_IF_ERROR(stopped_);
  while (PassOverDone()) {
  }
  Chunk chunk;
  chunk.begin = lines_->position();
  chunk_size_bytes_ = 0;
  ascending_ = true;
  while (chunk.items < limits.items && chunk_size_bytes_ < limits.size_bytes && TakeLine(&chunk)) {
  }
  Finish(&chunk);
  if (chunk.items == 0 && chunk.malformed == 0) {
    SOP_RETURN_IF_ERROR(stopped_);
    return std::optional<Chunk>();
  }
  return std::optional<Chunk>(std::move(chunk));
}

bool ChunkReader::PassOverDone() {
  if (next_done_ == done_.size() || lines_->position() < done_[next_done_].begin) {
    return false;
  }
  const Done& done = done_[next_done_++];
  // What is done begins behind the line of the columns.
  lines_->GoTo(std::max(done.end, lines_->position()), done.lines);
  return true;
}

bool ChunkReader::TakeLine(Chunk* chunk) {
  if (next_done_ < done_.size() && lines_->position() >= done_[next_done_].begin) {
    return false;
  }
  const uint64_t position = lines_->position();
  const uint64_t lines = lines_->lines_passed();
  switch (source_->Next(&item_)) {
    case RowOutcome::kEnd:
      return false;
    case RowOutcome::kRow:
      if (Pack(chunk)) {
        return true;
      }
      break;
    case RowOutcome::kMalformed:
      if (TakeMalformed(source_->complaint(), chunk)) {
        return true;
      }
      break;
  }
  lines_->GoTo(position, lines);
  return false;
}

// False if reading stops.
bool ChunkReader::TakeMalformed(std::string complaint, Chunk* chunk) {
  if (on_error_ == OnError::kStop) {
    stopped_ =
        Error(Reason::kInvalidArgument, fmt::format("line {}: {}", source_->line(), complaint),
              {{"line", fmt::format("{}", source_->line())}});
    return false;
  }
  if (++chunk->malformed <= Chunk::kMostTold) {
    chunk->told.push_back({source_->line(), std::move(complaint)});
  }
  return true;
}

bool ChunkReader::Pack(Chunk* chunk) {
  if (item_.value.content.size() > client::kMaxWholeValueBytes) {
    PackLarge(chunk);
    return true;
  }
  if (!plan_.keys.schema) {
    PackMessage(chunk);
    return true;
  }
  const absl::StatusOr<btree::EncodedKey> key = plan_.keys.schema->Encode(item_.key);
  if (!key.ok()) {
    if (ReasonOf(key.status()) == Reason::kFieldUnknown) {
      // A field that rides on and that the store is to learn.
      PackMessage(chunk);
      return true;
    }
    return TakeMalformed(std::string(key.status().message()), chunk);
  }
  if (messages_) {
    ClosePage(chunk);
  }
  btree::PackedItem packed;
  packed.key = key->key;
  packed.ride_on = key->ride_on;
  packed.value = item_.value.content;
  packed.format = item_.value.format;
  if (!builder_->Append(packed)) {
    ClosePage(chunk);
    builder_->Append(packed);
  }
  packing_ = true;
  ++chunk->items;
  chunk_size_bytes_ += key->key.size() + key->ride_on.size() + item_.value.content.size();
  NoteKey(key->key, chunk);
  return true;
}

void ChunkReader::PackLarge(Chunk* chunk) {
  ClosePage(chunk);
  std::string value = std::exchange(item_.value.content, {});
  PackMessage(chunk);
  chunk_size_bytes_ += value.size();
  chunk->pages.back().large_value = std::move(value);
  chunk->has_large = true;
  ClosePage(chunk);
}

void ChunkReader::PackMessage(Chunk* chunk) {
  if (packing_ || (messages_ && chunk->pages.back().items >= kMostMessages)) {
    ClosePage(chunk);
  }
  if (!messages_) {
    chunk->pages.emplace_back();
    messages_ = true;
    messages_size_bytes_ = 0;
  }
  WritePage& page = chunk->pages.back();
  v1::WriteItem* added = page.messages.add_items();
  KeyToProto(item_.key, added->mutable_key());
  ValueToProto(item_.value, added->mutable_value());
  ++page.items;
  ++chunk->items;
  chunk->keys_known = false;
  const size_t size_bytes = added->ByteSizeLong();
  chunk_size_bytes_ += size_bytes;
  messages_size_bytes_ += size_bytes;
  if (messages_size_bytes_ >= kMessagesSizeBytes) {
    ClosePage(chunk);
  }
}

void ChunkReader::ClosePage(Chunk* chunk) {
  if (packing_) {
    WritePage& page = chunk->pages.emplace_back();
    page.items = builder_->count();
    page.packed = builder_->Finish();
  }
  packing_ = messages_ = false;
}

void ChunkReader::NoteKey(const std::string& key, Chunk* chunk) {
  // A chunk that begins above all keys so far and ascends needs no hashes.
  ascending_ = ascending_ && key > greatest_key_;
  hashes_.push_back(base::Checksum64(key));
  if (key > greatest_key_) {
    greatest_key_ = key;
  }
  if (hashes_.size() == 1 || key < chunk->least_key) {
    chunk->least_key = key;
  }
  if (key > chunk->greatest_key) {
    chunk->greatest_key = key;
  }
}

void ChunkReader::Finish(Chunk* chunk) {
  ClosePage(chunk);
  if (!ascending_) {
    std::sort(hashes_.begin(), hashes_.end());
    chunk->key_hashes = std::exchange(hashes_, {});
  }
  hashes_.clear();
  chunk->end = lines_->position();
  chunk->lines = lines_->lines_passed();
  chunk->is_last = chunk->end >= plan_.input->size_bytes();
  chunk->digest = plan_.input->DigestBefore(chunk->end);
}

}  // namespace sop::cli
