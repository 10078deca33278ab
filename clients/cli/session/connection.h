#pragma once

#include <grpcpp/grpcpp.h>

#include <memory>
#include <string>
#include <string_view>
#include <utility>

#include "absl/functional/function_ref.h"
#include "absl/status/statusor.h"
#include "absl/time/clock.h"
#include "absl/time/time.h"
#include "clients/cli/session/failure.h"
#include "clients/cli/session/interruption.h"
#include "clients/cpp/channel.h"
#include "core/base/status_macros.h"
#include "sop/v1/admin.grpc.pb.h"
#include "sop/v1/btree.grpc.pb.h"
#include "sop/v1/database.grpc.pb.h"
#include "sop/v1/transaction.grpc.pb.h"

namespace sop::cli {

// The server, called one call at a time. Failures carry the server's reason and metadata.
// Thread-compatible.
class Connection {
 public:
  struct Options {
    // HOST:PORT.
    std::string address;
    // Of one call; streams have no limit.
    absl::Duration timeout = absl::Seconds(60);
    client::ChannelSharing sharing = client::ChannelSharing::kShared;
    // What ends calls early; null: nothing does. Must outlive the connection.
    Interruption* interruption = nullptr;
  };

  explicit Connection(Options options);

  // Calls `method` of `stub`: Call(connection.btree(), &v1::BtreeService::Stub::Get, request).
  template <typename Stub, typename Request, typename Response>
  absl::StatusOr<Response> Call(Stub& stub,
                                grpc::Status (Stub::*method)(grpc::ClientContext*, const Request&,
                                                             Response*),
                                const Request& request) {
    if constexpr (requires(Request placed) { placed.set_transaction_id(std::string()); }) {
      if (!transaction_.empty() && request.transaction_id().empty()) {
        Request placed = request;
        Place(&placed);
        return CallAsIs(stub, method, placed);
      }
    }
    return CallAsIs(stub, method, request);
  }

  // client::PutValue and client::ReadValue, as Call calls.
  absl::StatusOr<v1::PutValueResponse> PutValue(v1::PutValueRequest header, std::string_view value);
  absl::StatusOr<v1::ReadValueResponse> ReadValue(v1::ReadValueRequest request);

  // The transaction that calls are part of unless they name another; empty: none. What a stream is
  // part of is up to its owner.
  void set_transaction(std::string id) { transaction_ = std::move(id); }
  const std::string& transaction() const { return transaction_; }

  // Waits until there is a connection, at most for `limit`. Between calls that fail at once nobody
  // else goes on with connecting.
  void WaitForServer(absl::Duration limit);

  v1::AdminService::Stub& admin() { return *admin_; }
  v1::BtreeService::Stub& btree() { return *btree_; }
  v1::DatabaseService::Stub& databases() { return *databases_; }
  v1::TransactionService::Stub& transactions() { return *transactions_; }
  const std::string& address() const { return options_.address; }

  // 16 bytes for `request_id`: what carries it may be sent again.
  static std::string MakeRequestId();

 private:
  template <typename Stub, typename Request, typename Response>
  absl::StatusOr<Response> CallAsIs(Stub& stub,
                                    grpc::Status (Stub::*method)(grpc::ClientContext*,
                                                                 const Request&, Response*),
                                    const Request& request) {
    Response response;
    SOP_RETURN_IF_ERROR(Run(
        [&](grpc::ClientContext* context) { return (stub.*method)(context, request, &response); }));
    return response;
  }

  // Makes a call that ends at its time, or when the user wants it to.
  absl::Status Run(absl::FunctionRef<grpc::Status(grpc::ClientContext*)> call);
  // Names the transaction that calls are part of.
  template <typename Request>
  void Place(Request* request) const {
    if (!transaction_.empty() && request->transaction_id().empty()) {
      request->set_transaction_id(transaction_);
      if constexpr (requires { request->clear_request_id(); }) {
        request->clear_request_id();
      }
    }
  }

  const Options options_;
  const std::shared_ptr<grpc::Channel> channel_;
  const std::unique_ptr<v1::AdminService::Stub> admin_;
  const std::unique_ptr<v1::BtreeService::Stub> btree_;
  const std::unique_ptr<v1::DatabaseService::Stub> databases_;
  const std::unique_ptr<v1::TransactionService::Stub> transactions_;
  std::string transaction_;

  Connection(Options options, std::shared_ptr<grpc::Channel> channel);
};

}  // namespace sop::cli
