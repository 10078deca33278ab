#pragma once

#include "server/rpc/dispatcher.h"
#include "server/rpc/upkeep/upkeep_calls.h"
#include "server/session/database_registry.h"
#include "sop/v1/admin.grpc.pb.h"

namespace sop::rpc {

// Echo in every shape, and the upkeep of databases. Thread-safe.
class AdminService : public v1::AdminService::CallbackService {
 public:
  // Both must outlive this, as must what `upkeep` names.
  AdminService(Dispatcher& dispatcher, session::DatabaseRegistry& databases, const Upkeep& upkeep)
      : dispatcher_(dispatcher), databases_(databases), upkeep_(upkeep) {}

  grpc::ServerUnaryReactor* Echo(grpc::CallbackServerContext* context,
                                 const v1::EchoRequest* request,
                                 v1::EchoResponse* response) override;
  grpc::ServerWriteReactor<v1::EchoStreamResponse>* EchoStream(
      grpc::CallbackServerContext* context, const v1::EchoStreamRequest* request) override;
  grpc::ServerBidiReactor<v1::EchoSessionRequest, v1::EchoSessionResponse>* EchoSession(
      grpc::CallbackServerContext* context) override;

  grpc::ServerUnaryReactor* Check(grpc::CallbackServerContext* context,
                                  const v1::CheckRequest* request,
                                  v1::CheckResponse* response) override;
  grpc::ServerWriteReactor<v1::BackupResponse>* Backup(grpc::CallbackServerContext* context,
                                                       const v1::BackupRequest* request) override;
  grpc::ServerUnaryReactor* ListBackups(grpc::CallbackServerContext* context,
                                        const v1::ListBackupsRequest* request,
                                        v1::ListBackupsResponse* response) override;
  grpc::ServerUnaryReactor* PruneBackups(grpc::CallbackServerContext* context,
                                         const v1::PruneBackupsRequest* request,
                                         v1::PruneBackupsResponse* response) override;
  grpc::ServerUnaryReactor* Compact(grpc::CallbackServerContext* context,
                                    const v1::CompactRequest* request,
                                    v1::CompactResponse* response) override;
  grpc::ServerUnaryReactor* Statistics(grpc::CallbackServerContext* context,
                                       const v1::StatisticsRequest* request,
                                       v1::StatisticsResponse* response) override;

 private:
  Dispatcher& dispatcher_;
  session::DatabaseRegistry& databases_;
  const Upkeep upkeep_;
};

}  // namespace sop::rpc
