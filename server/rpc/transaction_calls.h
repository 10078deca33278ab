#pragma once

#include <memory>

#include "core/base/ids.h"
#include "server/rpc/dispatcher.h"
#include "server/session/database_registry.h"
#include "server/session/transaction_registry.h"
#include "sop/v1/transaction.pb.h"

namespace sop::rpc {

// Begin, Commit and Rollback, for unary calls and for streams. Thread-safe.
class TransactionCalls {
 public:
  // All must outlive this.
  struct Parts {
    Dispatcher& dispatcher;
    session::DatabaseRegistry& databases;
    session::TransactionRegistry& transactions;
    // What Begin gives to those who do not ask.
    session::TransactionTerms terms;
  };
  explicit TransactionCalls(const Parts& parts) : parts_(parts) {}

  // Each sees to it that `call` is completed; it keeps request and response alive. Errors as the
  // rpc's comment says.
  void Begin(Call& call, const v1::BeginRequest& request, v1::BeginResponse& response);
  void Commit(Call& call, const v1::CommitRequest& request, v1::CommitResponse& response);
  void Rollback(Call& call, const v1::RollbackRequest& request, v1::RollbackResponse& response);

 private:
  absl::Status BeginIn(std::shared_ptr<session::OpenDatabase> database,
                       const v1::BeginRequest& request, v1::BeginResponse* response);
  // Commits for the holder of the turn.
  void CommitTurn(Call& call, const v1::CommitRequest& request, v1::CommitResponse& response,
                  session::Turn turn);
  // Answers a Commit of a transaction that is not open: from memory, else from what is kept of
  // outcomes, else with `not_open`.
  void AnswerEnded(Call& call, TransactionId id, v1::CommitResponse& response,
                   const absl::Status& not_open);
  // Answers a Rollback of a transaction of an earlier run of the server.
  void RollbackEarlier(Call& call, TransactionId id);

  const Parts parts_;
};

}  // namespace sop::rpc
