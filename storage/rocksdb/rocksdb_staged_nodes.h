#pragma once

#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/status.h"
#include "core/base/file_system.h"
#include "core/persistence/storage.h"
#include "storage/rocksdb/open_database.h"

namespace rocksdb {
class SstFileWriter;
}  // namespace rocksdb

namespace sop::rocksdb_storage {

// Keys [first, last] of one family that staging put there.
struct StagedRange {
  Family family = Family::kNodes;
  std::string first;
  std::string last;
};

// The row that names them while no record does (docs/formats/folder.md).
std::string PendingKey(uint64_t id);
std::string EncodePending(const std::vector<StagedRange>& ranges);
// kDamaged: not what EncodePending makes.
absl::StatusOr<std::vector<StagedRange>> DecodePending(std::string_view bytes);

// The row that says which numbers staged nodes never had: those from there on.
inline constexpr std::string_view kStagedEndKey{"\0staged", 7};
std::string EncodeStagedEnd(uint64_t end);
// 1 in a database where none were staged. kDamaged, UNAVAILABLE.
absl::StatusOr<uint64_t> ReadStagedEnd(const OpenDatabase& database);

// Gives up what earlier runs staged and no record took. Before the first record. UNAVAILABLE,
// kDamaged.
absl::Status SweepPending(const OpenDatabase& database);

// Staged nodes as RocksDB files, written beside the database and ingested when they are sealed, to
// where compaction would have brought them. Their keys are of numbers that nobody else gets, so
// nothing in memory or on disk lies between them: ingestion waits for no flush.
//
// Order of steps: files, synced; the pending row, synced; ingestion, synced; the record, which
// removes the row. A crash before the record leaves the row, and the next start removes the keys.
// ReadNode and ReadValue, after Seal, may be called by any thread; all else: Confined to the
// staging task.
class RocksDbStagedNodes : public persistence::StagedNodes {
 public:
  // Asked for bytes before they are written. kDiskFull.
  using ClaimSpace = std::function<absl::Status(uint64_t bytes)>;

  // `folder` is this object's own. `id` was never used before.
  RocksDbStagedNodes(std::shared_ptr<OpenDatabase> database, base::FileSystem& files,
                     ClaimSpace claim, std::string folder, uint64_t id);
  // Removes what no record took.
  ~RocksDbStagedNodes() override;
  RocksDbStagedNodes(const RocksDbStagedNodes&) = delete;
  RocksDbStagedNodes& operator=(const RocksDbStagedNodes&) = delete;

  uint64_t id() const override { return id_; }
  absl::Status PutNode(TreeId tree, NodeId node, std::string_view image) override;
  absl::Status PutValue(TreeId tree, Serial value_id, std::string_view value) override;
  absl::Status Seal() override;
  absl::StatusOr<std::optional<std::string>> ReadNode(TreeId tree, NodeId node) const override;
  absl::StatusOr<std::optional<std::string>> ReadValue(TreeId tree, Serial value_id) const override;

 private:
  struct Output {
    std::unique_ptr<rocksdb::SstFileWriter> writer;
    std::vector<std::string> files;
    std::vector<StagedRange> ranges;  // one for each tree
    uint64_t bytes_in_file = 0;
  };

  absl::Status Put(Family family, std::string key, std::string_view value);
  absl::Status OpenFile(Family family, Output* output);
  absl::Status EndFile(Output* output);
  absl::Status Ingest();

  const std::shared_ptr<OpenDatabase> database_;
  base::FileSystem& files_;
  const ClaimSpace claim_;
  const std::string folder_;
  const uint64_t id_;
  bool folder_made_ = false;
  bool sealed_ = false;
  bool row_written_ = false;
  Output nodes_;
  Output values_;
  std::vector<StagedRange> ranges_;  // of both, once sealed
  uint64_t claimed_bytes_ = 0;
};

}  // namespace sop::rocksdb_storage
