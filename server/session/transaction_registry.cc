#include "server/session/transaction_registry.h"

#include <utility>

#include "core/base/bytes.h"
#include "core/base/error.h"
#include "fmt/format.h"

namespace sop::session {

TransactionRegistry::~TransactionRegistry() { EndAll(std::nullopt); }

absl::Status TransactionRegistry::CheckRoom() {
  base::MutexLock lock(mu_);
  if (std::cmp_less(open_.size(), options_.max_open)) return absl::OkStatus();
  return Error(Reason::kLimitExceeded,
               fmt::format("{} transactions are open, limit {}", open_.size(), options_.max_open),
               {{"limit", fmt::format("{}", options_.max_open)}});
}

std::shared_ptr<OpenTransaction> TransactionRegistry::Add(std::unique_ptr<catalog::StoreSet> stores,
                                                          std::shared_ptr<OpenDatabase> database,
                                                          const TransactionTerms& terms) {
  database->metrics.open_transactions->Increment();
  auto transaction = std::make_shared<OpenTransaction>(
      std::move(stores), OpenTransaction::Parts{.database = std::move(database),
                                                .terms = terms,
                                                .clock = options_.clock,
                                                .workers = options_.workers});
  base::MutexLock lock(mu_);
  open_.emplace(transaction->id(), transaction);
  return transaction;
}

absl::StatusOr<std::shared_ptr<OpenTransaction>> TransactionRegistry::Find(
    TransactionId id, std::string_view database) {
  if (id.IsZero()) {
    return Error(Reason::kInvalidArgument, "transaction_id is required",
                 {{"field", "transaction_id"}});
  }
  const ErrorDetails details = {{"transaction", id.ToString()}};
  base::MutexLock lock(mu_);
  const auto open = open_.find(id);
  if (open != open_.end()) {
    const std::string& own = open->second->database().name;
    if (own == (database.empty() ? "default" : database)) return open->second;
    return Error(Reason::kInvalidArgument,
                 fmt::format("transaction {} is of database {}, not of {}", id.ToString(),
                             base::Printable(own), base::Printable(database)),
                 details);
  }
  const auto end = ends_.find(id);
  if (end != ends_.end()) return EndedStatus(id, end->second);
  if (options_.is_ours(id)) {
    return Error(Reason::kTransactionNotFound,
                 fmt::format("transaction {} is not known", id.ToString()), details);
  }
  return Error(Reason::kTransactionLost,
               fmt::format("transaction {} is of an earlier run of the server", id.ToString()),
               details);
}

std::optional<TransactionEnd> TransactionRegistry::FindEnd(TransactionId id) {
  base::MutexLock lock(mu_);
  const auto end = ends_.find(id);
  if (end == ends_.end()) return std::nullopt;
  return end->second;
}

void TransactionRegistry::Remove(const OpenTransaction& transaction) {
  TransactionEnd end = transaction.end();
  const TransactionId id = transaction.id();
  if (end.kind == TransactionEnd::Kind::kExpired) {
    options_.metrics->expired_transactions().Increment();
  }
  // Destroyed outside the lock.
  std::shared_ptr<OpenTransaction> removed;
  base::MutexLock lock(mu_);
  const auto open = open_.find(id);
  if (open == open_.end()) return;
  removed = std::move(open->second);
  open_.erase(open);
  removed->database().metrics.open_transactions->Decrement();
  ends_[id] = std::move(end);
  end_order_.push_back(id);
  while (end_order_.size() > options_.max_ends) {
    ends_.erase(end_order_.front());
    end_order_.pop_front();
  }
}

void TransactionRegistry::RollBack(TransactionId id) {
  std::shared_ptr<OpenTransaction> transaction;
  {
    base::MutexLock lock(mu_);
    const auto open = open_.find(id);
    if (open == open_.end()) return;
    transaction = open->second;
  }
  transaction->WhenFree([this](Turn turn) {
    turn->End({.kind = TransactionEnd::Kind::kRolledBack, .version = {}, .status = {}});
    Remove(*turn);
  });
}

std::vector<std::shared_ptr<OpenTransaction>> TransactionRegistry::List(std::string_view database,
                                                                        TransactionId after,
                                                                        size_t limit) {
  const std::string_view name = database.empty() ? "default" : database;
  std::vector<std::shared_ptr<OpenTransaction>> found;
  base::MutexLock lock(mu_);
  for (auto it = open_.upper_bound(after); it != open_.end() && found.size() < limit; ++it) {
    if (it->second->database().name == name) found.push_back(it->second);
  }
  return found;
}

std::vector<std::shared_ptr<OpenTransaction>> TransactionRegistry::All() {
  std::vector<std::shared_ptr<OpenTransaction>> all;
  base::MutexLock lock(mu_);
  all.reserve(open_.size());
  for (const auto& transaction : open_) all.push_back(transaction.second);
  return all;
}

void TransactionRegistry::Sweep() {
  for (const auto& transaction : All()) {
    if (transaction->ExpireIfIdle()) Remove(*transaction);
  }
}

void TransactionRegistry::EndAll(std::optional<std::string_view> database) {
  for (const auto& transaction : All()) {
    if (database.has_value() && transaction->database().name != *database) continue;
    transaction->WhenFree([this](Turn turn) {
      turn->End({.kind = TransactionEnd::Kind::kLost, .version = {}, .status = {}});
      Remove(*turn);
    });
  }
}

}  // namespace sop::session
