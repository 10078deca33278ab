#include "server/daemon.h"

#include <sys/resource.h>
#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <filesystem>
#include <utility>

#include "core/base/error.h"
#include "core/base/status_macros.h"
#include "core/txn/engine.h"
#include "fmt/format.h"
#include "server/load/memory_governor.h"
#include "server/observe/engine_metrics.h"
#include "server/observe/log.h"
#include "server/rpc/admin_service.h"
#include "server/rpc/btree_service.h"
#include "server/rpc/database_service.h"
#include "server/rpc/transaction_service.h"

namespace sop {
namespace {

// Idle transactions and databases are looked for every ten periods of the memory governor.
constexpr int kTicksPerRound = 10;
// Of the memory: requests that are being received, and what gRPC may hold at all before it ends
// calls at random; the intake sees to it that it does not come to that.
constexpr int64_t kIntakeShare = 8;
// Heavy requests and their answers at once: what a processor does in less than a tenth of a second,
// and at most this share of the memory.
constexpr int64_t kHeavyBytesPerCore = 4 << 20;
constexpr int64_t kHeavyShare = 16;
constexpr int64_t kGrpcShare = 4;
// One connection for so much memory; it takes a sixth of that. At most half of the files that may
// be open are connections, the others are the databases'.
constexpr int64_t kConnectionBytes = 128 << 10;
// With less room than this share of the memory, databases that nobody uses are closed, so many
// between two looks at the memory; with less than half of it those too that were used just now.
constexpr int64_t kReliefShare = 16;
constexpr absl::Duration kUnusedBeforeRelief = absl::Seconds(2);
constexpr absl::Duration kUnusedBeforeUrgentRelief = absl::Milliseconds(200);
constexpr size_t kDatabasesPerRelief = 16;
// Measuring walks through folders: not so often.
constexpr int kRoundsBetweenMeasures = 20;
constexpr int kRoundsBetweenUpkeep = 2;

// What the machine and the other options decide.
Daemon::Options Completed(Daemon::Options options) {
  int64_t& requests = options.config.limits.requests_in_flight;
  if (requests == 0) {
    requests = std::max<int64_t>(128, 64 * int64_t{std::thread::hardware_concurrency()});
  }
  if (options.memory == nullptr) {
    options.memory =
        std::make_shared<base::MemoryBudget>(static_cast<size_t>(options.config.memory_bytes));
  }
  return options;
}

size_t ReceivingAtOnce(const config::ServerOptions& options) {
  const int64_t messages = options.memory_bytes / kIntakeShare / rpc::Dispatcher::kMaxMessageBytes;
  return static_cast<size_t>(std::max<int64_t>(2, messages));
}

int64_t HeavyBytesAtOnce(const config::ServerOptions& options) {
  const int64_t served_soon = kHeavyBytesPerCore * std::thread::hardware_concurrency();
  return std::min(options.memory_bytes / kHeavyShare, served_soon);
}

size_t ConnectionsAtOnce(const config::ServerOptions& options) {
  rlimit files{};
  getrlimit(RLIMIT_NOFILE, &files);
  return std::min(static_cast<size_t>(options.memory_bytes / kConnectionBytes),
                  static_cast<size_t>(files.rlim_cur / 2));
}

// "127.0.0.1:0" with the port that was taken.
std::string AddressOf(const std::string& configured, int port) {
  return fmt::format("{}:{}", configured.substr(0, configured.rfind(':')), port);
}

}  // namespace

struct Daemon::Services {
  Services(const rpc::OperationRunner::Parts& parts, const session::TransactionTerms& terms,
           const rpc::Upkeep& upkeep)
      : admin(parts.dispatcher, parts.databases, upkeep),
        btree(parts),
        database(parts),
        transaction(parts, terms) {}

  rpc::AdminService admin;
  rpc::BtreeService btree;
  rpc::DatabaseService database;
  rpc::TransactionService transaction;
};

Daemon::Daemon(Options options)
    : options_(Completed(std::move(options))),
      workers_(std::make_unique<base::ThreadPool>(static_cast<int>(options_.config.workers))) {}

absl::StatusOr<std::unique_ptr<Daemon>> Daemon::Start(Options options) {
  auto daemon = std::unique_ptr<Daemon>(new Daemon(std::move(options)));
  const Options& given = daemon->options_;
  const config::Limits& limits = given.config.limits;
  SOP_ASSIGN_OR_RETURN(daemon->methods_, rpc::MethodTable::Open(daemon->metrics_));
  SOP_ASSIGN_OR_RETURN(daemon->databases_, session::DatabaseRegistry::Open(
                                               {.home_folder = given.config.home_folder,
                                                .rules = {.roots = given.config.stores_roots},
                                                .max_databases = limits.databases,
                                                .idle = given.config.database_idle,
                                                .opener = given.opener,
                                                .remover = given.remover,
                                                .files = &given.files,
                                                .clock = &given.clock,
                                                .metrics = &daemon->metrics_}));
  daemon->admission_ = std::make_unique<load::Admission>(
      load::Admission::Options{.max_requests = limits.requests_in_flight,
                               .max_streams = limits.streams,
                               .max_receiving = ReceivingAtOnce(given.config),
                               .max_heavy_bytes = HeavyBytesAtOnce(given.config),
                               .budget = given.memory,
                               .clock = &given.clock});
  daemon->transactions_ =
      std::make_unique<session::TransactionRegistry>(session::TransactionRegistry::Options{
          .max_open = limits.open_transactions,
          .is_ours =
              [incarnation = given.incarnation](TransactionId id) {
                return txn::Engine::IncarnationOf(id) == incarnation;
              },
          .clock = &given.clock,
          .workers = daemon->workers_.get(),
          .metrics = &daemon->metrics_});
  daemon->dispatcher_ = std::make_unique<rpc::Dispatcher>(
      rpc::Dispatcher::Parts{.methods = *daemon->methods_,
                             .authorizer = daemon->authorizer_,
                             .metrics = daemon->metrics_,
                             .workers = *daemon->workers_,
                             .clock = given.clock,
                             .admission = *daemon->admission_,
                             .slow_operation = given.config.slow_operation});
  daemon->services_ = std::make_unique<Services>(
      rpc::OperationRunner::Parts{*daemon->dispatcher_, *daemon->databases_, *daemon->transactions_,
                                  daemon->watches_},
      session::TransactionTerms{limits.transaction_idle, limits.transaction_duration},
      given.upkeep);
  daemon->metrics_.SetCollector(
      [self = daemon.get()](std::vector<prometheus::MetricFamily>* families) {
        self->Sample(families);
      });
  daemon->WarmUp();
  SOP_RETURN_IF_ERROR(daemon->OpenFaces());
  observe::Log(
      config::LogLevel::kInfo, "listening",
      {{"grpc", AddressOf(given.config.listen, daemon->grpc_port())},
       {"http",
        daemon->http_ == nullptr ? "off" : AddressOf(given.config.http, daemon->http_port())},
       {"data", given.config.home_folder}});
  daemon->house_keeper_ = std::thread([self = daemon.get()] { self->KeepHouse(); });
  return daemon;
}

absl::Status Daemon::OpenFaces() {
  Services& services = *services_;
  SOP_ASSIGN_OR_RETURN(
      grpc_, rpc::GrpcFace::Open({.address = options_.config.listen,
                                  .memory_bytes = options_.config.memory_bytes / kGrpcShare,
                                  .connections = ConnectionsAtOnce(options_.config),
                                  .services = {&services.admin, &services.btree, &services.database,
                                               &services.transaction}}));
  if (options_.config.http == "off") return absl::OkStatus();
  SOP_ASSIGN_OR_RETURN(http_,
                       http::HttpFace::Open({.address = options_.config.http,
                                             .metrics = [this] { return metrics_.Text(); },
                                             .healthy = [this] { return healthy_.load(); }}));
  return absl::OkStatus();
}

void Daemon::Sample(std::vector<prometheus::MetricFamily>* families) {
  std::vector<observe::DatabaseSample> samples;
  for (const auto& open : databases_->AllOpen()) {
    samples.push_back({.database = open->name,
                       .engine = open->engine->statistics(),
                       .storage = open->engine->storage_statistics()});
  }
  observe::AppendEngineMetrics(samples, families);
  const base::MemoryBudget& memory = *options_.memory;
  const load::ProcessMemory measured = load::MeasureProcess();
  const load::Admission::Counters refused = admission_->counters();
  observe::AppendProcessMetrics({.memory_limit = memory.limit_bytes(),
                                 .memory_firm = memory.firm_bytes(),
                                 .memory_cached = memory.cached_bytes(),
                                 .memory_overhead = memory.overhead_bytes(),
                                 .memory_resident = measured.resident,
                                 .memory_allocated = measured.allocated,
                                 .streams = admission_->streams(),
                                 .watches = static_cast<int64_t>(watches_.size()),
                                 .refused_too_many = refused.too_many,
                                 .refused_no_memory = refused.no_memory},
                                families);
}

void Daemon::WarmUp() {
  const auto opened = databases_->Acquire("");
  if (opened.ok()) return;
  observe::Log(config::LogLevel::kError, "database default cannot be opened",
               {{"reason", std::string(ReasonName(ReasonOf(opened.status())))},
                {"message", std::string(opened.status().message())}});
}

std::string Daemon::Greeting() const {
  std::error_code error;
  const auto home = std::filesystem::canonical(options_.config.home_folder, error);
  std::string text = fmt::format("sopd 0.1.0, process {}\n", getpid());
  text += fmt::format("  gRPC   {}\n", AddressOf(options_.config.listen, grpc_->port()));
  text += http_ == nullptr ? std::string("  HTTP   off\n")
                           : fmt::format("  HTTP   {} (/metrics, /healthz)\n",
                                         AddressOf(options_.config.http, http_->port()));
  text += fmt::format("  data   {}\n", home.string());
  for (const std::string& root : options_.config.stores_roots) {
    text += fmt::format("  folders under {}\n", root);
  }
  return text;
}

void Daemon::KeepHouse() {
  load::MemoryGovernor governor(
      {.budget = options_.memory, .rebalance_caches = options_.rebalance_caches});
  for (int tick = 0;; ++tick) {
    {
      base::MutexLock lock(mu_);
      if (!stopping_) wake_.WaitFor(mu_, absl::ToChronoNanoseconds(load::MemoryGovernor::kPeriod));
      if (stopping_) return;
    }
    governor.Tick(options_.clock.Monotonic());
    admission_->intake().Sweep();
    RelieveMemory();
    if (tick % kTicksPerRound != 0) continue;
    const absl::Status health = databases_->CheckHealth();
    if (!health.ok() && options_.fail_stop) options_.fail_stop(health);
    transactions_->Sweep();
    watches_.Tick(options_.clock.Monotonic());
    databases_->CloseIdle();
    if (tick % (kTicksPerRound * kRoundsBetweenMeasures) == 0) databases_->MeasureDisk();
    if (tick % (kTicksPerRound * kRoundsBetweenUpkeep) == 0) KeepStorages();
  }
}

void Daemon::RelieveMemory() {
  const int64_t wanted = options_.memory->limit_bytes() / kReliefShare;
  if (options_.memory->HasRoom(wanted)) return;
  if (relieving_.exchange(true)) return;
  const bool urgent = !options_.memory->HasRoom(wanted / 2);
  workers_->Schedule([this, urgent] {
    const size_t closed = databases_->CloseUnused(kUnusedBeforeRelief, kDatabasesPerRelief);
    if (urgent && closed < kDatabasesPerRelief) {
      databases_->CloseUnused(kUnusedBeforeUrgentRelief, kDatabasesPerRelief - closed);
    }
    relieving_.store(false);
  });
}

void Daemon::KeepStorages() {
  for (const auto& open : databases_->AllOpen()) {
    persistence::Maintenance* const maintenance = open->engine->storage().maintenance();
    if (maintenance == nullptr) continue;
    workers_->Schedule([open, maintenance] {
      const absl::Status kept = maintenance->KeepHouse();
      if (kept.ok()) return;
      observe::Log(config::LogLevel::kWarning, "space could not be given back",
                   {{"database", open->name}, {"message", std::string(kept.message())}});
    });
  }
}

void Daemon::Drain() {
  healthy_.store(false);
  if (services_ != nullptr) services_->transaction.Drain();
  watches_.Drain();
  if (grpc_ != nullptr && workers_ != nullptr) grpc_->Drain(options_.config.drain);
  {
    base::MutexLock lock(mu_);
    stopping_ = true;
  }
  wake_.NotifyOne();
  if (house_keeper_.joinable()) house_keeper_.join();
  if (transactions_ != nullptr) transactions_->EndAll(std::nullopt);
  // Runs what is queued; nobody asks for more once no call is left.
  workers_.reset();
}

Daemon::~Daemon() { Drain(); }

}  // namespace sop
