#include "tests/bench/report.h"

#include <sys/resource.h>

#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <filesystem>

#include <nlohmann/json.hpp>

#include "tests/bench/ordered_map.h"

namespace sop::bench {
namespace {

double Seconds(const timeval& time) {
  return static_cast<double>(time.tv_sec) + static_cast<double>(time.tv_usec) * 1e-6;
}

double CpuSeconds() {
  rusage usage{};
  getrusage(RUSAGE_SELF, &usage);
  return Seconds(usage.ru_utime) + Seconds(usage.ru_stime);
}

}  // namespace

void Require(bool ok, std::string_view what) {
  if (ok) return;
  std::fprintf(stderr, "bench: %s\n", std::string(what).c_str());
  std::abort();
}

std::vector<Pair> Alternate(int slices, absl::FunctionRef<double(int)> ours,
                            absl::FunctionRef<double(int)> rival) {
  std::vector<Pair> pairs(static_cast<size_t>(slices));
  for (int slice = 0; slice < slices; ++slice) {
    Pair& pair = pairs[static_cast<size_t>(slice)];
    for (const bool first : {true, false}) {
      const double start = CpuSeconds();
      if (first == (slice % 2 == 0)) {
        pair.ours = ours(slice);
        pair.our_cpu = CpuSeconds() - start;
      } else {
        pair.rival = rival(slice);
        pair.rival_cpu = CpuSeconds() - start;
      }
    }
  }
  return pairs;
}

void Report(std::string_view row, std::string_view unit, const std::vector<Pair>& pairs) {
  nlohmann::json line = {{"row", row}, {"unit", unit}};
  for (const Pair& pair : pairs) {
    line["ours"].push_back(pair.ours);
    line["rival"].push_back(pair.rival);
    line["our_cpu"].push_back(pair.our_cpu);
    line["rival_cpu"].push_back(pair.rival_cpu);
  }
  std::puts(line.dump().c_str());
  std::fflush(stdout);
}

std::string EmptyFolder(const Scale& scale, std::string_view name) {
  const std::filesystem::path path = std::filesystem::path(scale.folder) / name;
  std::filesystem::remove_all(path);
  std::filesystem::create_directories(path);
  return path.string();
}

uint64_t FolderBytes(const std::string& folder) {
  uint64_t bytes = 0;
  for (const auto& entry : std::filesystem::recursive_directory_iterator(folder)) {
    if (entry.is_regular_file()) bytes += entry.file_size();
  }
  return bytes;
}

void MeasureGroups(const RowGroups& groups, std::vector<std::string> wanted) {
  if (wanted.empty()) {
    for (const auto& [name, measure] : groups) wanted.push_back(name);
  }
  for (const std::string& name : wanted) {
    const auto group = groups.find(name);
    Require(group != groups.end(), "no group of rows is named " + name);
    group->second();
  }
}

}  // namespace sop::bench
