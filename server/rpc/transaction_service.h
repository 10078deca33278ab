#pragma once

#include <memory>

#include "server/rpc/dispatcher.h"
#include "server/rpc/execute.h"
#include "server/session/database_registry.h"
#include "server/session/transaction_registry.h"
#include "sop/v1/transaction.grpc.pb.h"

namespace sop::rpc {

// Transactions over unary calls. Thread-safe.
class TransactionService : public v1::TransactionService::CallbackService {
 public:
  // All must outlive this.
  struct Parts {
    Dispatcher& dispatcher;
    session::DatabaseRegistry& databases;
    session::TransactionRegistry& transactions;
    // What Begin gives to those who do not ask.
    session::TransactionTerms terms;
  };
  explicit TransactionService(const Parts& parts)
      : parts_(parts), executor_({parts.dispatcher, parts.databases}) {}

  grpc::ServerUnaryReactor* Begin(grpc::CallbackServerContext* context,
                                  const v1::BeginRequest* request,
                                  v1::BeginResponse* response) override;
  grpc::ServerUnaryReactor* Commit(grpc::CallbackServerContext* context,
                                   const v1::CommitRequest* request,
                                   v1::CommitResponse* response) override;
  grpc::ServerUnaryReactor* Rollback(grpc::CallbackServerContext* context,
                                     const v1::RollbackRequest* request,
                                     v1::RollbackResponse* response) override;
  grpc::ServerUnaryReactor* Get(grpc::CallbackServerContext* context,
                                const v1::GetTransactionRequest* request,
                                v1::GetTransactionResponse* response) override;
  grpc::ServerUnaryReactor* List(grpc::CallbackServerContext* context,
                                 const v1::ListTransactionsRequest* request,
                                 v1::ListTransactionsResponse* response) override;
  grpc::ServerUnaryReactor* Execute(grpc::CallbackServerContext* context,
                                    const v1::ExecuteRequest* request,
                                    v1::ExecuteResponse* response) override;
  grpc::ServerBidiReactor<v1::SessionRequest, v1::SessionResponse>* Session(
      grpc::CallbackServerContext* context) override;

 private:
  absl::Status BeginIn(std::shared_ptr<session::OpenDatabase> database,
                       const v1::BeginRequest& request, v1::BeginResponse* response);
  // Commits for the holder of the turn.
  void CommitTurn(UnaryCall& call, const v1::CommitRequest& request, v1::CommitResponse& response,
                  session::Turn turn);
  // Answers a Commit of a transaction that is not open: from memory, else from what is kept of
  // outcomes, else with `not_open`.
  void AnswerEnded(UnaryCall& call, TransactionId id, v1::CommitResponse& response,
                   const absl::Status& not_open);

  const Parts parts_;
  Executor executor_;
};

}  // namespace sop::rpc
