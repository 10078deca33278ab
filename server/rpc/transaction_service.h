#pragma once

#include "server/rpc/execute.h"
#include "server/rpc/session_host.h"
#include "server/rpc/transaction_calls.h"
#include "sop/v1/transaction.grpc.pb.h"

namespace sop::rpc {

// Transactions over unary calls and over streams. Thread-safe.
class TransactionService : public v1::TransactionService::CallbackService {
 public:
  // `terms`: what Begin gives to those who do not ask.
  TransactionService(const OperationRunner::Parts& parts, const session::TransactionTerms& terms);

  // Has sessions end; to be called before the port is drained.
  void Drain() { sessions_.Drain(); }

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
  grpc::ServerBidiReactor<v1::SessionRequest, v1::SessionResponse>* Session(
      grpc::CallbackServerContext* context) override;

 private:
  const OperationRunner::Parts parts_;
  Executor executor_;
  TransactionCalls calls_;
  SessionHost sessions_;
};

}  // namespace sop::rpc
