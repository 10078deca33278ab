#pragma once

#include <functional>
#include <memory>
#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "core/base/clock.h"
#include "core/base/file_system.h"
#include "core/base/mutex.h"
#include "core/persistence/maintenance.h"
#include "core/persistence/storage.h"
#include "grpcpp/support/server_callback.h"
#include "server/rpc/dispatcher.h"
#include "server/session/database_registry.h"
#include "sop/v1/admin.pb.h"

namespace sop::rpc {

// What upkeep needs beside the databases that are open. Everything must outlive the calls.
struct Upkeep {
  // Null where databases have no files: UNIMPLEMENTED.
  persistence::Backups* backups = nullptr;
  // Opens a folder that nobody has open for checks only.
  std::function<absl::StatusOr<std::unique_ptr<persistence::Storage>>(const std::string& folder)>
      inspect;
  base::FileSystem* files = nullptr;
  base::Clock* clock = nullptr;
};

// The unary calls of upkeep, as the comments of admin.proto say. They block.
absl::Status CheckOpenDatabase(session::DatabaseRegistry& databases, const Upkeep& upkeep,
                               RequestContext& context, v1::CheckResponse* response);
absl::Status ListBackups(session::DatabaseRegistry& databases, const Upkeep& upkeep,
                         const v1::ListBackupsRequest& request, v1::ListBackupsResponse* response);
absl::Status PruneBackups(session::DatabaseRegistry& databases, const Upkeep& upkeep,
                          const v1::PruneBackupsRequest& request,
                          v1::PruneBackupsResponse* response);
absl::Status CompactDatabase(session::DatabaseRegistry& databases, const std::string& name);
absl::Status ReadStatistics(session::DatabaseRegistry& databases, const std::string& name,
                            v1::StatisticsResponse* response);

// AdminService.Backup under way: made on a worker, its progress sent as fast as the caller reads
// and dropped beyond that. Deletes itself when gRPC is done with it. Thread-safe.
class BackupCall : public grpc::ServerWriteReactor<v1::BackupResponse> {
 public:
  // Everything must outlive this; so does `request`.
  BackupCall(Dispatcher& dispatcher, session::DatabaseRegistry& databases, const Upkeep& upkeep,
             const grpc::CallbackServerContext& context, const v1::BackupRequest& request);

  void OnWriteDone(bool ok) override SOP_EXCLUDES(mu_);
  void OnCancel() override { scope_.context().Cancel(); }
  void OnDone() override;

 private:
  absl::Status Run() SOP_EXCLUDES(mu_);
  // Restores the backup beside it and checks it.
  absl::Status Verify(const std::string& target, const persistence::Backup& backup,
                      v1::CheckResponse* verified);
  // Sends `message` once the one before is sent; one that still waits is replaced.
  void Offer(v1::BackupResponse message) SOP_EXCLUDES(mu_);
  // Finishes the call once everything is sent.
  void Conclude(const absl::Status& status) SOP_EXCLUDES(mu_);

  session::DatabaseRegistry& databases_;
  const Upkeep& upkeep_;
  const v1::BackupRequest& request_;
  CallScope scope_;

  base::Mutex mu_;
  v1::BackupResponse sending_ SOP_GUARDED_BY(mu_);
  std::unique_ptr<v1::BackupResponse> waiting_ SOP_GUARDED_BY(mu_);
  bool busy_ SOP_GUARDED_BY(mu_) = false;
  std::unique_ptr<absl::Status> outcome_ SOP_GUARDED_BY(mu_);
  int64_t sent_bytes_ SOP_GUARDED_BY(mu_) = 0;
};

}  // namespace sop::rpc
