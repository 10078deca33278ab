#pragma once

#include <array>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>

#include "absl/functional/any_invocable.h"
#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "core/base/clock.h"
#include "core/base/file_system.h"
#include "core/base/random.h"
#include "core/base/thread_pool.h"
#include "core/persistence/storage.h"
#include "core/txn/commit/commit_stages.h"
#include "core/txn/commit/outcome.h"
#include "core/txn/feed/feed_bell.h"
#include "core/txn/feed/feed_row.h"
#include "core/txn/limits.h"
#include "core/txn/transaction.h"

namespace sop::txn {

class Committer;

struct EngineOptions {
  base::Clock* clock = nullptr;
  base::Random* random = nullptr;
  base::FileSystem* files = nullptr;
  // Commits are tasks of this pool: two at a time for each database, one of which may block in
  // fsync.
  base::ThreadPool* pool = nullptr;
  // Large transactions are staged here, one at a time for each database, for seconds. Null: `pool`.
  base::ThreadPool* staging_pool = nullptr;
  std::shared_ptr<CacheBudget> cache;
  // What transactions and commits hold is charged here; null: bounded by `limits` only.
  std::shared_ptr<base::MemoryBudget> memory;
  // What conflict windows hold, those of all databases that share it together; null: bounded by
  // `limits` only.
  std::shared_ptr<base::MemoryBudget> windows;
  std::string spill_folder;
  // Tells transaction ids of this run of the daemon from those of others; 30 bits are used.
  uint32_t incarnation = 0;
  Limits limits;
  btree::NodeLimits nodes;
  // Groups between foldings of count records into inner nodes.
  uint64_t groups_between_folds = 4096;
};

// Whose thread builds and writes a commit while no other is under way; else the pool does.
enum class CommitTurn : uint8_t {
  kPool,
  kCaller,  // spares two hand-offs; the caller then blocks in fsync
};

struct CommitOptions {
  persistence::Durability durability = persistence::Durability::kSynced;
  CommitTurn turn = CommitTurn::kPool;
  // Under which the outcome is kept, so that a repetition finds it; absent: not kept.
  std::optional<Uuid> token;
  // Given back to repetitions of `token`; opaque.
  std::string reply;
};

struct CommitResult {
  absl::Status status;
  // The commit's place in the order (OK), else 0. For an empty transaction its read version.
  Sequence version;
  // OK only: `token` had committed before, or was about to; this is that commit's `reply`.
  std::optional<std::string> earlier_reply;
  CommitTimes times = {};
};

// Transactions over one Storage: snapshots, node cache, group committer, outcomes. The storage must
// outlive the engine, and nobody else may append to its log except another committer of the same
// cluster. Thread-safe.
class Engine {
 public:
  // Reads the count records, removes leftover spill files.
  static absl::StatusOr<std::unique_ptr<Engine>> Open(persistence::Storage& storage,
                                                      const EngineOptions& options);
  // Waits for commits in flight; transactions must be gone before.
  ~Engine();

  // A transaction on the newest commit acknowledged.
  std::shared_ptr<Transaction> Begin(const TransactionOptions& options);

  // Begins a large value for an item of `tree`. Gone before the engine is. kDiskFull, UNAVAILABLE.
  absl::StatusOr<std::unique_ptr<StagedValue>> StageValue(TreeId tree);

  // Commits; `done` is called once, on a pool thread (in this call for a transaction that wrote
  // nothing or if CommitTurn::kCaller took its turn), never with a lock held. OK: everything is on
  // stable storage (kSynced) and visible to every later Begin. ABORTED: nothing happened, run it
  // again. kDiskFull, and kOverloaded (too many wait): nothing happened. UNAVAILABLE: the log
  // failed; whether this commit survived is unknown until the database is opened again, and
  // FindOutcome tells then. A second call with the same token joins the first. The transaction may
  // not be used after the call.
  void Commit(std::shared_ptr<Transaction> transaction, CommitOptions options,
              absl::AnyInvocable<void(CommitResult)> done);

  // Commit that waits, taking the turn itself if it can.
  CommitResult CommitAndWait(std::shared_ptr<Transaction> transaction, CommitOptions options = {});

  // What became of `token`: its outcome if it is published, nothing if it is in flight or not
  // known. Nothing means that no transaction that began before the call sees what `token` did.
  // OUTCOME_UNKNOWN (FAILED_PRECONDITION) for a token older than what is kept.
  absl::StatusOr<std::optional<Outcome>> FindOutcome(const Uuid& token);

  // The newest commit that Begin would see.
  Sequence published() const;

  // UNAVAILABLE after the log failed.
  absl::Status health() const;

  // Folds count records into their nodes, so that the next opening is quick. Waits. UNAVAILABLE,
  // DATA_LOSS or kDiskFull: they stay, and counts stay exact.
  absl::Status Fold();

  // --- Feeds: changes of trees with TreeOptions::feed, in commit order; see ReadFeed ---

  // Changes of this commit and of earlier ones are not kept.
  Sequence feed_floor() const;
  // POSITION_NOT_KEPT if what is behind `position` was trimmed, or it is ahead of every commit.
  // Asked after reading, it also tells whether what was read is whole.
  absl::Status CheckFeedPosition(const FeedPosition& position) const;
  FeedBell& feed_bell();

  TransactionId MakeTransactionId();
  static constexpr int kIncarnationBits = 30;
  // EngineOptions::incarnation of the run that made the id.
  static uint32_t IncarnationOf(const TransactionId& id) {
    return static_cast<uint32_t>(id.low >> 32) & ((uint32_t{1} << kIncarnationBits) - 1);
  }
  const Limits& limits() const { return options_.limits; }
  base::Clock& clock() const { return *options_.clock; }

  struct Statistics {
    uint64_t commits = 0;
    uint64_t aborts = 0;
    uint64_t groups = 0;
    uint64_t staged = 0;  // groups that were one large transaction, staged before its turn
    uint64_t merge_deltas = 0;
    uint64_t whole_images = 0;
    uint64_t count_records = 0;
    uint64_t feed_bytes = 0;  // of changes that are kept
    uint64_t queued = 0;
    uint64_t snapshots = 0;          // held, the newest included
    absl::Duration oldest_snapshot;  // its age
    uint64_t count_entries = 0;
    int64_t cache_bytes = 0;
    NodeCache::Counters cache;
    std::array<base::DurationHistogram::Counts, kCommitStages> stages = {};
  };
  Statistics statistics() const;

 private:
  Engine(persistence::Storage& storage, const EngineOptions& options);

  const EngineOptions options_;
  persistence::Storage& storage_;
  std::unique_ptr<Committer> committer_;
};

}  // namespace sop::txn
