#pragma once

#include "server/rpc/dispatcher.h"
#include "sop/v1/admin.grpc.pb.h"

namespace sop::rpc {

// Echo in every shape. Thread-safe.
class AdminService : public v1::AdminService::CallbackService {
 public:
  // `dispatcher` must outlive this.
  explicit AdminService(Dispatcher& dispatcher) : dispatcher_(dispatcher) {}

  grpc::ServerUnaryReactor* Echo(grpc::CallbackServerContext* context,
                                 const v1::EchoRequest* request,
                                 v1::EchoResponse* response) override;
  grpc::ServerWriteReactor<v1::EchoStreamResponse>* EchoStream(
      grpc::CallbackServerContext* context, const v1::EchoStreamRequest* request) override;
  grpc::ServerBidiReactor<v1::EchoSessionRequest, v1::EchoSessionResponse>* EchoSession(
      grpc::CallbackServerContext* context) override;

 private:
  Dispatcher& dispatcher_;
};

}  // namespace sop::rpc
