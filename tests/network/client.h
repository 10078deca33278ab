#pragma once

#include <grpcpp/grpcpp.h>

#include <cstdint>
#include <cstdlib>
#include <memory>
#include <string>

#include "absl/time/clock.h"
#include "core/base/clock.h"
#include "core/base/random.h"
#include "google/rpc/error_details.pb.h"
#include "google/rpc/status.pb.h"
#include "sop/v1/btree.grpc.pb.h"
#include "sop/v1/database.grpc.pb.h"
#include "sop/v1/transaction.grpc.pb.h"

namespace sop::network {

// The size or seed of a run: `variable` of the environment, else `ours`.
inline uint64_t NumberFrom(const char* variable, uint64_t ours) {
  const char* const given = std::getenv(variable);
  return given == nullptr ? ours : std::strtoull(given, nullptr, 10);
}

// The reason that the server gave with an error; empty if it gave none.
inline std::string ReasonIn(const grpc::Status& status) {
  google::rpc::Status details;
  google::rpc::ErrorInfo found;
  if (details.ParseFromString(status.error_details())) {
    for (const google::protobuf::Any& detail : details.details()) {
      if (detail.Is<google::rpc::ErrorInfo>()) detail.UnpackTo(&found);
    }
  }
  return found.reason();
}

inline std::string MakeRequestId() {
  return base::MakeUuid7(base::SystemClock(), base::SystemRandom()).Bytes();
}

// The services of a server over one channel, one call at a time. Thread-safe.
class Client {
 public:
  explicit Client(const std::shared_ptr<grpc::Channel>& channel)
      : databases(v1::DatabaseService::NewStub(channel)),
        transactions(v1::TransactionService::NewStub(channel)),
        btrees(v1::BtreeService::NewStub(channel)) {}

  // Runs one call; gives up after `limit`.
  template <typename Stub, typename Request, typename Response>
  static grpc::Status Call(
      Stub& stub, grpc::Status (Stub::*method)(grpc::ClientContext*, const Request&, Response*),
      const Request& request, Response* response, absl::Duration limit = absl::Seconds(60)) {
    grpc::ClientContext context;
    context.set_deadline(absl::ToChronoTime(absl::Now() + limit));
    response->Clear();
    return (stub.*method)(&context, request, response);
  }

  grpc::Status Call(const v1::AddRequest& request, v1::AddResponse* response) {
    return Call(*btrees, &v1::BtreeService::Stub::Add, request, response);
  }
  grpc::Status Call(const v1::UpdateRequest& request, v1::UpdateResponse* response) {
    return Call(*btrees, &v1::BtreeService::Stub::Update, request, response);
  }
  grpc::Status Call(const v1::UpsertRequest& request, v1::UpsertResponse* response) {
    return Call(*btrees, &v1::BtreeService::Stub::Upsert, request, response);
  }
  grpc::Status Call(const v1::RemoveRequest& request, v1::RemoveResponse* response) {
    return Call(*btrees, &v1::BtreeService::Stub::Remove, request, response);
  }
  grpc::Status Call(const v1::GetRequest& request, v1::GetResponse* response) {
    return Call(*btrees, &v1::BtreeService::Stub::Get, request, response);
  }
  grpc::Status Call(const v1::CountRequest& request, v1::CountResponse* response) {
    return Call(*btrees, &v1::BtreeService::Stub::Count, request, response);
  }
  grpc::Status Call(const v1::ReadPageRequest& request, v1::ReadPageResponse* response) {
    return Call(*btrees, &v1::BtreeService::Stub::ReadPage, request, response);
  }
  grpc::Status Call(const v1::CreateBtreeRequest& request, v1::CreateBtreeResponse* response) {
    return Call(*btrees, &v1::BtreeService::Stub::CreateBtree, request, response);
  }
  grpc::Status Call(const v1::ExecuteRequest& request, v1::ExecuteResponse* response) {
    return Call(*transactions, &v1::TransactionService::Stub::Execute, request, response);
  }
  grpc::Status Call(const v1::BeginRequest& request, v1::BeginResponse* response) {
    return Call(*transactions, &v1::TransactionService::Stub::Begin, request, response);
  }
  grpc::Status Call(const v1::CommitRequest& request, v1::CommitResponse* response) {
    return Call(*transactions, &v1::TransactionService::Stub::Commit, request, response);
  }
  grpc::Status Call(const v1::RollbackRequest& request, v1::RollbackResponse* response) {
    return Call(*transactions, &v1::TransactionService::Stub::Rollback, request, response);
  }
  grpc::Status Call(const v1::ListTransactionsRequest& request,
                    v1::ListTransactionsResponse* response) {
    return Call(*transactions, &v1::TransactionService::Stub::List, request, response);
  }

  const std::unique_ptr<v1::DatabaseService::Stub> databases;
  const std::unique_ptr<v1::TransactionService::Stub> transactions;
  const std::unique_ptr<v1::BtreeService::Stub> btrees;
};

}  // namespace sop::network
