#include "tests/faults/recorded_load.h"

#include <algorithm>
#include <atomic>
#include <thread>

#include <fmt/format.h>

#include "core/base/error.h"
#include "core/base/mutex.h"
#include "core/base/random.h"
#include "tests/crash/workload.h"

namespace sop::faults {

using crash::Plan;

namespace {

// Thread-safe once made.
class PlanRunner {
 public:
  PlanRunner(EngineOnDisk& opened, model_disk::Disk& disk, LoadResult* result)
      : opened_(opened), disk_(disk), result_(*result) {}

  void Run(const Plan& plan) SOP_EXCLUDES(mu_) {
    const Uuid token = base::MakeUuid7(base::SystemClock(), base::SystemRandom());
    const auto version = crash::RunPlan(opened_.engine(), plan, token);
    if (version.ok() && !plan.relaxed) disk_.Mark(version->value);
    const base::MutexLock lock(mu_);
    if (version.ok()) {
      result_.commits.push_back({*version, plan.thread, plan.number});
      if (!plan.relaxed) result_.acknowledged = std::max(result_.acknowledged, *version);
      return;
    }
    switch (ReasonOf(version.status())) {
      case Reason::kConflict:
        break;
      case Reason::kDiskFull:
        ++result_.full;
        break;
      case Reason::kUnavailable:
      case Reason::kDamaged:
        result_.unknown.push_back({token, plan.thread, plan.number});
        break;
      default:
        result_.unexpected = fmt::format("plan {} of thread {}: {}", plan.number, plan.thread,
                                         version.status().ToString());
    }
  }

 private:
  EngineOnDisk& opened_;
  model_disk::Disk& disk_;
  base::Mutex mu_;
  LoadResult& result_ SOP_GUARDED_BY(mu_);
};

}  // namespace

void CommitPlans(EngineOnDisk& opened, model_disk::Disk& disk, const LoadPart& part,
                 LoadResult* result) {
  PlanRunner runner(opened, disk, result);
  std::vector<std::thread> threads;
  for (int thread = 0; thread < kLoadThreads; ++thread) {
    threads.emplace_back([&, thread] {
      for (uint64_t number = part.first; number <= part.last; ++number) {
        runner.Run(crash::MakePlan(part.seed, thread, number));
      }
    });
  }
  for (std::thread& thread : threads) thread.join();
}

std::string LoadResult::Settle(txn::Engine& engine) {
  for (const Unknown& plan : unknown) {
    const auto outcome = engine.FindOutcome(plan.token);
    if (!outcome.ok()) return std::string(outcome.status().message());
    if (!outcome->has_value()) continue;
    commits.push_back({(*outcome)->version, plan.thread, plan.number});
  }
  unknown.clear();
  // What one thread did is applied in the order of its plans.
  std::sort(commits.begin(), commits.end(),
            [](const CommittedPlan& a, const CommittedPlan& b) { return a.version < b.version; });
  return {};
}

std::string CheckPrefix(EngineOnDisk& opened, uint64_t seed,
                        const std::vector<CommittedPlan>& commits) {
  const Sequence tail = opened.engine().published();
  std::array<crash::ThreadState, crash::kThreads> expected;
  std::array<crash::ThreadState, crash::kThreads> found;
  crash::Totals totals;
  crash::Totals found_totals;
  for (const CommittedPlan& commit : commits) {
    if (commit.version > tail) continue;
    const Plan plan = crash::MakePlan(seed, commit.thread, commit.number);
    crash::Apply(plan, &expected[static_cast<size_t>(commit.thread)]);
    crash::Apply(plan, &totals);
  }
  const std::string wrong =
      crash::ReadEverything(opened.engine(), seed, found.data(), &found_totals);
  if (!wrong.empty()) return fmt::format("at {}: {}", tail.value, wrong);
  for (int thread = 0; thread < crash::kThreads; ++thread) {
    const auto index = static_cast<size_t>(thread);
    if (found[index] == expected[index]) continue;
    return fmt::format("at {}, thread {}:{}", tail.value, thread,
                       crash::Difference(expected[index], found[index]));
  }
  if (found_totals == totals) return {};
  return fmt::format("at {}: balances or counters are not those of the commits", tail.value);
}

std::string RecordedLoad::Record(uint64_t seed, uint64_t transactions, RecordedLoad* load) {
  model_disk::Disk disk;
  load->seed_ = seed;
  // Three parts: closed and opened again, compacted under load, neither.
  const uint64_t part = transactions / 3;
  LoadResult result;
  std::unique_ptr<EngineOnDisk> opened;
  for (uint64_t i = 0; i < 3; ++i) {
    if (i != 2) {
      opened.reset();
      auto open = EngineOnDisk::Open(disk);
      if (!open.ok()) return std::string(open.status().message());
      opened = *std::move(open);
    }
    if (i == 0) {
      const absl::Status made = crash::MakeAccounts(opened->engine());
      if (!made.ok()) return std::string(made.message());
      load->accounts_version_ = opened->engine().published();
      disk.Mark(load->accounts_version_.value);
    }
    std::thread compaction;
    if (i == 1) compaction = std::thread([&] { opened->storage().Compact().IgnoreError(); });
    CommitPlans(*opened, disk, {seed, i * part + 1, (i + 1) * part}, &result);
    if (compaction.joinable()) compaction.join();
    if (!result.unexpected.empty()) return result.unexpected;
    if (!result.unknown.empty() || result.full != 0) return "a commit failed on a healthy disk";
    for (int tide = 0; tide < 2; ++tide) {
      const absl::Status turned = crash::TurnTide(opened->engine());
      if (!turned.ok()) return std::string(turned.message());
    }
  }
  opened.reset();
  load->commits_ = std::move(result.commits);
  std::sort(load->commits_.begin(), load->commits_.end(),
            [](const CommittedPlan& a, const CommittedPlan& b) { return a.version < b.version; });
  load->journal_ = disk.journal();
  return {};
}

Sequence RecordedLoad::last_version() const {
  return commits_.empty() ? accounts_version_ : commits_.back().version;
}

std::string RecordedLoad::Check(EngineOnDisk& opened) const {
  if (opened.engine().published() >= accounts_version_) return CheckPrefix(opened, seed_, commits_);
  auto transaction = opened.engine().Begin({txn::Mode::kReadOnly});
  const auto slot = transaction->OpenTree(crash::kBankTree, {});
  const auto count = transaction->Count(slot, {}, {});
  if (!count.ok()) return std::string(count.status().message());
  return *count == 0 ? std::string() : fmt::format("{} accounts before they were made", *count);
}

}  // namespace sop::faults
