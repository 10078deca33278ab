#pragma once

#include <memory>

#include "server/rpc/dispatcher.h"
#include "server/rpc/operation/read_placement.h"
#include "server/session/database_registry.h"
#include "sop/v1/transaction.pb.h"

namespace sop::rpc {

// TransactionService.Execute: a list of operations run and committed in one call. Thread-safe.
class Executor {
 public:
  // Both must outlive this.
  struct Parts {
    Dispatcher& dispatcher;
    session::DatabaseRegistry& databases;
  };
  explicit Executor(const Parts& parts) : parts_(parts) {}

  // Sees to it that `call` is completed. Short requests to open databases run on the calling thread
  // as long as storage need not be read, everything else on the workers.
  void Start(Call& call, const v1::ExecuteRequest& request, v1::ExecuteResponse& response);

 private:
  // One call under way; the call keeps the messages alive.
  struct Job {
    Call* call;
    const v1::ExecuteRequest* request;
    v1::ExecuteResponse* response;
    Uuid request_id;
    Sequence at_least;
    int tries = 0;
  };

  void RunJob(Job job, std::shared_ptr<session::OpenDatabase> database);
  void CommitJob(const Job& job, std::shared_ptr<session::OpenDatabase> database,
                 std::unique_ptr<catalog::StoreSet> stores);
  absl::Status RunOperations(const Job& job, session::OpenDatabase& database,
                             catalog::StoreSet& stores);
  void Replay(const Job& job, Sequence version, const std::string& reply);

  const Parts parts_;
  ReadPlacement placement_;
};

}  // namespace sop::rpc
