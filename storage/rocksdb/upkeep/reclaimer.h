#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include <rocksdb/options.h>

#include "absl/status/status.h"
#include "core/base/ids.h"
#include "core/base/mutex.h"
#include "core/persistence/record.h"
#include "storage/rocksdb/rocksdb_tuning.h"

namespace sop::rocksdb_storage {

class OpenDatabase;

// The row in `meta` that says that a dropped tree's space has not been given back; it is written
// with the record that drops the tree.
std::string DroppedTreeKey(TreeId tree);

// Gives back the space of dropped trees and of freed values once no snapshot can see them.
//
// 1. Files are dropped whole only for trees and values that no snapshot sees: dropping them heeds
//    none.
// 2. Which trees are pending survives the process, as rows. Of values it is only how fast their
//    space comes back.
// Thread-safe.
class Reclaimer {
 public:
  // `database` must outlive this.
  explicit Reclaimer(OpenDatabase& database) : database_(database) {}

  // Reads what earlier processes left. Call once, first.
  absl::Status Start() SOP_EXCLUDES(mu_);

  // A record that dropped `trees` and changed `values` was written.
  void Written(std::span<const TreeId> trees, std::span<const persistence::ValueChange> values)
      SOP_EXCLUDES(mu_);

  // A record removed all rows of the feed below the key `end`. Whoever still reads them through a
  // snapshot finds out that they were trimmed.
  void FeedTrimmed(std::string end) SOP_EXCLUDES(mu_);

  // Whether Run would find something that no snapshot sees. Never blocks on I/O.
  bool HasWork() const SOP_EXCLUDES(mu_);

  // Reclaims what can be reclaimed; one call at a time does, others return at once. Takes as long
  // as the compaction of what is dropped. UNAVAILABLE, kDamaged: it is tried again after the next
  // opening.
  absl::Status Run() SOP_EXCLUDES(mu_, running_);

  uint64_t pending_trees() const SOP_EXCLUDES(mu_);
  uint64_t reclaimed_trees() const SOP_EXCLUDES(mu_);

 private:
  struct Dropped {
    TreeId tree;
    uint64_t at = 0;  // RocksDB's sequence after the record
  };

  // Pieces of a value that was staged, and so has files of its own.
  struct FreedPieces {
    TreeId tree;
    Serial first;
    Serial last;
    uint64_t at = 0;
  };

  uint64_t OldestSnapshot() const;
  // Those that no snapshot sees any more.
  std::vector<Dropped> TakeUnseen() SOP_EXCLUDES(mu_);
  absl::Status Reclaim(TreeId tree);
  absl::Status DropFilesOfValues() SOP_EXCLUDES(mu_);
  // To be called before files are dropped, once it is known which.
  absl::Status SyncLog();
  absl::Status CompactValues() SOP_EXCLUDES(mu_);
  absl::Status DropFeedFiles() SOP_EXCLUDES(mu_);
  absl::Status Compact(const rocksdb::CompactRangeOptions& options, Family family,
                       const rocksdb::Slice* begin, const rocksdb::Slice* end);
  uint64_t Property(Family family, const std::string& name) const;

  OpenDatabase& database_;
  base::Mutex running_;
  mutable base::Mutex mu_;
  std::vector<Dropped> pending_ SOP_GUARDED_BY(mu_);
  uint64_t reclaimed_ SOP_GUARDED_BY(mu_) = 0;
  std::vector<FreedPieces> freed_pieces_ SOP_GUARDED_BY(mu_);
  // Of the others, and one for each of those.
  uint64_t freed_values_ SOP_GUARDED_BY(mu_) = 0;
  uint64_t freed_at_ SOP_GUARDED_BY(mu_) = 0;
  std::string feed_trimmed_ SOP_GUARDED_BY(mu_);  // not yet dropped; empty: nothing
};

}  // namespace sop::rocksdb_storage
