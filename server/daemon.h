#pragma once

#include <atomic>
#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <thread>

#include "absl/status/statusor.h"
#include "core/base/clock.h"
#include "core/base/file_system.h"
#include "core/base/memory/memory_budget.h"
#include "core/base/mutex.h"
#include "core/base/thread_pool.h"
#include "server/config/server_options.h"
#include "server/http/http_face.h"
#include "server/load/admission.h"
#include "server/observe/metrics.h"
#include "server/rpc/authorizer.h"
#include "server/rpc/dispatcher.h"
#include "server/rpc/grpc_face.h"
#include "server/rpc/upkeep/upkeep_calls.h"
#include "server/rpc/watch/watch_roster.h"
#include "server/session/database_registry.h"
#include "server/session/transaction_registry.h"

namespace sop {

// The running server: registries, services, both ports, and the thread that ends what is idle.
// Start, then Drain, then destruction. Confined to the main thread.
class Daemon {
 public:
  struct Options {
    config::ServerOptions config;
    session::FolderOpener opener;
    session::FolderRemover remover;
    rpc::Upkeep upkeep;
    // Called, on a thread of the daemon, when the log of a database has failed. Ends the process in
    // sopd; recovery at the next start decides what is there.
    std::function<void(const absl::Status&)> fail_stop;
    // What `opener` gives its databases, too; null: one of config.memory_bytes.
    std::shared_ptr<base::MemoryBudget> memory;
    // CacheBudget::Rebalance of what `opener` gives its databases; may be null.
    std::function<void()> rebalance_caches;
    // EngineOptions::incarnation of the databases that `opener` opens.
    uint32_t incarnation = 0;
    // Both must outlive this.
    base::Clock& clock;
    base::FileSystem& files;
  };

  // Serves when it returns. FOLDER_IN_USE, naming the process that holds the data directory;
  // UNAVAILABLE for an address that cannot be had; DAMAGED for the list of databases.
  static absl::StatusOr<std::unique_ptr<Daemon>> Start(Options options);
  // Drains if that was not done.
  ~Daemon();
  Daemon(const Daemon&) = delete;
  Daemon& operator=(const Daemon&) = delete;

  // Where it listens and keeps data, in a few lines.
  std::string Greeting() const;
  int grpc_port() const { return grpc_->port(); }
  // 0 if the HTTP port is off.
  int http_port() const { return http_ == nullptr ? 0 : http_->port(); }

  // Takes no more calls, lets those in flight finish for the time configured, ends open
  // transactions. Idempotent.
  void Drain();

 private:
  struct Services;

  explicit Daemon(Options options);
  absl::Status OpenFaces();
  // What /metrics shows beside what is counted as it happens.
  void Sample(std::vector<prometheus::MetricFamily>* families);
  // Opens `default`, so that the first request finds it open; what is wrong with it is logged.
  void WarmUp();
  void KeepHouse() SOP_EXCLUDES(mu_);
  // Closes databases that nobody uses when memory is short, on the workers.
  void RelieveMemory();
  // Lets storages give space back, on the workers.
  void KeepStorages();

  // In the order of their needs: what is used by others comes before them.
  const Options options_;
  observe::Metrics metrics_;
  rpc::OpenAuthorizer authorizer_;
  std::unique_ptr<base::ThreadPool> workers_;
  std::unique_ptr<rpc::MethodTable> methods_;
  std::unique_ptr<load::Admission> admission_;
  std::unique_ptr<session::DatabaseRegistry> databases_;
  std::unique_ptr<session::TransactionRegistry> transactions_;
  rpc::WatchRoster watches_;
  std::unique_ptr<rpc::Dispatcher> dispatcher_;
  std::unique_ptr<Services> services_;
  std::unique_ptr<rpc::GrpcFace> grpc_;
  std::unique_ptr<http::HttpFace> http_;
  std::atomic<bool> healthy_ = true;
  // A worker is closing databases.
  std::atomic<bool> relieving_ = false;

  base::Mutex mu_;
  base::CondVar wake_;
  bool stopping_ SOP_GUARDED_BY(mu_) = false;
  std::thread house_keeper_;
};

}  // namespace sop
