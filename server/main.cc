#include <sys/resource.h>

#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <memory>
#include <optional>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "absl/synchronization/mutex.h"
#include "core/base/clock.h"
#include "core/base/file_system.h"
#include "core/base/random.h"
#include "core/base/status_macros.h"
#include "core/base/thread_pool.h"
#include "core/btree/node/apply.h"
#include "core/catalog/database.h"
#include "server/config/load_options.h"
#include "server/daemon.h"
#include "server/load/process_memory.h"
#include "server/observe/log.h"
#include "server/offline/offline_command.h"
#include "storage/rocksdb/rocksdb_environment.h"
#include "storage/rocksdb/rocksdb_storage.h"
#include "storage/rocksdb/upkeep/backup.h"
#include "storage/rocksdb/upkeep/repair.h"

namespace sop {
namespace {

// Of the memory: RocksDB's blocks and write buffers, and conflict windows. The rest is for nodes
// and for what requests and transactions hold, which nodes give way to.
constexpr double kStorageShare = 3.0 / 8;
constexpr double kWindowsShare = 1.0 / 16;

// From here on the process has memory by huge pages, and keeps what is unused.
constexpr int64_t kLeastForAmpleMemory = int64_t{1} << 30;

size_t Share(const config::ServerOptions& options, double share) {
  return static_cast<size_t>(static_cast<double>(options.memory_bytes) * share);
}

// Opens databases on RocksDB, all under one memory budget. Must outlive them. Thread-safe.
class RocksDbOpener {
 public:
  explicit RocksDbOpener(const config::ServerOptions& options)
      : environment_(Share(options, kStorageShare), Threads()),
        memory_(std::make_shared<base::MemoryBudget>(Share(options, 1))),
        windows_(std::make_shared<base::MemoryBudget>(Share(options, kWindowsShare))),
        nodes_(std::make_shared<txn::CacheBudget>(Share(options, 1), memory_)),
        committers_(2 * Threads()),
        feed_age_(options.limits.feed_age),
        feed_bytes_(static_cast<uint64_t>(options.limits.feed_bytes)),
        incarnation_(static_cast<uint32_t>(base::SystemRandom().Next64()) &
                     ((uint32_t{1} << txn::Engine::kIncarnationBits) - 1)) {}

  uint32_t incarnation() const { return incarnation_; }
  const std::shared_ptr<base::MemoryBudget>& memory() const { return memory_; }
  txn::CacheBudget& nodes() const { return *nodes_; }

  rpc::Upkeep Upkeep() {
    rpc::Upkeep upkeep;
    upkeep.backups = &backups_;
    upkeep.inspect = [this](const std::string& folder) { return Inspect(folder); };
    upkeep.files = &base::SystemFileSystem();
    upkeep.clock = &base::SystemClock();
    return upkeep;
  }
  absl::StatusOr<std::unique_ptr<persistence::Storage>> Inspect(const std::string& folder) {
    return rocksdb_storage::RocksDbStorage::Inspect(
        {.path = folder, .apply = &btree::Apply, .report = nullptr},
        {environment_, base::SystemFileSystem(), base::SystemClock(), base::SystemRandom()});
  }

  absl::StatusOr<std::unique_ptr<catalog::Database>> Open(const std::string& name,
                                                          const std::string& folder) {
    SOP_ASSIGN_OR_RETURN(
        auto storage,
        rocksdb_storage::RocksDbStorage::Open(
            {.path = folder,
             .apply = &btree::Apply,
             .creator = "sopd 0.1.0",
             .report =
                 [name](std::string_view line) {
                   observe::Log(config::LogLevel::kWarning, "stranger in the folder",
                                {{"database", name}, {"what", std::string(line)}});
                 }},
            {environment_, base::SystemFileSystem(), base::SystemClock(), base::SystemRandom()}));
    catalog::DatabaseOptions options;
    options.name = name;
    options.folder = folder;
    options.engine.clock = &base::SystemClock();
    options.engine.random = &base::SystemRandom();
    options.engine.files = &base::SystemFileSystem();
    options.engine.pool = &committers_;
    options.engine.staging_pool = &stagers_;
    options.engine.cache = nodes_;
    options.engine.memory = memory_;
    options.engine.windows = windows_;
    options.engine.spill_folder = storage->spill_folder();
    options.engine.incarnation = incarnation_;
    options.engine.limits.feed_age = feed_age_;
    options.engine.limits.feed_bytes = feed_bytes_;
    options.storage = std::move(storage);
    return catalog::Database::Open(std::move(options));
  }

  // The entries of docs/formats/folder.md. SOP-FORMAT goes first: without it nothing is taken for a
  // database.
  static absl::Status Remove(const std::string& folder) {
    base::FileSystem& files = base::SystemFileSystem();
    for (const char* name :
         {"SOP-FORMAT", "SOP-FORMAT.unfinished", "SOP-SEAL", "SOP-SEAL.unfinished", "SOP-TIMELINE",
          "SOP-TIMELINE.unfinished", "db", "spill", "staging", "LOCK"}) {
      const std::string path = folder + "/" + name;
      if (files.Exists(path)) SOP_RETURN_IF_ERROR(files.RemoveRecursively(path));
    }
    return absl::OkStatus();
  }

 private:
  static int Threads() {
    return static_cast<int>(std::max(2u, std::thread::hardware_concurrency()));
  }

  rocksdb_storage::RocksDbEnvironment environment_;
  const std::shared_ptr<base::MemoryBudget> memory_;
  const std::shared_ptr<base::MemoryBudget> windows_;
  rocksdb_storage::RocksDbBackups backups_{base::SystemFileSystem()};
  const std::shared_ptr<txn::CacheBudget> nodes_;
  base::ThreadPool committers_;
  base::ThreadPool stagers_{2};
  const absl::Duration feed_age_;
  const uint64_t feed_bytes_;
  const uint32_t incarnation_;
};

// Who waits for the signals that end the server.
pthread_t signal_waiter;

// Blocks the signals that end the server, in this thread and all it starts, so that sigwait gets
// them. Threads of RocksDB block none, whoever starts them: what meets one of them is passed on.
// A client that hangs up must not end anything.
sigset_t BlockEndSignals() {
  std::signal(SIGPIPE, SIG_IGN);
  signal_waiter = pthread_self();
  for (const int number : {SIGTERM, SIGINT}) {
    std::signal(number, [](int met) { pthread_kill(signal_waiter, met); });
  }
  sigset_t signals;
  sigemptyset(&signals);
  sigaddset(&signals, SIGTERM);
  sigaddset(&signals, SIGINT);
  pthread_sigmask(SIG_BLOCK, &signals, nullptr);
  return signals;
}

// As many open files as the system allows at all: a database takes a dozen, a client one, and the
// usual 1,024 would end at 80 databases.
void RaiseOpenFiles() {
  rlimit files{};
  if (getrlimit(RLIMIT_NOFILE, &files) != 0 || files.rlim_cur == files.rlim_max) return;
  files.rlim_cur = files.rlim_max;
  if (setrlimit(RLIMIT_NOFILE, &files) != 0) {
    observe::Log(config::LogLevel::kWarning, "the limit of open files cannot be raised",
                 {{"limit", std::to_string(files.rlim_max)}});
  }
}

int Fail(const absl::Status& status, int code) {
  std::fprintf(stderr, "sopd: %s\n", std::string(status.message()).c_str());
  return code;
}

// Ends the process as a crash would: nothing more is acknowledged, closed or flushed.
void FailStop(const absl::Status& status) {
  observe::Log(config::LogLevel::kError, "the log of a database has failed",
               {{"message", std::string(status.message())}});
  std::_Exit(3);
}

int Serve(const config::ServerOptions& options) {
  const sigset_t signals = BlockEndSignals();
  observe::OpenLog(options.log_level, options.log_format);
  RaiseOpenFiles();
  RocksDbOpener opener(options);
  auto daemon = Daemon::Start(
      {.config = options,
       .opener = [&opener](const std::string& name,
                           const std::string& folder) { return opener.Open(name, folder); },
       .remover = &RocksDbOpener::Remove,
       .upkeep = opener.Upkeep(),
       .fail_stop = &FailStop,
       .memory = opener.memory(),
       .rebalance_caches = [&opener] { opener.nodes().Rebalance(); },
       .incarnation = opener.incarnation(),
       .clock = base::SystemClock(),
       .files = base::SystemFileSystem()});
  if (!daemon.ok()) return Fail(daemon.status(), 1);
  std::fputs((*daemon)->Greeting().c_str(), stdout);
  std::fflush(stdout);
  int number = 0;
  sigwait(&signals, &number);
  observe::Log(config::LogLevel::kInfo, "draining",
               {{"why", number == SIGINT ? "SIGINT" : "SIGTERM"}});
  (*daemon)->Drain();
  daemon->reset();
  observe::Log(config::LogLevel::kInfo, "stopped");
  return 0;
}

// Offline work has the machine to itself; a part of its memory is plenty.
constexpr uint64_t kOfflineMemoryBytes = uint64_t{256} << 20;

std::optional<int> RunOffline(const std::vector<std::string>& arguments) {
  namespace storage = rocksdb_storage;
  storage::RocksDbEnvironment environment(kOfflineMemoryBytes, 2);
  base::FileSystem& files = base::SystemFileSystem();
  storage::RocksDbBackups backups(files);
  offline::Backend backend;
  backend.inspect =
      [&](const std::string& folder) -> absl::StatusOr<std::unique_ptr<persistence::Storage>> {
    return storage::RocksDbStorage::Inspect(
        {.path = folder, .apply = &btree::Apply, .report = nullptr},
        {environment, files, base::SystemClock(), base::SystemRandom()});
  };
  backend.make_copy =
      [&](const std::string& folder,
          Uuid database_id) -> absl::StatusOr<std::unique_ptr<persistence::CopyTarget>> {
    return storage::RepairedCopy::Make(folder, database_id, environment, files, &btree::Apply);
  };
  backend.exchange = [&](const std::string& folder) {
    return storage::ExchangeRepaired(folder, environment.env(), files);
  };
  backend.gather = [&](const std::string& folder) {
    return storage::GatherTables(folder, environment, files, &btree::Apply);
  };
  backend.upgrade = [&](const std::string& folder) {
    return storage::UpgradeFormat(folder, files);
  };
  backend.backups = &backups;
  backend.clock = &base::SystemClock();
  return offline::RunCommand(arguments, backend);
}

}  // namespace
}  // namespace sop

int main(int argc, char** argv) {
  // Debian's Abseil looks for cycles in the order of the locks that gRPC takes, at each of them.
  absl::SetMutexDeadlockDetectionMode(absl::OnDeadlockCycle::kIgnore);
  const std::vector<std::string> arguments(argv + 1, argv + argc);
  if (const auto code = sop::RunOffline(arguments); code.has_value()) return *code;
  auto line = sop::config::LoadOptions(arguments, sop::config::ProcessSurroundings());
  if (!line.ok()) return sop::Fail(line.status(), 2);
  if (line->text.has_value()) {
    std::fputs(line->text->c_str(), stdout);
    return 0;
  }
  if (line->options.memory_bytes < sop::kLeastForAmpleMemory) {
    sop::load::AvoidHugePages();
  } else {
    sop::load::KeepUnused();
  }
  return sop::Serve(line->options);
}
