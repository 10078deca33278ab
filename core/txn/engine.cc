#include "core/txn/engine.h"

#include <utility>

#include <fmt/format.h>

#include "core/base/error.h"
#include "core/base/status_macros.h"
#include "core/txn/commit/commit_group.h"
#include "core/txn/commit/committer.h"

namespace sop::txn {

Engine::Engine(persistence::Storage& storage, const EngineOptions& options)
    : options_(options),
      storage_(storage),
      committer_(std::make_unique<Committer>(storage, options)) {}

absl::StatusOr<std::unique_ptr<Engine>> Engine::Open(persistence::Storage& storage,
                                                     const EngineOptions& options) {
  SOP_RETURN_IF_ERROR(SpillSpace::RemoveLeftovers(*options.files, options.spill_folder));
  std::unique_ptr<Engine> engine(new Engine(storage, options));
  SOP_RETURN_IF_ERROR(engine->committer_->Start());
  return engine;
}

Engine::~Engine() = default;

TransactionId Engine::MakeTransactionId() {
  TransactionId id = base::MakeUuid7(*options_.clock, *options_.random);
  const uint64_t incarnation = options_.incarnation & ((uint64_t{1} << kIncarnationBits) - 1);
  id.low = (uint64_t{0b10} << 62) | (incarnation << 32) | (id.low & 0xffffffff);
  return id;
}

std::shared_ptr<Transaction> Engine::Begin(const TransactionOptions& options) {
  const TransactionId id = MakeTransactionId();
  auto spill = std::make_unique<SpillSpace>(*options_.files, options_.spill_folder, id.ToString(),
                                            options_.limits.overlay_memory_bytes,
                                            base::MemoryCharge(options_.memory));
  return std::make_shared<Transaction>(id, options, committer_->published(), std::move(spill),
                                       options_.limits);
}

absl::StatusOr<std::unique_ptr<StagedValue>> Engine::StageValue(TreeId tree) {
  SOP_RETURN_IF_ERROR(health());
  SOP_ASSIGN_OR_RETURN(auto nodes,
                       storage_.nodes().StageNodes(persistence::SpaceUse::kAboveReserve));
  return std::make_unique<StagedValue>(tree, std::move(nodes));
}

void Engine::Commit(std::shared_ptr<Transaction> transaction, CommitOptions options,
                    absl::AnyInvocable<void(CommitResult)> done) {
  if (transaction->IsEmpty()) {
    const Sequence version = transaction->read_version();
    transaction.reset();
    done({absl::OkStatus(), version, std::nullopt});
    return;
  }
  if (!transaction->write_failure().ok()) {
    const absl::Status failure = transaction->write_failure();
    transaction.reset();
    done({failure, Sequence{0}, std::nullopt});
    return;
  }
  auto request = std::make_unique<CommitRequest>();
  request->transaction = std::move(transaction);
  request->options = std::move(options);
  request->done.push_back(std::move(done));
  committer_->Submit(std::move(request));
}

CommitResult Engine::CommitAndWait(std::shared_ptr<Transaction> transaction,
                                   CommitOptions options) {
  struct Waiter {
    base::Mutex mu;
    base::CondVar done;
    std::optional<CommitResult> result SOP_GUARDED_BY(mu);
  };
  options.turn = CommitTurn::kCaller;
  auto waiter = std::make_shared<Waiter>();
  Commit(std::move(transaction), std::move(options), [waiter](CommitResult result) {
    {
      base::MutexLock lock(waiter->mu);
      waiter->result = std::move(result);
    }
    // Without the lock, so that who wakes up need not wait for it.
    waiter->done.NotifyOne();
  });
  base::MutexLock lock(waiter->mu);
  while (!waiter->result.has_value()) waiter->done.Wait(waiter->mu);
  return *std::move(waiter->result);
}

absl::StatusOr<std::optional<Outcome>> Engine::FindOutcome(const Uuid& token) {
  return committer_->FindOutcome(token);
}

Sequence Engine::published() const { return committer_->published()->sequence(); }

absl::Status Engine::health() const { return committer_->health(); }

absl::Status Engine::Fold() { return committer_->Fold(); }

Sequence Engine::feed_floor() const { return committer_->feed_floor(); }

FeedBell& Engine::feed_bell() { return committer_->feed_bell(); }

absl::Status Engine::CheckFeedPosition(const FeedPosition& position) const {
  const Sequence floor = feed_floor();
  if (position.sequence <= floor) {
    return Error(Reason::kPositionNotKept,
                 fmt::format("changes of commit {} are no longer kept, those after {} are",
                             position.sequence.value, floor.value),
                 {{"kept_after", fmt::format("{}", floor.value)}});
  }
  const Sequence newest = published();
  if (position.sequence.value <= newest.value + 1) return absl::OkStatus();
  return Error(Reason::kPositionNotKept,
               fmt::format("position is behind commit {}, the newest one is {}",
                           position.sequence.value - 1, newest.value));
}

Engine::Statistics Engine::statistics() const { return committer_->statistics(); }

}  // namespace sop::txn
