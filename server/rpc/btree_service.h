#pragma once

#include "server/rpc/operation_runner.h"
#include "server/rpc/wire/watched_call.h"
#include "sop/v1/btree.grpc.pb.h"

namespace sop::rpc {

// Ordered stores: every call is an operation for the runner, but Scan. Requests that write are
// looked after while they are received. Thread-safe.
class BtreeService
    : public v1::BtreeService::WithRawCallbackMethod_Scan<v1::BtreeService::CallbackService> {
  using Base = v1::BtreeService::WithRawCallbackMethod_Scan<v1::BtreeService::CallbackService>;

 public:
  // All must outlive this.
  explicit BtreeService(const OperationRunner::Parts& parts);

  grpc::ServerUnaryReactor* CreateBtree(grpc::CallbackServerContext* context,
                                        const v1::CreateBtreeRequest* request,
                                        v1::CreateBtreeResponse* response) override;
  grpc::ServerUnaryReactor* OpenBtree(grpc::CallbackServerContext* context,
                                      const v1::OpenBtreeRequest* request,
                                      v1::OpenBtreeResponse* response) override;
  grpc::ServerUnaryReactor* Get(grpc::CallbackServerContext* context, const v1::GetRequest* request,
                                v1::GetResponse* response) override;
  grpc::ServerUnaryReactor* Seek(grpc::CallbackServerContext* context,
                                 const v1::SeekRequest* request,
                                 v1::SeekResponse* response) override;
  grpc::ServerUnaryReactor* ReadPage(grpc::CallbackServerContext* context,
                                     const v1::ReadPageRequest* request,
                                     v1::ReadPageResponse* response) override;
  grpc::ServerUnaryReactor* Count(grpc::CallbackServerContext* context,
                                  const v1::CountRequest* request,
                                  v1::CountResponse* response) override;
  grpc::ServerUnaryReactor* Sample(grpc::CallbackServerContext* context,
                                   const v1::SampleRequest* request,
                                   v1::SampleResponse* response) override;
  grpc::ServerWriteReactor<v1::WatchResponse>* Watch(grpc::CallbackServerContext* context,
                                                     const v1::WatchRequest* request) override;
  grpc::ServerReadReactor<v1::PutValueRequest>* PutValue(grpc::CallbackServerContext* context,
                                                         v1::PutValueResponse* response) override;
  grpc::ServerWriteReactor<v1::ReadValueResponse>* ReadValue(
      grpc::CallbackServerContext* context, const v1::ReadValueRequest* request) override;
  using Base::Scan;
  // Its messages are put together by the call itself.
  grpc::ServerWriteReactor<grpc::ByteBuffer>* Scan(grpc::CallbackServerContext* context,
                                                   const grpc::ByteBuffer* request) override;

 private:
  template <typename Request, typename Response>
  grpc::ServerUnaryReactor* Operate(grpc::CallbackServerContext* context, const Request* request,
                                    Response* response) {
    return parts_.dispatcher.Unary(context, request, response,
                                   [this](Call& call, const Request& asked, Response& answer) {
                                     runner_.Start(call, asked, answer);
                                   });
  }

  template <typename Request, typename Response>
  void Receive() {
    MarkMethodStreamed(
        MethodIndexOf(*Request::descriptor()),
        new WatchedHandler<Request, Response>(
            parts_.dispatcher, [this](Call& call, const Request& request, Response& response) {
              runner_.Start(call, request, response);
            }));
  }

  const OperationRunner::Parts parts_;
  OperationRunner runner_;
};

}  // namespace sop::rpc
