#pragma once

#include <atomic>
#include <deque>
#include <memory>
#include <string>
#include <utility>

#include "absl/functional/any_invocable.h"
#include "absl/status/status.h"
#include "absl/time/time.h"
#include "core/base/clock.h"
#include "core/base/ids.h"
#include "core/base/mutex.h"
#include "core/base/thread_pool.h"
#include "core/catalog/store_set.h"
#include "core/txn/transaction.h"
#include "server/session/open_database.h"

namespace sop::session {

// How long a transaction may stay open.
struct TransactionTerms {
  absl::Duration idle_limit = absl::Seconds(60);
  absl::Duration max_duration = absl::Minutes(15);
};

// How a transaction came to its end.
struct TransactionEnd {
  enum class Kind {
    kCommitted,
    kRolledBack,
    // The commit was refused with `status`: nothing happened.
    kAborted,
    // The commit's fate is unknown until the database is opened again: its log failed with
    // `status`.
    kUnknown,
    kExpired,
    // Its database was deleted.
    kLost,
  };
  Kind kind = Kind::kRolledBack;
  // kCommitted only.
  Sequence version;
  // kAborted, kUnknown and kExpired only.
  absl::Status status;
};

// What a request gets that comes to a transaction after its end: ABORTED / TRANSACTION_EXPIRED or
// TRANSACTION_LOST, FAILED_PRECONDITION / OUTCOME_UNKNOWN, otherwise TRANSACTION_ENDED.
absl::Status EndedStatus(TransactionId id, const TransactionEnd& end);

class OpenTransaction;

// The right to use a transaction, one request at a time; the next one's turn comes when this is
// destroyed. Confined to its owner.
class Turn {
 public:
  explicit Turn(std::shared_ptr<OpenTransaction> transaction)
      : transaction_(std::move(transaction)) {}
  ~Turn();
  Turn(Turn&& other) = default;
  Turn& operator=(Turn&& other) = delete;

  OpenTransaction& operator*() const { return *transaction_; }
  OpenTransaction* operator->() const { return transaction_.get(); }

 private:
  std::shared_ptr<OpenTransaction> transaction_;
};

// A transaction that a client holds open: its stores, whose turn it is, and since when.
//
// Invariants:
// 1. At most one Turn exists; tasks get theirs in the order of WhenFree.
// 2. The stores are there until End, and used by the holder of the Turn only.
//
// Thread-safe.
class OpenTransaction : public std::enable_shared_from_this<OpenTransaction> {
 public:
  struct Parts {
    // Keeps the database open.
    std::shared_ptr<OpenDatabase> database;
    TransactionTerms terms;
    // Both must outlive this.
    base::Clock* clock = nullptr;
    base::ThreadPool* workers = nullptr;
  };
  OpenTransaction(std::unique_ptr<catalog::StoreSet> stores, Parts parts);

  TransactionId id() const { return id_; }
  txn::Mode mode() const { return mode_; }
  txn::Isolation isolation() const { return isolation_; }
  Sequence read_version() const { return read_version_; }
  absl::Time begin_time() const { return begin_time_; }
  OpenDatabase& database() const { return *parts_.database; }
  const std::shared_ptr<OpenDatabase>& shared_database() const { return parts_.database; }
  // A request of its stream failed, so that it can only be rolled back. Whoever refuses what
  // follows knows by itself; this is for those who look at it.
  void SetPoisoned() { poisoned_.store(true, std::memory_order_relaxed); }
  bool poisoned() const { return poisoned_.load(std::memory_order_relaxed); }
  absl::Duration Remaining() const;
  absl::Duration RemainingIdle() const SOP_EXCLUDES(mu_);

  // Calls `task` with the turn: on this thread if nobody has it, otherwise on a worker once all
  // that came before are done.
  void WhenFree(absl::AnyInvocable<void(Turn)> task) SOP_EXCLUDES(mu_);

  // A request of it is being received: it is not idle.
  void Touch() SOP_EXCLUDES(mu_);

  // For the holder of the Turn. What EndedStatus says after the end, and TRANSACTION_EXPIRED, which
  // ends it, if its time is over.
  absl::Status CheckOpen() SOP_EXCLUDES(mu_);
  // REQUIRES: the Turn, and CheckOpen was OK.
  catalog::StoreSet& stores() { return *stores_; }
  // Gives the stores away, for Commit. REQUIRES: as stores(), and End follows.
  std::unique_ptr<catalog::StoreSet> TakeStores() { return std::move(stores_); }

  // Ends it; only the first end counts. REQUIRES: the Turn.
  void End(TransactionEnd end) SOP_EXCLUDES(mu_);
  // Ends it as expired if its time is over and nobody has the turn. True if it has ended by now.
  bool ExpireIfIdle() SOP_EXCLUDES(mu_);
  bool ended() const SOP_EXCLUDES(mu_);
  TransactionEnd end() const SOP_EXCLUDES(mu_);

 private:
  friend class Turn;
  void PassTurn() SOP_EXCLUDES(mu_);
  absl::Status OverdueLocked() const SOP_REQUIRES(mu_);

  // Constant after construction.
  const Parts parts_;
  const TransactionId id_;
  const txn::Mode mode_;
  const txn::Isolation isolation_;
  const Sequence read_version_;
  const absl::Time begin_time_;
  const absl::Duration began_;

  std::atomic<bool> poisoned_ = false;

  // Belongs to the holder of the Turn, or to whoever ended it under `mu_` while there was none.
  std::unique_ptr<catalog::StoreSet> stores_;

  mutable base::Mutex mu_;
  bool busy_ SOP_GUARDED_BY(mu_) = false;
  bool ended_ SOP_GUARDED_BY(mu_) = false;
  TransactionEnd end_ SOP_GUARDED_BY(mu_);
  absl::Duration last_used_ SOP_GUARDED_BY(mu_);
  std::deque<absl::AnyInvocable<void(Turn)>> waiting_ SOP_GUARDED_BY(mu_);
};

}  // namespace sop::session
