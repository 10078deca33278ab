// How cost grows: scaling_bench FOLDER quick|full SOPD [GROUP ...].

#include <cstdio>
#include <string>
#include <vector>

#include "tests/bench/scaling/scaling.h"

namespace sop::bench {

void ReportLine(std::string_view table, const Cells& cells) {
  std::puts(Cells({{"table", table}, {"cells", cells}}).dump().c_str());
  std::fflush(stdout);
}

namespace {

int Run(std::vector<std::string> arguments) {
  if (arguments.size() < 3 || (arguments[1] != "quick" && arguments[1] != "full")) {
    std::fputs("usage: scaling_bench FOLDER quick|full SOPD [GROUP ...]\n", stderr);
    return 2;
  }
  const bool quick = arguments[1] == "quick";
  const ScalingRun run = {
      .scale = {.folder = arguments[0], .slices = 3, .slice_seconds = quick ? 0.5 : 2.0},
      .sopd = arguments[2],
      .most_items = quick ? 1'000'000u : 10'000'000u,
      .most_databases = quick ? 100u : 500u};
  const RowGroups groups = {
      {"clients", [&] { MeasureClients(run); }},
      {"items", [&] { MeasureItems(run); }},
      {"paging", [&] { MeasurePaging(run); }},
      {"nodes", [&] { MeasureNodes(run); }},
      {"values", [&] { MeasureValues(run); }},
      {"cache", [&] { MeasureCache(run); }},
      {"keys-alone", [&] { MeasureKeysAlone(run); }},
      {"large", [&] { MeasureLarge(run); }},
      {"feed", [&] { MeasureFeed(run); }},
      {"databases", [&] { MeasureDatabases(run); }},
  };
  MeasureGroups(groups, {arguments.begin() + 3, arguments.end()});
  return 0;
}

}  // namespace
}  // namespace sop::bench

int main(int argc, char** argv) {
  return sop::bench::Run(std::vector<std::string>(argv + 1, argv + argc));
}
