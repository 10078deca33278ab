#include "tests/crash/life.h"

#include <signal.h>
#include <unistd.h>

#include <chrono>
#include <cstring>
#include <memory>
#include <thread>
#include <vector>

#include <fmt/format.h>

#include "core/base/clock.h"
#include "core/base/error.h"
#include "core/base/fault/fail_point.h"
#include "core/base/file_system.h"
#include "core/base/random.h"
#include "core/base/thread_pool.h"
#include "core/btree/node/apply.h"
#include "storage/rocksdb/rocksdb_environment.h"
#include "storage/rocksdb/rocksdb_storage.h"
#include "tests/crash/workload.h"

namespace sop::crash {
namespace {

// Of this process, for the hook, which is a plain function. Constant while fail points are armed.
struct {
  LifeRecord* record = nullptr;
  const LifeOptions* options = nullptr;
} hooked;

void PassFailPoint(std::string_view name) {
  const size_t index = FailPointIndex(name);
  if (index == kFailPoints.size()) {
    if (!hooked.record->failed.exchange(true)) {
      fmt::format_to_n(hooked.record->failure, sizeof(hooked.record->failure) - 1,
                       "fail point {} is not in the list", name);
    }
    ::_exit(1);
  }
  const uint64_t passage = hooked.record->passed[index].fetch_add(1) + 1;
  if (hooked.options->die_at == index && passage == hooked.options->die_at_passage) {
    ::kill(::getpid(), SIGKILL);
  }
}

// One process between start and kill. Thread-safe.
class Life {
 public:
  Life(const LifeOptions& options, const Expectation& expectation, LifeRecord* record)
      : options_(options), expectation_(expectation), record_(*record) {}

  void Open() {
    rocksdb_storage::RocksDbOptions storage_options;
    storage_options.path = options_.path;
    storage_options.apply = btree::Apply;
    storage_options.reserve_bytes = 0;
    auto storage = rocksdb_storage::RocksDbStorage::Open(
        storage_options,
        {environment_, base::SystemFileSystem(), base::SystemClock(), base::SystemRandom()});
    Check(storage.status(), "open the database");
    storage_ = *std::move(storage);
    auto engine = txn::Engine::Open(*storage_, EngineOptionsOf(*storage_));
    Check(engine.status(), "open the engine");
    engine_ = *std::move(engine);
  }

  void Close() {
    if (options_.life % 2 == 0) Check(engine_->Fold(), "fold");
    // Writes files out of memory, which so small a database does by itself only when it is opened.
    if (options_.die_at.has_value()) Check(storage_->Compact(), "compact");
    engine_.reset();
    storage_.reset();
    ++record_.closings;
  }

  // Holds the database against the expectation, for every thread with and without what was pending.
  void Verify() {
    Check(MakeAccounts(*engine_), "make the accounts");
    std::array<ThreadState, kThreads> found;
    Totals found_totals;
    Require(ReadEverything(*engine_, options_.seed + options_.life, found.data(), &found_totals));
    Totals totals = expectation_.totals;
    for (int thread = 0; thread < kThreads; ++thread) {
      const auto index = static_cast<size_t>(thread);
      const bool applied = Resolve(thread, found[index], &totals);
      record_.was_applied[index] = applied;
      CheckOutcomes(thread, applied);
    }
    if (!(totals == found_totals)) Fail("balances or counters are not those of the transactions");
    record_.serving = true;
  }

  void Run() {
    stop_ = false;
    std::vector<std::thread> threads;
    threads.reserve(kThreads + 2);
    for (int thread = 0; thread < kThreads; ++thread) {
      threads.emplace_back([this, thread] { Commit(thread); });
    }
    threads.emplace_back([this] { Watch(); });
    threads.emplace_back([this] { TurnTides(); });
    if (options_.close_after_ms > 0) {
      std::this_thread::sleep_for(std::chrono::milliseconds(options_.close_after_ms));
      stop_ = true;
    }
    for (std::thread& thread : threads) thread.join();
  }

 private:
  // Little of everything, so that eviction, folds and tree look-ups happen all the time.
  txn::EngineOptions EngineOptionsOf(rocksdb_storage::RocksDbStorage& storage) {
    txn::EngineOptions options;
    options.clock = &base::SystemClock();
    options.random = &base::SystemRandom();
    options.files = &base::SystemFileSystem();
    options.pool = &pool_;
    options.cache = std::make_shared<txn::CacheBudget>(size_t{128} << 10);
    options.spill_folder = storage.spill_folder();
    options.limits.conflict_window_bytes = size_t{64} << 10;
    // A tide is staged.
    options.limits.staged_commit_writes = kTideItems - 1;
    options.nodes.image_bytes = 1024;
    options.groups_between_folds = 5;
    return options;
  }

  bool Resolve(int thread, const ThreadState& found, Totals* totals) {
    const auto index = static_cast<size_t>(thread);
    const ThreadState& expected = expectation_.threads[index];
    if (found == expected) return false;
    const auto& pending = expectation_.pending[index];
    if (pending.has_value()) {
      const Plan plan = MakePlan(options_.seed, thread, pending->number);
      ThreadState with = expected;
      Apply(plan, &with);
      if (found == with) {
        Apply(plan, totals);
        return true;
      }
    }
    Fail(fmt::format("thread {}, pending {}:{}", thread, pending.has_value() ? pending->number : 0,
                     Difference(expected, found)));
  }

  // What the outcomes say is what the trees say.
  void CheckOutcomes(int thread, bool applied) {
    const auto index = static_cast<size_t>(thread);
    if (const auto& token = expectation_.acknowledged_token[index]) {
      const auto outcome = engine_->FindOutcome(*token);
      Check(outcome.status(), "find an outcome");
      if (!outcome->has_value()) Fail(fmt::format("thread {}: an outcome is gone", thread));
    }
    if (const auto& pending = expectation_.pending[index]) {
      const auto outcome = engine_->FindOutcome(pending->token);
      Check(outcome.status(), "find an outcome");
      if (outcome->has_value() != applied) {
        Fail(
            fmt::format("thread {}: outcome and trees disagree about {}", thread, pending->number));
      }
    }
  }

  void Commit(int thread) {
    const auto index = static_cast<size_t>(thread);
    LifeRecord::Thread& mine = record_.threads[index];
    for (size_t& i = done_[index]; i < LifeRecord::kMostTransactions && !stop_; ++i) {
      Plan plan = MakePlan(options_.seed, thread, expectation_.next_number[index] + i);
      // Lives without any sync get further, and what the process survives must survive SIGKILL too.
      if (options_.life % 3 == 1) plan.relaxed = true;
      const Uuid token = base::MakeUuid7(base::SystemClock(), base::SystemRandom());
      mine.tried.Set(token);
      mine.outcomes[i] = Outcome::kIntended;
      const absl::Status status = RunPlan(*engine_, plan, token).status();
      if (status.ok()) {
        mine.acknowledged.Set(token);
        mine.outcomes[i] = Outcome::kAcknowledged;
      } else if (ReasonOf(status) == Reason::kConflict) {
        mine.outcomes[i] = Outcome::kRefused;
      } else {
        Fail(fmt::format("thread {}, transaction {}: {}", thread, plan.number, status.ToString()));
      }
    }
  }

  void Watch() {
    while (!stop_) {
      Require(CheckSnapshot(*engine_));
      ++record_.snapshots_checked;
    }
  }

  void TurnTides() {
    while (!stop_) Check(TurnTide(*engine_), "turn the tide");
  }

  void Check(const absl::Status& status, std::string_view what) {
    if (!status.ok()) Fail(fmt::format("{}: {}", what, status.ToString()));
  }
  void Require(const std::string& wrong) {
    if (!wrong.empty()) Fail(wrong);
  }
  [[noreturn]] void Fail(const std::string& what) {
    if (!record_.failed.exchange(true)) {
      std::strncpy(record_.failure, what.c_str(), sizeof(record_.failure) - 1);
    }
    ::_exit(1);
  }

  const LifeOptions& options_;
  const Expectation& expectation_;
  LifeRecord& record_;
  const rocksdb_storage::RocksDbEnvironment environment_{uint64_t{32} << 20, 2};
  base::ThreadPool pool_{4};
  std::unique_ptr<rocksdb_storage::RocksDbStorage> storage_;
  std::unique_ptr<txn::Engine> engine_;
  std::array<size_t, kThreads> done_{};  // transactions of this life, by thread
  std::atomic<bool> stop_{false};
};

}  // namespace

void Live(const LifeOptions& options, const Expectation& expectation, LifeRecord* record) {
  hooked = {record, &options};
  base::ArmFailPoints(PassFailPoint);
  Life life(options, expectation, record);
  life.Open();
  life.Verify();
  for (;;) {
    life.Run();
    life.Close();
    life.Open();
  }
}

}  // namespace sop::crash
