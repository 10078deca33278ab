#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "clients/cli/text/line_reader.h"
#include "clients/cli/transfer/chunk.h"
#include "clients/cli/transfer/import_plan.h"
#include "core/btree/packed_page.h"

namespace sop::cli {

// Cuts the input into chunks of items, encoded and packed, leaving out pieces that are written
// already. The same input and limits give the same chunks, wherever reading begins. Confined to one
// thread at a time.
class ChunkReader {
 public:
  enum class OnError { kStop, kSkip };

  struct Limits {
    // Of a chunk.
    uint64_t items = 100'000;
    size_t size_bytes = 8 << 20;
  };

  // Bytes [begin, end) of the input that are not to be read; `lines` are those before `end`.
  struct Done {
    uint64_t begin = 0;
    uint64_t end = 0;
    uint64_t lines = 0;
  };

  // `plan` must outlive the result. `done` is ascending and does not overlap. INVALID_ARGUMENT if
  // the input has not the columns it should have.
  static absl::StatusOr<std::unique_ptr<ChunkReader>> Open(const ImportPlan& plan, OnError on_error,
                                                           Limits limits, std::vector<Done> done);

  // The next chunk, with one item or malformed line at least; nothing at the end. A chunk ends
  // before a malformed line if reading stops there, and the line is the error of the next call: it
  // is named in details `line`.
  absl::StatusOr<std::optional<Chunk>> Next();
  // The same with a single item, as messages: from it the store learns the types of its keys.
  absl::StatusOr<std::optional<Chunk>> NextSingle();

  // Keys have become known: from now on they are encoded. The errors of Open.
  absl::Status Reopen();

 private:
  ChunkReader(const ImportPlan& plan, OnError on_error, Limits limits, std::vector<Done> done)
      : plan_(plan), on_error_(on_error), limits_(limits), done_(std::move(done)) {}

  absl::Status OpenItemsAt(uint64_t position, uint64_t lines);
  absl::StatusOr<std::optional<Chunk>> Take(const Limits& limits);
  bool PassOverDone();
  // False when the input or the way to the next piece that is done has ended.
  bool TakeLine(Chunk* chunk);
  bool TakeMalformed(std::string complaint, Chunk* chunk);
  bool Pack(Chunk* chunk);
  void PackMessage(Chunk* chunk);
  // As a page of its own.
  void PackLarge(Chunk* chunk);
  void ClosePage(Chunk* chunk);
  void NoteKey(const std::string& key, Chunk* chunk);
  void Finish(Chunk* chunk);

  const ImportPlan& plan_;
  const OnError on_error_;
  const Limits limits_;
  const std::vector<Done> done_;
  size_t next_done_ = 0;
  std::unique_ptr<LineReader> lines_;
  std::unique_ptr<ItemSource> source_;
  ImportItem item_;
  // The page that is being filled: packed, or the last of the chunk's if it holds messages.
  std::optional<btree::PackedPageBuilder> builder_;
  bool packing_ = false;
  bool messages_ = false;
  size_t messages_size_bytes_ = 0;
  // Above all keys so far; the chunk has only such as long as it is ascending.
  std::string greatest_key_;
  bool ascending_ = true;
  std::vector<uint64_t> hashes_;
  size_t chunk_size_bytes_ = 0;
  // Why reading has stopped.
  absl::Status stopped_;
};

}  // namespace sop::cli
