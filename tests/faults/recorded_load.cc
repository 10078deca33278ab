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

std::string CommitPlans(EngineOnDisk& opened, model_disk::Disk& disk, const LoadPart& part,
                        std::vector<CommittedPlan>* commits) {
  struct {
    base::Mutex mu;
    std::string wrong SOP_GUARDED_BY(mu);
  } shared;
  const auto run = [&](int thread) {
    for (uint64_t number = part.first; number <= part.last; ++number) {
      const Plan plan = crash::MakePlan(part.seed, thread, number);
      const Uuid token = base::MakeUuid7(base::SystemClock(), base::SystemRandom());
      const auto version = crash::RunPlan(opened.engine(), plan, token);
      if (version.ok() && !plan.relaxed) disk.Mark(version->value);
      const base::MutexLock lock(shared.mu);
      if (version.ok()) {
        commits->push_back({*version, thread, number});
      } else if (ReasonOf(version.status()) != Reason::kConflict) {
        shared.wrong = fmt::format("plan {} of thread {}: {}", number, thread,
                                   std::string(version.status().message()));
        return;
      }
    }
  };
  std::vector<std::thread> threads;
  for (int thread = 0; thread < kLoadThreads; ++thread) threads.emplace_back(run, thread);
  for (std::thread& thread : threads) thread.join();
  const base::MutexLock lock(shared.mu);
  return shared.wrong;
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
  std::unique_ptr<EngineOnDisk> opened;
  for (uint64_t i = 0; i < 3; ++i) {
    if (i != 2) {
      opened.reset();
      auto result = EngineOnDisk::Open(disk);
      if (!result.ok()) return std::string(result.status().message());
      opened = *std::move(result);
    }
    if (i == 0) {
      const absl::Status made = crash::MakeAccounts(opened->engine());
      if (!made.ok()) return std::string(made.message());
      load->accounts_version_ = opened->engine().published();
      disk.Mark(load->accounts_version_.value);
    }
    std::thread compaction;
    if (i == 1) compaction = std::thread([&] { opened->storage().Compact().IgnoreError(); });
    const std::string wrong =
        CommitPlans(*opened, disk, {seed, i * part + 1, (i + 1) * part}, &load->commits_);
    if (compaction.joinable()) compaction.join();
    if (!wrong.empty()) return wrong;
    for (int tide = 0; tide < 2; ++tide) {
      const absl::Status turned = crash::TurnTide(opened->engine());
      if (!turned.ok()) return std::string(turned.message());
    }
  }
  opened.reset();
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
