#include "server/session/open_transaction.h"

#include <algorithm>

#include "core/base/error.h"
#include "fmt/format.h"

namespace sop::session {

absl::Status EndedStatus(TransactionId id, const TransactionEnd& end) {
  const std::string name = id.ToString();
  const ErrorDetails details = {{"transaction", name}};
  switch (end.kind) {
    case TransactionEnd::Kind::kExpired:
      return end.status;
    case TransactionEnd::Kind::kLost:
      return Error(Reason::kTransactionLost,
                   fmt::format("transaction {} went with its database", name), details);
    case TransactionEnd::Kind::kCommitted:
      return Error(Reason::kTransactionEnded, fmt::format("transaction {} has committed", name),
                   details);
    case TransactionEnd::Kind::kRolledBack:
      return Error(Reason::kTransactionEnded, fmt::format("transaction {} was rolled back", name),
                   details);
    case TransactionEnd::Kind::kUnknown:
      return Error(Reason::kOutcomeUnknown,
                   fmt::format("whether transaction {} has committed is known when its database is "
                               "opened again; Commit says it then",
                               name),
                   details);
    case TransactionEnd::Kind::kAborted:
      break;
  }
  return Error(Reason::kTransactionEnded,
               fmt::format("transaction {} ended when its commit failed", name), details);
}

Turn::~Turn() {
  if (transaction_ != nullptr) transaction_->PassTurn();
}

OpenTransaction::OpenTransaction(std::unique_ptr<catalog::StoreSet> stores, Parts parts)
    : parts_(std::move(parts)),
      id_(stores->transaction().id()),
      mode_(stores->transaction().mode()),
      isolation_(stores->transaction().isolation()),
      read_version_(stores->transaction().read_version()),
      begin_time_(parts_.clock->Now()),
      began_(parts_.clock->Monotonic()),
      stores_(std::move(stores)),
      last_used_(began_) {}

absl::Duration OpenTransaction::Remaining() const {
  return std::max(absl::ZeroDuration(),
                  began_ + parts_.terms.max_duration - parts_.clock->Monotonic());
}

absl::Duration OpenTransaction::RemainingIdle() const {
  base::MutexLock lock(mu_);
  if (busy_) return parts_.terms.idle_limit;
  return std::max(absl::ZeroDuration(),
                  last_used_ + parts_.terms.idle_limit - parts_.clock->Monotonic());
}

void OpenTransaction::Touch() {
  base::MutexLock lock(mu_);
  last_used_ = parts_.clock->Monotonic();
}

void OpenTransaction::WhenFree(absl::AnyInvocable<void(Turn)> task) {
  {
    base::MutexLock lock(mu_);
    if (busy_) {
      waiting_.push_back(std::move(task));
      return;
    }
    busy_ = true;
  }
  task(Turn(shared_from_this()));
}

void OpenTransaction::PassTurn() {
  absl::AnyInvocable<void(Turn)> next;
  {
    base::MutexLock lock(mu_);
    last_used_ = parts_.clock->Monotonic();
    if (waiting_.empty()) {
      busy_ = false;
      return;
    }
    next = std::move(waiting_.front());
    waiting_.pop_front();
  }
  // Not on this thread: a long queue of short tasks would nest as deep as it is long.
  parts_.workers->Schedule([self = shared_from_this(), next = std::move(next)]() mutable {
    next(Turn(std::move(self)));
  });
}

absl::Status OpenTransaction::OverdueLocked() const {
  const absl::Duration now = parts_.clock->Monotonic();
  const bool too_long = now >= began_ + parts_.terms.max_duration;
  if (!too_long && now < last_used_ + parts_.terms.idle_limit) return absl::OkStatus();
  const absl::Duration limit = too_long ? parts_.terms.max_duration : parts_.terms.idle_limit;
  return Error(Reason::kTransactionExpired,
               fmt::format("transaction {} was {} for {}, its limit", id_.ToString(),
                           too_long ? "open" : "unused", absl::FormatDuration(limit)),
               {{"transaction", id_.ToString()},
                {"limit", absl::FormatDuration(limit)},
                {"which", too_long ? "max_duration" : "idle_limit"}});
}

absl::Status OpenTransaction::CheckOpen() {
  base::MutexLock lock(mu_);
  if (ended_) return EndedStatus(id_, end_);
  const absl::Status overdue = OverdueLocked();
  if (!overdue.ok()) {
    ended_ = true;
    end_ = {.kind = TransactionEnd::Kind::kExpired, .status = overdue};
    stores_.reset();
  }
  return overdue;
}

void OpenTransaction::End(TransactionEnd end) {
  {
    base::MutexLock lock(mu_);
    if (ended_) return;
    ended_ = true;
    end_ = std::move(end);
  }
  stores_.reset();
}

bool OpenTransaction::ExpireIfIdle() {
  std::unique_ptr<catalog::StoreSet> expired;
  base::MutexLock lock(mu_);
  if (ended_) return true;
  if (busy_) return false;
  const absl::Status overdue = OverdueLocked();
  if (overdue.ok()) return false;
  ended_ = true;
  end_ = {.kind = TransactionEnd::Kind::kExpired, .status = overdue};
  expired = std::move(stores_);
  return true;
}

bool OpenTransaction::ended() const {
  base::MutexLock lock(mu_);
  return ended_;
}

TransactionEnd OpenTransaction::end() const {
  base::MutexLock lock(mu_);
  return end_;
}

}  // namespace sop::session
