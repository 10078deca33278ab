#include "server/rpc/btree_service.h"

#include "server/rpc/scan_call.h"
#include "server/rpc/value/put_value_call.h"
#include "server/rpc/value/read_value_call.h"
#include "server/rpc/watch/watch_call.h"

namespace sop::rpc {

BtreeService::BtreeService(const OperationRunner::Parts& parts) : parts_(parts), runner_(parts) {
  Receive<v1::AddRequest, v1::AddResponse>();
  Receive<v1::AddIfNotExistsRequest, v1::AddIfNotExistsResponse>();
  Receive<v1::UpdateRequest, v1::UpdateResponse>();
  Receive<v1::UpsertRequest, v1::UpsertResponse>();
  Receive<v1::UpdateKeyRequest, v1::UpdateKeyResponse>();
  Receive<v1::RemoveRequest, v1::RemoveResponse>();
}

grpc::ServerUnaryReactor* BtreeService::CreateBtree(grpc::CallbackServerContext* context,
                                                    const v1::CreateBtreeRequest* request,
                                                    v1::CreateBtreeResponse* response) {
  return Operate(context, request, response);
}

grpc::ServerUnaryReactor* BtreeService::OpenBtree(grpc::CallbackServerContext* context,
                                                  const v1::OpenBtreeRequest* request,
                                                  v1::OpenBtreeResponse* response) {
  return Operate(context, request, response);
}

grpc::ServerUnaryReactor* BtreeService::Get(grpc::CallbackServerContext* context,
                                            const v1::GetRequest* request,
                                            v1::GetResponse* response) {
  return Operate(context, request, response);
}

grpc::ServerUnaryReactor* BtreeService::Seek(grpc::CallbackServerContext* context,
                                             const v1::SeekRequest* request,
                                             v1::SeekResponse* response) {
  return Operate(context, request, response);
}

grpc::ServerUnaryReactor* BtreeService::ReadPage(grpc::CallbackServerContext* context,
                                                 const v1::ReadPageRequest* request,
                                                 v1::ReadPageResponse* response) {
  return Operate(context, request, response);
}

grpc::ServerUnaryReactor* BtreeService::Count(grpc::CallbackServerContext* context,
                                              const v1::CountRequest* request,
                                              v1::CountResponse* response) {
  return Operate(context, request, response);
}

grpc::ServerUnaryReactor* BtreeService::Sample(grpc::CallbackServerContext* context,
                                               const v1::SampleRequest* request,
                                               v1::SampleResponse* response) {
  return Operate(context, request, response);
}

grpc::ServerWriteReactor<grpc::ByteBuffer>* BtreeService::Scan(grpc::CallbackServerContext* context,
                                                               const grpc::ByteBuffer* request) {
  return new ScanCall(parts_, *context, *request);
}

grpc::ServerReadReactor<v1::PutValueRequest>* BtreeService::PutValue(
    grpc::CallbackServerContext* context, v1::PutValueResponse* response) {
  auto* const call = new PutValueCall(parts_, runner_, *context, response);
  call->Start();
  return call;
}

grpc::ServerWriteReactor<v1::ReadValueResponse>* BtreeService::ReadValue(
    grpc::CallbackServerContext* context, const v1::ReadValueRequest* request) {
  return new ReadValueCall(parts_, *context, *request);
}

grpc::ServerWriteReactor<v1::WatchResponse>* BtreeService::Watch(
    grpc::CallbackServerContext* context, const v1::WatchRequest* request) {
  return new WatchCall(parts_, *context, *request);
}

}  // namespace sop::rpc
