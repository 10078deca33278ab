#include "server/rpc/transaction_calls.h"

#include <utility>

#include "core/base/error.h"
#include "core/base/status_macros.h"
#include "fmt/format.h"
#include "server/convert/id.h"
#include "server/rpc/operation/transaction_options.h"

namespace sop::rpc {
namespace {

using session::TransactionEnd;
using session::Turn;

// How a transaction ends whose commit was answered so.
TransactionEnd EndOf(const txn::CommitResult& result) {
  if (result.status.ok()) {
    return {.kind = TransactionEnd::Kind::kCommitted, .version = result.version, .status = {}};
  }
  const bool unknown = ReasonOf(result.status) == Reason::kUnavailable;
  return {.kind = unknown ? TransactionEnd::Kind::kUnknown : TransactionEnd::Kind::kAborted,
          .version = {},
          .status = result.status};
}

}  // namespace

absl::Status TransactionCalls::BeginIn(std::shared_ptr<session::OpenDatabase> database,
                                       const v1::BeginRequest& request,
                                       v1::BeginResponse* response) {
  if (!request.read_at().empty()) {
    return Error(Reason::kUnimplemented, "read_at is not implemented in this release");
  }
  SOP_ASSIGN_OR_RETURN(const txn::TransactionOptions options,
                       TransactionOptionsFromProto(request.mode(), request.isolation()));
  session::TransactionTerms terms;
  const txn::Limits limits;
  const absl::Duration longest = options.mode == txn::Mode::kReadOnly
                                     ? limits.max_read_only_duration
                                     : limits.max_maximum_duration;
  SOP_ASSIGN_OR_RETURN(terms.max_duration,
                       TimeLimitFromProto("max_duration", request.max_duration(),
                                          parts_.terms.max_duration, longest));
  SOP_ASSIGN_OR_RETURN(terms.idle_limit,
                       TimeLimitFromProto("idle_limit", request.idle_limit(),
                                          parts_.terms.idle_limit, limits.max_idle_limit));
  SOP_RETURN_IF_ERROR(CheckReached(*database, request.at_least_version()));
  SOP_RETURN_IF_ERROR(parts_.transactions.CheckRoom());
  auto stores = database->engine->Begin(options);
  const auto transaction = parts_.transactions.Add(std::move(stores), std::move(database), terms);
  response->set_transaction_id(transaction->id().Bytes());
  response->set_commit_version(convert::CommitVersion(transaction->read_version()));
  return absl::OkStatus();
}

void TransactionCalls::Begin(Call& call, const v1::BeginRequest& request,
                             v1::BeginResponse& response) {
  auto database = parts_.databases.FindOpen(request.database());
  if (database != nullptr) return call.Complete(BeginIn(std::move(database), request, &response));
  call.RunOnWorker([this, &request, &response]() -> absl::Status {
    SOP_ASSIGN_OR_RETURN(auto opened, parts_.databases.Acquire(request.database()));
    return BeginIn(std::move(opened), request, &response);
  });
}

void TransactionCalls::Commit(Call& call, const v1::CommitRequest& request,
                              v1::CommitResponse& response) {
  auto id = TransactionOf(call.context(), request.transaction_id());
  if (!id.ok()) return call.Complete(id.status());
  auto transaction = parts_.transactions.Find(*id, call.context().database);
  if (!transaction.ok()) return AnswerEnded(call, *id, response, transaction.status());
  (*transaction)->WhenFree([this, &call, &request, &response](Turn turn) {
    CommitTurn(call, request, response, std::move(turn));
  });
}

void TransactionCalls::CommitTurn(Call& call, const v1::CommitRequest& request,
                                  v1::CommitResponse& response, Turn turn) {
  const absl::Status open = turn->CheckOpen();
  if (!open.ok()) {
    parts_.transactions.Remove(*turn);
    return AnswerEnded(call, turn->id(), response, open);
  }
  auto durability = DurabilityFromProto(request.durability());
  if (!durability.ok()) return call.Complete(durability.status());
  txn::CommitOptions options;
  options.durability = *durability;
  options.token = turn->id();
  call.context().counted = turn->shared_database();
  auto stores = turn->TakeStores();
  catalog::Database& engine = *turn->database().engine;
  engine.Commit(std::move(stores), std::move(options),
                [this, &call, &response, turn = std::move(turn)](const txn::CommitResult& result) {
                  call.scope().NoteCommit(result);
                  turn->End(EndOf(result));
                  parts_.transactions.Remove(*turn);
                  if (result.status.ok()) {
                    response.set_commit_version(convert::CommitVersion(result.version));
                  }
                  call.Complete(result.status);
                });
}

void TransactionCalls::AnswerEnded(Call& call, TransactionId id, v1::CommitResponse& response,
                                   const absl::Status& not_open) {
  const auto end = parts_.transactions.FindEnd(id);
  if (end.has_value() && end->kind == TransactionEnd::Kind::kCommitted) {
    response.set_commit_version(convert::CommitVersion(end->version));
    return call.Complete(absl::OkStatus());
  }
  // While the log has failed nobody can tell: what is on disk is read at the next start, and then
  // the same call is answered. Until then it gets UNAVAILABLE again, never a no.
  const bool has_answer = end.has_value() && (end->kind == TransactionEnd::Kind::kAborted ||
                                              end->kind == TransactionEnd::Kind::kUnknown);
  if (has_answer) return call.Complete(end->status);
  const bool may_have_committed = !end.has_value() && !id.IsZero();
  if (!may_have_committed) return call.Complete(not_open);
  call.RunOnWorker([this, &call, &response, id, not_open]() -> absl::Status {
    SOP_ASSIGN_OR_RETURN(const auto database, parts_.databases.Acquire(call.context().database));
    SOP_ASSIGN_OR_RETURN(const auto outcome, database->engine->FindOutcome(id));
    if (!outcome.has_value()) return not_open;
    response.set_commit_version(convert::CommitVersion(outcome->version));
    return absl::OkStatus();
  });
}

void TransactionCalls::Rollback(Call& call, const v1::RollbackRequest& request,
                                v1::RollbackResponse& response) {
  auto id = TransactionOf(call.context(), request.transaction_id());
  if (!id.ok()) return call.Complete(id.status());
  auto transaction = parts_.transactions.Find(*id, call.context().database);
  if (!transaction.ok()) {
    const auto end = parts_.transactions.FindEnd(*id);
    const bool undone = end.has_value() && end->kind != TransactionEnd::Kind::kCommitted &&
                        end->kind != TransactionEnd::Kind::kUnknown;
    const bool earlier_run =
        !end.has_value() && ReasonOf(transaction.status()) == Reason::kTransactionLost;
    if (earlier_run) return RollbackEarlier(call, *id);
    return call.Complete(undone ? absl::OkStatus() : transaction.status());
  }
  (*transaction)->WhenFree([this, &call, &response](Turn turn) {
    turn->End({.kind = TransactionEnd::Kind::kRolledBack, .version = {}, .status = {}});
    parts_.transactions.Remove(*turn);
    const TransactionEnd end = turn->end();
    response.set_commit_version(convert::CommitVersion(turn->read_version()));
    // Another request may have committed it while this one waited.
    const bool committed =
        end.kind == TransactionEnd::Kind::kCommitted || end.kind == TransactionEnd::Kind::kUnknown;
    call.Complete(committed ? EndedStatus(turn->id(), end) : absl::OkStatus());
  });
}

// Of a transaction that the server had open when it ended there is what its commit wrote, or
// nothing.
void TransactionCalls::RollbackEarlier(Call& call, TransactionId id) {
  call.RunOnWorker([this, &call, id]() -> absl::Status {
    SOP_ASSIGN_OR_RETURN(const auto database, parts_.databases.Acquire(call.context().database));
    SOP_ASSIGN_OR_RETURN(const auto outcome, database->engine->FindOutcome(id));
    if (!outcome.has_value()) return absl::OkStatus();
    return session::EndedStatus(
        id, {.kind = TransactionEnd::Kind::kCommitted, .version = outcome->version, .status = {}});
  });
}

}  // namespace sop::rpc
