#pragma once

#include "core/base/thread_pool.h"
#include "server/rpc/operation_runner.h"
#include "sop/v1/database.grpc.pb.h"

namespace sop::rpc {

// Databases, and the stores in them. Thread-safe.
class DatabaseService : public v1::DatabaseService::CallbackService {
 public:
  // All must outlive this.
  explicit DatabaseService(const OperationRunner::Parts& parts) : parts_(parts), runner_(parts) {}

  grpc::ServerUnaryReactor* CreateDatabase(grpc::CallbackServerContext* context,
                                           const v1::CreateDatabaseRequest* request,
                                           v1::CreateDatabaseResponse* response) override;
  grpc::ServerUnaryReactor* GetDatabase(grpc::CallbackServerContext* context,
                                        const v1::GetDatabaseRequest* request,
                                        v1::GetDatabaseResponse* response) override;
  grpc::ServerUnaryReactor* ListDatabases(grpc::CallbackServerContext* context,
                                          const v1::ListDatabasesRequest* request,
                                          v1::ListDatabasesResponse* response) override;
  grpc::ServerUnaryReactor* DeleteDatabase(grpc::CallbackServerContext* context,
                                           const v1::DeleteDatabaseRequest* request,
                                           v1::DeleteDatabaseResponse* response) override;
  grpc::ServerUnaryReactor* ListStores(grpc::CallbackServerContext* context,
                                       const v1::ListStoresRequest* request,
                                       v1::ListStoresResponse* response) override;
  grpc::ServerUnaryReactor* GetStore(grpc::CallbackServerContext* context,
                                     const v1::GetStoreRequest* request,
                                     v1::GetStoreResponse* response) override;
  grpc::ServerUnaryReactor* RemoveStore(grpc::CallbackServerContext* context,
                                        const v1::RemoveStoreRequest* request,
                                        v1::RemoveStoreResponse* response) override;
  grpc::ServerUnaryReactor* SetRelations(grpc::CallbackServerContext* context,
                                         const v1::SetRelationsRequest* request,
                                         v1::SetRelationsResponse* response) override;
  grpc::ServerUnaryReactor* CheckRelations(grpc::CallbackServerContext* context,
                                           const v1::CheckRelationsRequest* request,
                                           v1::CheckRelationsResponse* response) override;

 private:
  template <typename Request, typename Response>
  grpc::ServerUnaryReactor* Operate(grpc::CallbackServerContext* context, const Request* request,
                                    Response* response) {
    return parts_.dispatcher.Unary(context, request, response,
                                   [this](Call& call, const Request& asked, Response& answer) {
                                     runner_.Start(call, asked, answer);
                                   });
  }

  absl::Status Delete(const v1::DeleteDatabaseRequest& request);

  const OperationRunner::Parts parts_;
  OperationRunner runner_;
  base::ThreadPool deletions_{1};
};

}  // namespace sop::rpc
