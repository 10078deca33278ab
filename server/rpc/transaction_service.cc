#include "server/rpc/transaction_service.h"

#include <string>
#include <utility>

#include "core/base/error.h"
#include "core/base/status_macros.h"
#include "fmt/format.h"
#include "server/convert/id.h"
#include "server/rpc/operation/operations.h"
#include "server/rpc/operation/transaction_options.h"
#include "server/rpc/wire/watched_call.h"

namespace sop::rpc {
namespace {

using session::OpenTransaction;

constexpr uint32_t kDefaultPageSize = 100;

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
  out->set_poisoned(transaction.poisoned());
  out->set_snapshot_version(convert::CommitVersion(transaction.read_version()));
}

}  // namespace

TransactionService::TransactionService(const OperationRunner::Parts& parts,
                                       const session::TransactionTerms& terms)
    : parts_(parts),
      executor_({parts.dispatcher, parts.databases}),
      calls_({parts.dispatcher, parts.databases, parts.transactions, terms}),
      sessions_(parts, calls_) {
  using Request = v1::ExecuteRequest;
  using Response = v1::ExecuteResponse;
  MarkMethodStreamed(
      MethodIndexOf(*Request::descriptor()),
      new WatchedHandler<Request, Response>(
          parts.dispatcher, [this](Call& call, const Request& request, Response& response) {
            executor_.Start(call, request, response);
          }));
}

grpc::ServerUnaryReactor* TransactionService::Begin(grpc::CallbackServerContext* context,
                                                    const v1::BeginRequest* request,
                                                    v1::BeginResponse* response) {
  return parts_.dispatcher.Unary(
      context, request, response,
      [this](Call& call, const v1::BeginRequest& asked, v1::BeginResponse& answer) {
        calls_.Begin(call, asked, answer);
      });
}

grpc::ServerUnaryReactor* TransactionService::Commit(grpc::CallbackServerContext* context,
                                                     const v1::CommitRequest* request,
                                                     v1::CommitResponse* response) {
  return parts_.dispatcher.Unary(
      context, request, response,
      [this](Call& call, const v1::CommitRequest& asked, v1::CommitResponse& answer) {
        calls_.Commit(call, asked, answer);
      });
}

grpc::ServerUnaryReactor* TransactionService::Rollback(grpc::CallbackServerContext* context,
                                                       const v1::RollbackRequest* request,
                                                       v1::RollbackResponse* response) {
  return parts_.dispatcher.Unary(
      context, request, response,
      [this](Call& call, const v1::RollbackRequest& asked, v1::RollbackResponse& answer) {
        calls_.Rollback(call, asked, answer);
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
    if (transaction->ExpireIfIdle()) {
      parts_.transactions.Remove(*transaction);
      return EndedStatus(id, transaction->end());
    }
    Describe(*transaction, answer.mutable_transaction());
    return absl::OkStatus();
  };
  return parts_.dispatcher.Unary(
      context, request, response,
      [&](Call& call, const v1::GetTransactionRequest& asked, v1::GetTransactionResponse& answer) {
        call.Complete(get(asked, answer));
      });
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
    auto found = parts_.transactions.List(asked.database(), after, page_size + 1);
    const bool more = found.size() > page_size;
    if (more) found.pop_back();
    for (const auto& transaction : found) Describe(*transaction, answer.add_transactions());
    if (more) answer.set_next_page_token(found.back()->id().ToString());
    return absl::OkStatus();
  };
  return parts_.dispatcher.Unary(
      context, request, response,
      [&](Call& call, const v1::ListTransactionsRequest& asked,
          v1::ListTransactionsResponse& answer) { call.Complete(list(asked, answer)); });
}

grpc::ServerBidiReactor<v1::SessionRequest, v1::SessionResponse>* TransactionService::Session(
    grpc::CallbackServerContext* context) {
  return sessions_.Open(*context);
}

}  // namespace sop::rpc
