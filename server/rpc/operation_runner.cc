#include "server/rpc/operation_runner.h"

#include <utility>

#include "core/base/error.h"
#include "server/rpc/operation/reply_record.h"

namespace sop::rpc {
namespace {

// A write that lost against another one is run again this often before the caller hears of it.
constexpr int kMaxTries = 10;

bool WorthAnotherTry(const absl::Status& status) {
  const Reason reason = ReasonOf(status);
  return reason == Reason::kConflict || reason == Reason::kSchemaDecided;
}

}  // namespace

void OperationRunner::StartJob(const Job& job) {
  Call& call = *job.call;
  if (job.transaction.IsZero()) {
    auto database = parts_.databases.FindOpen(call.context().database);
    // Looking for an outcome may read from disk, as may opening a database.
    if (database != nullptr && RunsHere(job)) return RunAlone(job, std::move(database));
    parts_.dispatcher.workers().Schedule([this, job] {
      auto opened = parts_.databases.Acquire(job.call->context().database);
      if (!opened.ok()) return job.call->Complete(opened.status());
      RunAlone(job, *std::move(opened));
    });
    return;
  }
  if (!job.request_id.IsZero()) {
    return call.Complete(Error(Reason::kInvalidArgument,
                               "request_id is for requests outside transactions",
                               {{"field", "request_id"}}));
  }
  auto transaction = parts_.transactions.Find(job.transaction, call.context().database);
  if (!transaction.ok()) return call.Complete(transaction.status());
  (*transaction)->WhenFree([this, job](session::Turn turn) {
    if (RunsHere(job)) return RunInTransaction(job, turn);
    parts_.dispatcher.workers().Schedule(
        [this, job, turn = std::move(turn)] { RunInTransaction(job, turn); });
  });
}

absl::Status OperationRunner::RunJob(const Job& job, OperationScope& scope) {
  const ReadPlacement::Watch watch(placement_);
  return scope.stores.Explain(job.run(scope, *job.request, job.response));
}

void OperationRunner::RunInTransaction(const Job& job, const session::Turn& turn) {
  Call& call = *job.call;
  absl::Status status = call.context().CheckWanted();
  if (status.ok()) status = turn->CheckOpen();
  if (!status.ok()) {
    if (turn->ended()) parts_.transactions.Remove(*turn);
    return call.Complete(status);
  }
  call.context().counted = turn->shared_database();
  OperationScope scope = {
      .context = call.context(), .database = turn->database(), .stores = turn->stores()};
  status = RunJob(job, scope);
  turn->database().metrics.operations->Increment();
  job.set_version(job.response, turn->read_version());
  call.Complete(status);
}

void OperationRunner::RunAlone(Job job, std::shared_ptr<session::OpenDatabase> database) {
  Call& call = *job.call;
  ++job.tries;
  call.context().counted = database;
  absl::Status status = call.context().CheckWanted();
  if (!status.ok()) return call.Complete(status);
  const auto mode = job.effect == Effect::kReads ? txn::Mode::kReadOnly : txn::Mode::kReadWrite;
  auto stores = database->engine->Begin({.mode = mode, .isolation = txn::Isolation::kSerializable});
  if (!job.request_id.IsZero()) {
    // Only now: a try that committed before the snapshot was taken would be met by this one.
    const auto outcome = database->engine->FindOutcome(job.request_id);
    if (!outcome.ok()) return call.Complete(outcome.status());
    if (outcome->has_value()) return Replay(job, (*outcome)->version, (*outcome)->reply);
  }
  OperationScope scope = {.context = call.context(), .database = *database, .stores = *stores};
  status = RunJob(job, scope);
  database->metrics.operations->Increment();
  if (!status.ok()) return call.Complete(status);
  if (job.effect == Effect::kWrites) {
    return CommitAlone(job, std::move(database), std::move(stores));
  }
  job.set_version(job.response, stores->transaction().read_version());
  // The stores go first: the call may be the last to hold the server.
  stores.reset();
  call.Complete(status);
}

void OperationRunner::CommitAlone(const Job& job, std::shared_ptr<session::OpenDatabase> database,
                                  std::unique_ptr<catalog::StoreSet> stores) {
  txn::CommitOptions options;
  options.turn = parts_.dispatcher.commit_turn();
  if (!job.request_id.IsZero()) {
    options.token = job.request_id;
    options.reply = MakeReply(*job.response);
  }
  catalog::Database& engine = *database->engine;
  engine.Commit(
      std::move(stores), std::move(options),
      [this, job, database = std::move(database)](const txn::CommitResult& result) mutable {
        Call& call = *job.call;
        call.scope().NoteCommit(result);
        if (result.status.ok()) {
          if (result.earlier_reply.has_value()) {
            return Replay(job, result.version, *result.earlier_reply);
          }
          job.set_version(job.response, result.version);
          return call.Complete(absl::OkStatus());
        }
        if (!WorthAnotherTry(result.status) || job.tries >= kMaxTries) {
          return call.Complete(result.status);
        }
        job.response->Clear();
        parts_.dispatcher.workers().Schedule(
            [this, job, database = std::move(database)] { RunAlone(job, database); });
      });
}

void OperationRunner::Replay(const Job& job, Sequence version, const std::string& reply) {
  job.response->Clear();
  const absl::Status status = ReadReply(reply, job.response);
  job.set_version(job.response, version);
  job.call->Complete(status);
}

}  // namespace sop::rpc
