#pragma once

#include <filesystem>
#include <map>
#include <memory>
#include <string>
#include <utility>

#include "core/base/clock.h"
#include "core/base/error.h"
#include "core/base/file_system.h"
#include "core/base/mutex.h"
#include "core/base/random.h"
#include "core/base/thread_pool.h"
#include "core/btree/node/apply.h"
#include "core/catalog/database.h"
#include "fmt/format.h"
#include "google/rpc/error_details.pb.h"
#include "google/rpc/status.pb.h"
#include "grpcpp/create_channel.h"
#include "gtest/gtest.h"
#include "server/daemon.h"
#include "sop/v1/admin.grpc.pb.h"
#include "sop/v1/btree.grpc.pb.h"
#include "sop/v1/database.grpc.pb.h"
#include "sop/v1/transaction.grpc.pb.h"
#include "storage/memory/fault_injecting_storage.h"
#include "storage/memory/memory_storage.h"

namespace sop {

// For tests: a daemon on free ports whose databases are in memory but survive its restart, a folder
// of its own, and stubs. Confined to the test.
class TestServer {
 public:
  explicit TestServer(config::Limits limits = {}) : limits_(limits) {
    std::string name = (std::filesystem::temp_directory_path() / "sop-server-XXXXXX").string();
    EXPECT_NE(mkdtemp(name.data()), nullptr);
    folder_ = std::filesystem::canonical(name).string();
    std::filesystem::create_directories(root());
    Restart();
  }
  ~TestServer() {
    daemon_.reset();
    std::filesystem::remove_all(folder_);
  }

  std::string root() const { return folder_ + "/root"; }
  Daemon& daemon() { return *daemon_; }

  // Has a call to the storage of the database `default` fail, until the next Restart.
  void Arm(memory::Fault fault) {
    base::MutexLock lock(mu_);
    default_storage_->Arm(std::move(fault));
  }

  // Ends the daemon and starts another over the same databases.
  void Restart() {
    daemon_.reset();
    ++incarnation_;
    config::ServerOptions options;
    options.home_folder = folder_ + "/home";
    options.listen = "127.0.0.1:0";
    options.http = "127.0.0.1:0";
    options.stores_roots = {root()};
    options.workers = 4;
    options.drain = absl::Seconds(2);
    options.limits = limits_;
    auto daemon =
        Daemon::Start({.config = options,
                       .opener = [this](const std::string& name,
                                        const std::string& folder) { return Open(name, folder); },
                       .remover =
                           [this](const std::string& folder) {
                             base::MutexLock lock(mu_);
                             states_.erase(folder);
                             return absl::OkStatus();
                           },
                       .incarnation = incarnation_,
                       .clock = base::SystemClock(),
                       .files = base::SystemFileSystem()});
    ASSERT_TRUE(daemon.ok()) << daemon.status();
    daemon_ = *std::move(daemon);
    grpc::ChannelArguments arguments;
    arguments.SetMaxSendMessageSize(-1);
    // Channels to one address are shared otherwise, also with a server that is gone.
    arguments.SetInt(GRPC_ARG_USE_LOCAL_SUBCHANNEL_POOL, 1);
    auto channel = grpc::CreateCustomChannel(fmt::format("127.0.0.1:{}", daemon_->grpc_port()),
                                             grpc::InsecureChannelCredentials(), arguments);
    btree = v1::BtreeService::NewStub(channel);
    database = v1::DatabaseService::NewStub(channel);
    transaction = v1::TransactionService::NewStub(channel);
  }

  std::unique_ptr<v1::BtreeService::Stub> btree;
  std::unique_ptr<v1::DatabaseService::Stub> database;
  std::unique_ptr<v1::TransactionService::Stub> transaction;

 private:
  absl::StatusOr<std::unique_ptr<catalog::Database>> Open(const std::string& name,
                                                          const std::string& folder) {
    catalog::DatabaseOptions options;
    options.name = name;
    options.folder = folder;
    {
      base::MutexLock lock(mu_);
      auto& state = states_[folder];
      if (state == nullptr) {
        state =
            memory::MemoryStorage::Create(&btree::Apply, base::SystemClock(), base::SystemRandom())
                ->state();
      }
      auto storage = std::make_unique<memory::FaultInjectingStorage>(
          std::make_unique<memory::MemoryStorage>(state, &btree::Apply));
      if (name == "default") default_storage_ = storage.get();
      options.storage = std::move(storage);
    }
    options.engine.clock = &base::SystemClock();
    options.engine.random = &base::SystemRandom();
    options.engine.files = &base::SystemFileSystem();
    options.engine.pool = &committers_;
    options.engine.cache = std::make_shared<txn::CacheBudget>(size_t{64} << 20);
    options.engine.spill_folder = folder_ + "/spill-" + name;
    options.engine.incarnation = incarnation_;
    return catalog::Database::Open(std::move(options));
  }

  const config::Limits limits_;
  std::string folder_;
  uint32_t incarnation_ = 0;
  base::ThreadPool committers_{4};
  base::Mutex mu_;
  std::map<std::string, std::shared_ptr<memory::MemoryState>> states_ SOP_GUARDED_BY(mu_);
  // Of the daemon.
  memory::FaultInjectingStorage* default_storage_ SOP_GUARDED_BY(mu_) = nullptr;
  std::unique_ptr<Daemon> daemon_;
};

// What the server says of a failed call; fails the test if it says nothing.
inline google::rpc::ErrorInfo ErrorOf(const grpc::Status& status) {
  google::rpc::Status wire;
  google::rpc::ErrorInfo error;
  EXPECT_TRUE(wire.ParseFromString(status.error_details()));
  EXPECT_GT(wire.details_size(), 0) << status.error_message();
  if (wire.details_size() > 0) EXPECT_TRUE(wire.details(0).UnpackTo(&error));
  EXPECT_EQ(error.domain(), "sop");
  return error;
}
inline std::string ReasonIn(const grpc::Status& status) {
  return status.ok() ? "OK" : ErrorOf(status).reason();
}

// Calls a unary method of a stub: Call(*server.btree, &v1::BtreeService::Stub::Add, request, &r).
template <typename Stub, typename Request, typename Response>
grpc::Status Call(Stub& stub,
                  grpc::Status (Stub::*method)(grpc::ClientContext*, const Request&, Response*),
                  const Request& request, Response* response) {
  grpc::ClientContext context;
  context.set_deadline(std::chrono::system_clock::now() + std::chrono::seconds(20));
  return (stub.*method)(&context, request, response);
}

}  // namespace sop
