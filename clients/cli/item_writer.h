#pragma once

#include <cstdint>
#include <future>
#include <optional>
#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "clients/cli/session/session.h"
#include "clients/cli/text/item_source.h"
#include "clients/cli/text/key_text.h"

namespace sop::cli {

// What becomes of an item whose key is there already.
enum class ExistingItems { kReplace, kKeep, kFail, kDuplicate };

// How many items had which outcome.
struct WriteTally {
  uint64_t added = 0;
  uint64_t replaced = 0;
  uint64_t already_there = 0;

  uint64_t total() const { return added + replaced + already_there; }
};

// Writes items in batches that fit into a message, one batch under way while the next is filled.
// Outside a transaction every batch is one, and is sent again with the same `request_id` when the
// answer was lost. Confined to its owner.
class ItemWriter {
 public:
  struct Options {
    std::string store;
    // Empty: every batch is its own transaction.
    std::string transaction_id;
    ExistingItems existing = ExistingItems::kReplace;
    // Most items in a batch.
    uint64_t batch_items = 5000;
  };

  // `session` must outlive this. Keys are encoded here if `keys` has a schema.
  ItemWriter(Session& session, StoreKeys keys, Options options)
      : session_(session), keys_(std::move(keys)), options_(std::move(options)) {}
  ~ItemWriter();
  ItemWriter(const ItemWriter&) = delete;
  ItemWriter& operator=(const ItemWriter&) = delete;

  // Any error of this or an earlier batch; nothing can be written after one.
  absl::Status Write(const ImportItem& item);
  // Waits for the last batch.
  absl::Status Finish();

  // Of the batches that were acknowledged.
  const WriteTally& tally() const { return tally_; }
  const std::string& commit_version() const { return commit_version_; }

 private:
  struct Answer {
    std::string commit_version;
    v1::WriteReport report;
  };

  absl::Status SendBatch();
  absl::Status AwaitBatch();
  absl::StatusOr<Answer> SendWithRetries(v1::UpsertRequest batch);
  absl::StatusOr<Answer> SendOnce(const v1::UpsertRequest& batch);

  Session& session_;
  const StoreKeys keys_;
  const Options options_;
  // All four calls have requests of the same shape; this one stands for them.
  v1::UpsertRequest batch_;
  size_t batch_size_bytes_ = 0;
  std::future<absl::StatusOr<Answer>> under_way_;
  WriteTally tally_;
  std::string commit_version_;
};

}  // namespace sop::cli
