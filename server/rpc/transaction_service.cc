#include "server/rpc/transaction_service.h"

#include <string>
#include <utility>

#include "core/base/error.h"
#include "core/base/status_macros.h"
#include "fmt/format.h"
#include "server/convert/id.h"
#include "server/rpc/operation/operations.h"
#include "server/rpc/operation/transaction_options.h"

namespace sop::rpc {
namespace {

using session::OpenTransaction;
using session::TransactionEnd;
using session::Turn;

constexpr uint32_t kDefaultPageSize = 100;

absl::Status Unimplemented(std::string_view what) {
  return Error(Reason::kUnimplemented, fmt::format("{} is not implemented in this release", what));
}

void DurationTo(absl::Duration duration, google::protobuf::Duration* out) {
  out->set_seconds(absl::ToInt64Seconds(duration));
  out->set_nanos(static_cast<int>(absl::ToInt64Nanoseconds(duration % absl::Seconds(1))));
}

void Describe(const OpenTransaction& transaction, v1::Transaction* out) {
  out->set_transaction_id(transaction.id().Bytes());
  out->set_database(transaction.database().name);
  out->set_mode(transaction.mode() == txn::Mode::kReadOnly ? v1::TRANSACTION_MODE_READ_ONLY
                                                           : v1::TRANSACTION_MODE_READ_WRITE);
  out->set_isolation(transaction.isolation() == txn::Isolation::kSnapshot
                         ? v1::ISOLATION_SNAPSHOT
                         : v1::ISOLATION_SERIALIZABLE);
  const absl::Time begin = transaction.begin_time();
  out->mutable_begin_time()->set_seconds(absl::ToUnixSeconds(begin));
  out->mutable_begin_time()->set_nanos(static_cast<int>(
      absl::ToInt64Nanoseconds(begin - absl::FromUnixSeconds(absl::ToUnixSeconds(begin)))));
  DurationTo(transaction.Remaining(), out->mutable_remaining());
  DurationTo(transaction.RemainingIdle(), out->mutable_remaining_idle());
  out->set_snapshot_version(convert::CommitVersion(transaction.read_version()));
}

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

// Refuses a session: it ends before it begins.
class RefusedSession : public grpc::ServerBidiReactor<v1::SessionRequest, v1::SessionResponse> {
 public:
  RefusedSession(Dispatcher& dispatcher, const grpc::CallbackServerContext& context)
      : scope_(dispatcher, dispatcher.methods().ForRequest(v1::SessionRequest::descriptor()),
               context) {
    Finish(scope_.Conclude(Unimplemented("Session")));
  }
  void OnDone() override {
    scope_.Record(0);
    delete this;
  }

 private:
  CallScope scope_;
};

}  // namespace

absl::Status TransactionService::BeginIn(std::shared_ptr<session::OpenDatabase> database,
                                         const v1::BeginRequest& request,
                                         v1::BeginResponse* response) {
  if (!request.read_at().empty()) return Unimplemented("read_at");
  SOP_ASSIGN_OR_RETURN(const txn::TransactionOptions options,
                       TransactionOptionsFromProto(request.mode(), request.isolation()));
  session::TransactionTerms terms;
  SOP_ASSIGN_OR_RETURN(
      terms.max_duration,
      TimeLimitFromProto("max_duration", request.max_duration(), parts_.terms.max_duration));
  SOP_ASSIGN_OR_RETURN(terms.idle_limit, TimeLimitFromProto("idle_limit", request.idle_limit(),
                                                            parts_.terms.idle_limit));
  SOP_RETURN_IF_ERROR(CheckReached(*database, request.at_least_version()));
  SOP_RETURN_IF_ERROR(parts_.transactions.CheckRoom());
  auto stores = database->engine->Begin(options);
  const auto transaction = parts_.transactions.Add(std::move(stores), std::move(database), terms);
  response->set_transaction_id(transaction->id().Bytes());
  response->set_commit_version(convert::CommitVersion(transaction->read_version()));
  return absl::OkStatus();
}

grpc::ServerUnaryReactor* TransactionService::Begin(grpc::CallbackServerContext* context,
                                                    const v1::BeginRequest* request,
                                                    v1::BeginResponse* response) {
  return parts_.dispatcher.Unary(
      context, request, response,
      [this](UnaryCall& call, const v1::BeginRequest& asked, v1::BeginResponse& answer) {
        auto database = parts_.databases.FindOpen(asked.database());
        if (database != nullptr) return call.Complete(BeginIn(std::move(database), asked, &answer));
        call.RunOnWorker([this, &asked, &answer]() -> absl::Status {
          SOP_ASSIGN_OR_RETURN(auto opened, parts_.databases.Acquire(asked.database()));
          return BeginIn(std::move(opened), asked, &answer);
        });
      });
}

grpc::ServerUnaryReactor* TransactionService::Commit(grpc::CallbackServerContext* context,
                                                     const v1::CommitRequest* request,
                                                     v1::CommitResponse* response) {
  return parts_.dispatcher.Unary(
      context, request, response,
      [this](UnaryCall& call, const v1::CommitRequest& asked, v1::CommitResponse& answer) {
        auto id = convert::UuidFromProto("transaction_id", asked.transaction_id());
        if (!id.ok()) return call.Complete(id.status());
        auto transaction = parts_.transactions.Find(*id, asked.database());
        if (!transaction.ok()) return AnswerEnded(call, *id, answer, transaction.status());
        (*transaction)->WhenFree([this, &call, &asked, &answer](Turn turn) {
          CommitTurn(call, asked, answer, std::move(turn));
        });
      });
}

void TransactionService::CommitTurn(UnaryCall& call, const v1::CommitRequest& request,
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
  auto stores = turn->TakeStores();
  catalog::Database& engine = *turn->database().engine;
  engine.Commit(std::move(stores), std::move(options),
                [this, &call, &response, turn = std::move(turn)](const txn::CommitResult& result) {
                  turn->End(EndOf(result));
                  parts_.transactions.Remove(*turn);
                  if (result.status.ok()) {
                    response.set_commit_version(convert::CommitVersion(result.version));
                  }
                  call.Complete(result.status);
                });
}

void TransactionService::AnswerEnded(UnaryCall& call, TransactionId id,
                                     v1::CommitResponse& response, const absl::Status& not_open) {
  const auto end = parts_.transactions.FindEnd(id);
  if (end.has_value() && end->kind == TransactionEnd::Kind::kCommitted) {
    response.set_commit_version(convert::CommitVersion(end->version));
    return call.Complete(absl::OkStatus());
  }
  if (end.has_value() && end->kind == TransactionEnd::Kind::kAborted) {
    return call.Complete(end->status);
  }
  const bool may_have_committed =
      end.has_value() ? end->kind == TransactionEnd::Kind::kUnknown : !id.IsZero();
  if (!may_have_committed) return call.Complete(not_open);
  call.RunOnWorker([this, &call, &response, id, not_open]() -> absl::Status {
    SOP_ASSIGN_OR_RETURN(const auto database, parts_.databases.Acquire(call.context().database));
    SOP_ASSIGN_OR_RETURN(const auto outcome, database->engine->FindOutcome(id));
    if (!outcome.has_value()) return not_open;
    response.set_commit_version(convert::CommitVersion(outcome->version));
    return absl::OkStatus();
  });
}

grpc::ServerUnaryReactor* TransactionService::Rollback(grpc::CallbackServerContext* context,
                                                       const v1::RollbackRequest* request,
                                                       v1::RollbackResponse* response) {
  return parts_.dispatcher.Unary(
      context, request, response,
      [this](UnaryCall& call, const v1::RollbackRequest& asked, v1::RollbackResponse& answer) {
        auto id = convert::UuidFromProto("transaction_id", asked.transaction_id());
        if (!id.ok()) return call.Complete(id.status());
        auto transaction = parts_.transactions.Find(*id, asked.database());
        if (!transaction.ok()) {
          const auto end = parts_.transactions.FindEnd(*id);
          const bool undone = end.has_value() && end->kind != TransactionEnd::Kind::kCommitted &&
                              end->kind != TransactionEnd::Kind::kUnknown;
          return call.Complete(undone ? absl::OkStatus() : transaction.status());
        }
        (*transaction)->WhenFree([this, &call, &answer](Turn turn) {
          turn->End({.kind = TransactionEnd::Kind::kRolledBack, .version = {}, .status = {}});
          parts_.transactions.Remove(*turn);
          const TransactionEnd end = turn->end();
          answer.set_commit_version(convert::CommitVersion(turn->read_version()));
          // Another request may have committed it while this one waited.
          const bool committed = end.kind == TransactionEnd::Kind::kCommitted ||
                                 end.kind == TransactionEnd::Kind::kUnknown;
          call.Complete(committed ? EndedStatus(turn->id(), end) : absl::OkStatus());
        });
      });
}

grpc::ServerUnaryReactor* TransactionService::Get(grpc::CallbackServerContext* context,
                                                  const v1::GetTransactionRequest* request,
                                                  v1::GetTransactionResponse* response) {
  const auto get = [this](const v1::GetTransactionRequest& asked,
                          v1::GetTransactionResponse& answer) -> absl::Status {
    SOP_ASSIGN_OR_RETURN(const Uuid id,
                         convert::UuidFromProto("transaction_id", asked.transaction_id()));
    SOP_ASSIGN_OR_RETURN(const auto transaction, parts_.transactions.Find(id, asked.database()));
    Describe(*transaction, answer.mutable_transaction());
    return absl::OkStatus();
  };
  return parts_.dispatcher.Unary(
      context, request, response,
      [&](UnaryCall& call, const v1::GetTransactionRequest& asked,
          v1::GetTransactionResponse& answer) { call.Complete(get(asked, answer)); });
}

grpc::ServerUnaryReactor* TransactionService::List(grpc::CallbackServerContext* context,
                                                   const v1::ListTransactionsRequest* request,
                                                   v1::ListTransactionsResponse* response) {
  const auto list = [this](const v1::ListTransactionsRequest& asked,
                           v1::ListTransactionsResponse& answer) -> absl::Status {
    SOP_RETURN_IF_ERROR(parts_.databases.Describe(asked.database()).status());
    SOP_ASSIGN_OR_RETURN(const uint32_t page_size, CheckedSize("page_size", asked.page_size(),
                                                               kDefaultPageSize, kMaxListPageSize));
    SOP_ASSIGN_OR_RETURN(const TransactionId after,
                         convert::TokenToUuid("page_token", asked.page_token()));
    const auto found = parts_.transactions.List(asked.database(), after, page_size);
    for (const auto& transaction : found) Describe(*transaction, answer.add_transactions());
    if (found.size() == page_size) answer.set_next_page_token(found.back()->id().ToString());
    return absl::OkStatus();
  };
  return parts_.dispatcher.Unary(
      context, request, response,
      [&](UnaryCall& call, const v1::ListTransactionsRequest& asked,
          v1::ListTransactionsResponse& answer) { call.Complete(list(asked, answer)); });
}

grpc::ServerUnaryReactor* TransactionService::Execute(grpc::CallbackServerContext* context,
                                                      const v1::ExecuteRequest* request,
                                                      v1::ExecuteResponse* response) {
  return parts_.dispatcher.Unary(
      context, request, response,
      [this](UnaryCall& call, const v1::ExecuteRequest& asked, v1::ExecuteResponse& answer) {
        executor_.Start(call, asked, answer);
      });
}

grpc::ServerBidiReactor<v1::SessionRequest, v1::SessionResponse>* TransactionService::Session(
    grpc::CallbackServerContext* context) {
  return new RefusedSession(parts_.dispatcher, *context);
}

}  // namespace sop::rpc
