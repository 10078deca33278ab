#include "server/rpc/btree_service.h"

#include "server/rpc/scan_call.h"

namespace sop::rpc {

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

grpc::ServerUnaryReactor* BtreeService::Add(grpc::CallbackServerContext* context,
                                            const v1::AddRequest* request,
                                            v1::AddResponse* response) {
  return Operate(context, request, response);
}

grpc::ServerUnaryReactor* BtreeService::AddIfNotExists(grpc::CallbackServerContext* context,
                                                       const v1::AddIfNotExistsRequest* request,
                                                       v1::AddIfNotExistsResponse* response) {
  return Operate(context, request, response);
}

grpc::ServerUnaryReactor* BtreeService::Update(grpc::CallbackServerContext* context,
                                               const v1::UpdateRequest* request,
                                               v1::UpdateResponse* response) {
  return Operate(context, request, response);
}

grpc::ServerUnaryReactor* BtreeService::Upsert(grpc::CallbackServerContext* context,
                                               const v1::UpsertRequest* request,
                                               v1::UpsertResponse* response) {
  return Operate(context, request, response);
}

grpc::ServerUnaryReactor* BtreeService::UpdateKey(grpc::CallbackServerContext* context,
                                                  const v1::UpdateKeyRequest* request,
                                                  v1::UpdateKeyResponse* response) {
  return Operate(context, request, response);
}

grpc::ServerUnaryReactor* BtreeService::Remove(grpc::CallbackServerContext* context,
                                               const v1::RemoveRequest* request,
                                               v1::RemoveResponse* response) {
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

grpc::ServerWriteReactor<grpc::ByteBuffer>* BtreeService::Scan(grpc::CallbackServerContext* context,
                                                               const grpc::ByteBuffer* request) {
  return new ScanCall(parts_, *context, *request);
}

}  // namespace sop::rpc
