// The rows of "Budgets" that need no server: engine_bench FOLDER quick|full [GROUP ...].

#include <cstdio>
#include <functional>
#include <map>
#include <string>
#include <vector>

#include "tests/bench/ordered_map.h"
#include "tests/bench/rows.h"

// The allocator as the daemon has it with so much memory, for both sides.
extern "C" {
extern const char* malloc_conf;
const char* malloc_conf =
    "background_thread:true,dirty_decay_ms:-1,muzzy_decay_ms:0,narenas:4,thp:always,"
    "metadata_thp:disabled,oversize_threshold:0";
}

namespace sop::bench {
namespace {

constexpr uint64_t kMiB = uint64_t{1} << 20;

Scale QuickScale(const std::string& folder) {
  return {.folder = folder,
          .slices = 5,
          .slice_seconds = 0.4,
          .read_items = 4'000'000,
          .kill_items = 500'000,
          .write_memory = 1024 * kMiB};
}

Scale FullScale(const std::string& folder) {
  return {.folder = folder,
          .slices = 8,
          .slice_seconds = 8,
          .read_items = 10'000'000,
          .kill_items = 10'000'000,
          .write_memory = 4096 * kMiB};
}

int Fill(const std::vector<std::string>& arguments) {
  Scale scale;
  scale.kill_items = std::stoull(arguments[3]);
  scale.write_memory = std::stoull(arguments[4]);
  FillAndDie(arguments[1], arguments[2], scale);
}

int Run(const std::string& program, std::vector<std::string> arguments) {
  if (arguments.size() == 5 && arguments[0] == "--fill") return Fill(arguments);
  if (arguments.size() < 2 || (arguments[1] != "quick" && arguments[1] != "full")) {
    std::fputs("usage: engine_bench FOLDER quick|full [GROUP ...]\n", stderr);
    return 2;
  }
  const Scale scale = arguments[1] == "quick" ? QuickScale(arguments[0]) : FullScale(arguments[0]);
  const RowGroups groups = {
      {"durable", [&] { MeasureDurableCommits(scale); }},
      {"unsynced", [&] { MeasureUnsyncedCommits(scale); }},
      {"nodes", [&] { MeasureNodeSizes(scale); }},
      {"reads", [&] { MeasureReads(scale); }},
      {"recovery", [&] { MeasureRecovery(scale, program); }},
      {"contention", [&] { MeasureContention(scale); }},
  };
  MeasureGroups(groups, {arguments.begin() + 2, arguments.end()});
  return 0;
}

}  // namespace
}  // namespace sop::bench

int main(int argc, char** argv) {
  return sop::bench::Run(argv[0], std::vector<std::string>(argv + 1, argv + argc));
}
