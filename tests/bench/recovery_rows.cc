#include <sys/wait.h>
#include <unistd.h>

#include <csignal>
#include <filesystem>
#include <string>

#include <fmt/format.h>

#include "tests/bench/ordered_map.h"
#include "tests/bench/rows.h"
#include "tests/bench/workload.h"

namespace sop::bench {
namespace {

constexpr int kReopenings = 3;
constexpr int kFillItems = 100;  // per transaction

std::unique_ptr<OrderedMap> OpenSide(const std::string& side, const std::string& folder,
                                     const Scale& scale) {
  const MapOptions options = {.folder = folder, .memory_bytes = scale.write_memory};
  return side == "ours" ? OpenEngineMap(options) : OpenRowMap(options);
}

void RunToDeath(const Scale& scale, const std::string& program, const std::string& side,
                const std::string& folder) {
  const std::string items = fmt::format("{}", scale.kill_items);
  const std::string memory = fmt::format("{}", scale.write_memory);
  const pid_t child = fork();
  Require(child >= 0, "fork failed");
  if (child == 0) {
    execl(program.c_str(), program.c_str(), "--fill", side.c_str(), folder.c_str(), items.c_str(),
          memory.c_str(), nullptr);
    _exit(127);
  }
  int state = 0;
  Require(waitpid(child, &state, 0) == child, "waitpid failed");
  Require(WIFSIGNALED(state) && WTERMSIG(state) == SIGKILL, "the child ended before it was killed");
}

// Seconds from opening a copy of what the killed process left to a read and a durable commit.
double Reopen(const Scale& scale, const std::string& side, const std::string& folder) {
  const std::string copy = EmptyFolder(scale, "killed-copy");
  std::filesystem::copy(folder, copy, std::filesystem::copy_options::recursive);
  sync();
  const double start = Now();
  const auto map = OpenSide(side, copy, scale);
  Require(map->Read()->Get(KeyOf(Scatter(0))) == kValueBytes, "the first item is lost");
  const KeyValue item = {KeyOf(Scatter(scale.kill_items)), ValueOf(0)};
  map->Commit({&item, 1}, {Change::kInsert, Sync::kSynced});
  return Now() - start;
}

}  // namespace

void FillAndDie(const std::string& side, const std::string& folder, const Scale& scale) {
  const auto map = OpenSide(side, folder, scale);
  CommitLoad load = {.committers = 8, .items = kFillItems};
  load.transactions = scale.kill_items / kFillItems;
  // What a process wrote outlives it without a sync; only the machine's death would need one.
  load.mode.sync = Sync::kRelaxed;
  RunCommits(*map, load);
  kill(getpid(), SIGKILL);
  for (;;) pause();
}

void MeasureRecovery(const Scale& scale, const std::string& program) {
  const std::string ours = EmptyFolder(scale, "killed-ours");
  const std::string rival = EmptyFolder(scale, "killed-rival");
  RunToDeath(scale, program, "ours", ours);
  RunToDeath(scale, program, "rival", rival);
  Report("recovery", "s",
         Alternate(
             kReopenings, [&](int) { return Reopen(scale, "ours", ours); },
             [&](int) { return Reopen(scale, "rival", rival); }));
}

}  // namespace sop::bench
