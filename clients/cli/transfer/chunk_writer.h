#pragma once

#include <cstdint>
#include <future>
#include <list>
#include <memory>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "clients/cli/session/session.h"
#include "clients/cli/transfer/chunk.h"
#include "clients/cli/transfer/import_progress.h"

namespace sop::cli {

// What becomes of an item whose key is there already.
enum class ExistingItems { kReplace, kKeep, kFail, kDuplicate };

// How many items had which outcome.
struct WriteTally {
  uint64_t added = 0;
  uint64_t replaced = 0;
  uint64_t already_there = 0;
  // Written before by a try whose answer was lost, which is known from the row of progress alone.
  uint64_t by_earlier_try = 0;

  uint64_t total() const { return added + replaced + already_there + by_earlier_try; }
};

// Writes chunks, each in a transaction of its own together with its row of progress, several at
// once; chunks that may share a key one after the other. A chunk whose answer was lost is written
// again, and exactly once if it has a row. Or all in one transaction, one request after the other.
// Confined to its owner.
class ChunkWriter {
 public:
  struct Options {
    std::string store;
    // Empty: every chunk is a transaction of its own.
    std::string transaction_id;
    ExistingItems existing = ExistingItems::kReplace;
    // Chunks under way.
    size_t most_under_way = 4;
  };

  // `session` must outlive this.
  ChunkWriter(Session& session, Options options)
      : session_(session), options_(std::move(options)) {}
  ~ChunkWriter();
  ChunkWriter(const ChunkWriter&) = delete;
  ChunkWriter& operator=(const ChunkWriter&) = delete;

  // The chunk leaves its row with `progress` (which must outlive this) unless that is null. Any
  // error of this or an earlier chunk; nothing can be written after one.
  absl::Status Write(Chunk chunk, const ImportProgress* progress);
  // Waits for all chunks.
  absl::Status Finish();

  // Of the chunks that were acknowledged.
  const WriteTally& tally() const { return tally_; }
  const std::string& commit_version() const { return commit_version_; }

 private:
  struct Answer {
    std::string commit_version;
    WriteTally tally;
  };
  // A chunk, and where its row goes if it leaves one.
  struct Writing {
    Chunk chunk;
    const ImportProgress* progress = nullptr;
  };
  struct UnderWay {
    std::unique_ptr<const Writing> writing;
    std::future<absl::StatusOr<Answer>> answer;
  };

  absl::Status Await(std::list<UnderWay>::iterator under_way);
  bool MustWaitFor(const Chunk& before, const Chunk& chunk) const;
  absl::StatusOr<Answer> WriteWithRetries(const Writing& writing) const;
  absl::StatusOr<Answer> WriteOnce(const Writing& writing, const std::string& request_id) const;
  absl::StatusOr<Answer> WriteInOneCall(const Writing& writing,
                                        const std::string& request_id) const;
  absl::StatusOr<Answer> WriteInTransaction(const Writing& writing) const;
  absl::Status WritePages(const Chunk& chunk, const std::string& transaction_id,
                          WriteTally* tally) const;
  v1::Operation OperationOf(const WritePage& page) const;
  // Of a page with a large value.
  v1::PutValueRequest HeaderOf(const WritePage& page, const std::string& transaction_id) const;

  Session& session_;
  const Options options_;
  std::list<UnderWay> under_way_;
  WriteTally tally_;
  std::string commit_version_;
};

}  // namespace sop::cli
