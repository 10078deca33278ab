#pragma once

#include <memory>
#include <string>

#include "core/txn/engine.h"
#include "google/protobuf/message.h"
#include "server/convert/id.h"
#include "server/rpc/dispatcher.h"
#include "server/rpc/operation/operations.h"
#include "server/rpc/operation/read_placement.h"
#include "server/rpc/operation/transaction_options.h"
#include "server/session/database_registry.h"
#include "server/session/transaction_registry.h"

namespace sop::rpc {

class WatchRoster;

// Runs operations for unary calls: in the transaction that the request names, one at a time in
// order of arrival, or in a transaction of their own, which is committed before the answer. Short
// work on open databases runs on the calling thread as long as storage need not be read, everything
// else on the workers. Thread-safe.
class OperationRunner {
 public:
  // All must outlive this.
  struct Parts {
    Dispatcher& dispatcher;
    session::DatabaseRegistry& databases;
    session::TransactionRegistry& transactions;
    WatchRoster& watches;
  };
  explicit OperationRunner(const Parts& parts) : parts_(parts) {}

  // Sees to it that `call` is completed. REQUIRES: an overload of rpc::Run for the types.
  template <typename Request, typename Response>
  void Start(Call& call, const Request& request, Response& response);

 private:
  enum class Effect { kReads, kWrites };
  enum class Weight { kShort, kLong };

  // An operation of a unary call without its types. The call keeps the messages alive.
  struct Job {
    Call* call;
    const google::protobuf::Message* request;
    google::protobuf::Message* response;
    absl::Status (*run)(OperationScope& scope, const google::protobuf::Message& request,
                        google::protobuf::Message* response);
    void (*set_version)(google::protobuf::Message* response, Sequence version);
    Effect effect;
    Weight weight;
    TransactionId transaction;
    Uuid request_id;
    int tries = 0;
  };

  template <typename Request>
  static Weight WeightOf(const Request& request);
  // Whether it may run on the thread that it came on.
  bool RunsHere(const Job& job) const {
    return job.call->thread() == Call::Thread::kMayBlock ||
           (job.weight == Weight::kShort && job.request_id.IsZero() && placement_.RunsHere());
  }

  void StartJob(const Job& job);
  absl::Status RunJob(const Job& job, OperationScope& scope);
  void RunInTransaction(const Job& job, const session::Turn& turn);
  void RunAlone(Job job, std::shared_ptr<session::OpenDatabase> database);
  void CommitAlone(const Job& job, std::shared_ptr<session::OpenDatabase> database,
                   std::unique_ptr<catalog::StoreSet> stores);
  // Answers with what an earlier try with the same request_id was answered.
  void Replay(const Job& job, Sequence version, const std::string& reply);

  const Parts parts_;
  ReadPlacement placement_;
};

// A request of more items than this is long work.
inline constexpr int kShortRequestItems = 64;

template <typename Request>
OperationRunner::Weight OperationRunner::WeightOf(const Request& request) {
  int items = 1;
  if constexpr (requires { request.items(); }) items = request.items_size();
  if constexpr (requires { request.keys(); }) items = request.keys_size();
  bool packed = false;
  if constexpr (requires { request.packed_keys(); }) packed = !request.packed_keys().empty();
  if constexpr (requires { request.items(); }) packed = !request.packed().empty();
  if constexpr (requires { request.has_filter(); }) packed = packed || request.has_filter();
  constexpr bool pages = requires { request.page_size(); }
  || requires { request.with_size(); }
  || requires { request.seed(); };
  return pages || packed || items > kShortRequestItems ? Weight::kLong : Weight::kShort;
}

template <typename Request, typename Response>
void OperationRunner::Start(Call& call, const Request& request, Response& response) {
  Job job = {
      .call = &call,
      .request = &request,
      .response = &response,
      .run =
          [](OperationScope& scope, const google::protobuf::Message& asked,
             google::protobuf::Message* answer) {
            return Run(scope, static_cast<const Request&>(asked), static_cast<Response*>(answer));
          },
      .set_version =
          [](google::protobuf::Message* answer, Sequence version) {
            static_cast<Response*>(answer)->set_commit_version(convert::CommitVersion(version));
          },
      .effect = Effect::kReads,
      .weight = WeightOf(request),
      .transaction = {},
      .request_id = {}};
  auto transaction = TransactionOf(call.context(), request.transaction_id());
  if (!transaction.ok()) return call.Complete(transaction.status());
  job.transaction = *transaction;
  if constexpr (requires { request.request_id(); }) {
    job.effect = Effect::kWrites;
    auto request_id = convert::RequestIdFromProto(request.request_id());
    if (!request_id.ok()) return call.Complete(request_id.status());
    job.request_id = *request_id;
  }
  StartJob(job);
}

}  // namespace sop::rpc
