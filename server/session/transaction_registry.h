#pragma once

#include <cstdint>
#include <deque>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string_view>
#include <vector>

#include "absl/container/flat_hash_map.h"
#include "absl/status/statusor.h"
#include "core/base/clock.h"
#include "core/base/mutex.h"
#include "core/base/thread_pool.h"
#include "server/session/open_transaction.h"

namespace sop::session {

// The transactions that clients hold open, and how those ended that they held lately. Sweep must be
// called often enough: it ends what nobody uses. Thread-safe.
class TransactionRegistry {
 public:
  struct Options {
    int64_t max_open = 10'000;
    // Ends remembered, so that a late request learns what happened.
    size_t max_ends = 100'000;
    // Whether an id was made by this run of the server.
    std::function<bool(TransactionId)> is_ours;
    // All must outlive this.
    base::Clock* clock = nullptr;
    base::ThreadPool* workers = nullptr;
    observe::Metrics* metrics = nullptr;
  };
  explicit TransactionRegistry(Options options) : options_(std::move(options)) {}
  ~TransactionRegistry();
  TransactionRegistry(const TransactionRegistry&) = delete;
  TransactionRegistry& operator=(const TransactionRegistry&) = delete;

  // LIMIT_EXCEEDED if no more may be open. To be asked before a transaction is begun.
  absl::Status CheckRoom() SOP_EXCLUDES(mu_);
  // Takes a transaction in.
  std::shared_ptr<OpenTransaction> Add(std::unique_ptr<catalog::StoreSet> stores,
                                       std::shared_ptr<OpenDatabase> database,
                                       const TransactionTerms& terms) SOP_EXCLUDES(mu_);

  // The open transaction of that id. EndedStatus if it has ended, TRANSACTION_LOST if it is of an
  // earlier run of the server, TRANSACTION_NOT_FOUND if it is unknown, INVALID_ARGUMENT for the
  // zero id or another database.
  absl::StatusOr<std::shared_ptr<OpenTransaction>> Find(TransactionId id, std::string_view database)
      SOP_EXCLUDES(mu_);
  // How it ended, if that is remembered.
  std::optional<TransactionEnd> FindEnd(TransactionId id) SOP_EXCLUDES(mu_);

  // Forgets a transaction that has ended but for its end. REQUIRES: transaction.ended().
  void Remove(const OpenTransaction& transaction) SOP_EXCLUDES(mu_);

  // Rolls the transaction back once its turn is free, if it is open then.
  void RollBack(TransactionId id) SOP_EXCLUDES(mu_);

  // At most `limit` open transactions of the database, behind `after`, by id.
  std::vector<std::shared_ptr<OpenTransaction>> List(std::string_view database, TransactionId after,
                                                     size_t limit) SOP_EXCLUDES(mu_);

  // Ends those whose time is over and that nobody uses.
  void Sweep() SOP_EXCLUDES(mu_);
  // Ends every transaction of the database, or of all databases, once its turn is free.
  void EndAll(std::optional<std::string_view> database) SOP_EXCLUDES(mu_);

 private:
  std::vector<std::shared_ptr<OpenTransaction>> All() SOP_EXCLUDES(mu_);

  const Options options_;

  base::Mutex mu_;
  // Ordered by id, which is by time.
  std::map<TransactionId, std::shared_ptr<OpenTransaction>> open_ SOP_GUARDED_BY(mu_);
  absl::flat_hash_map<TransactionId, TransactionEnd> ends_ SOP_GUARDED_BY(mu_);
  // The keys of ends_, oldest first.
  std::deque<TransactionId> end_order_ SOP_GUARDED_BY(mu_);
};

}  // namespace sop::session
