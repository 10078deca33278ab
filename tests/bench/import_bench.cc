// How fast `sop import` is, beside plain RocksDB and our engine in process on the same items:
// import_bench FOLDER SOPD SOP [ITEMS]. Prints items per second and processor time per item.

#include <spawn.h>
#include <sys/resource.h>
#include <sys/wait.h>

#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <memory>
#include <string>
#include <vector>

#include <fmt/format.h>

#include "clients/cpp/channel.h"
#include "tests/bench/ordered_map.h"
#include "tests/bench/report.h"
#include "tests/bench/sopd_process.h"
#include "tests/bench/workload.h"

extern char** environ;

namespace sop::bench {
namespace {

constexpr uint64_t kUsualItems = 1'000'000;
constexpr uint64_t kRawBatch = 1000;
constexpr uint64_t kMemoryBytes = uint64_t{512} << 20;
constexpr size_t kDigits = 100;

enum class Order : uint8_t { kSorted, kScattered };

struct Places {
  Scale scale;
  std::string sopd;
  std::string sop;
  uint64_t items = kUsualItems;
};

// The values of all sides: 100 digits, which text can hold as they are.
std::vector<std::string> MakeValues() {
  std::vector<std::string> values(4096);
  for (size_t i = 0; i < values.size(); ++i) {
    for (const char byte : NoiseOf(i, kDigits / 2)) {
      values[i] += fmt::format("{:02x}", static_cast<unsigned char>(byte));
    }
  }
  return values;
}

const std::string& DigitsOf(uint64_t number) {
  static const std::vector<std::string> values = MakeValues();
  return values[number % values.size()];
}

uint64_t RankOf(uint64_t number, Order order) {
  return order == Order::kSorted ? number : Scatter(number);
}

double CpuSecondsOf(int who) {
  rusage usage{};
  getrusage(who, &usage);
  const auto seconds = [](const timeval& time) {
    return static_cast<double>(time.tv_sec) + static_cast<double>(time.tv_usec) * 1e-6;
  };
  return seconds(usage.ru_utime) + seconds(usage.ru_stime);
}

void Print(const std::string& what, uint64_t items, double seconds, const std::string& cpu) {
  fmt::print("{:<44} {:>10.0f} items/s   {}\n", what, static_cast<double>(items) / seconds, cpu);
  std::fflush(stdout);
}

std::string PerItem(double cpu_seconds, uint64_t items) {
  return fmt::format("{:.2f} us", cpu_seconds * 1e6 / static_cast<double>(items));
}

std::string WriteCsv(const Places& at, Order order) {
  const std::string path = at.scale.folder + "/items.csv";
  std::ofstream file(path, std::ios::binary);
  file << "id,text\n";
  for (uint64_t i = 0; i < at.items; ++i) {
    const uint64_t rank = RankOf(i, order);
    file << static_cast<int64_t>(rank ^ (uint64_t{1} << 63)) << ',' << DigitsOf(i) << '\n';
  }
  Require(file.good(), "the input cannot be written");
  return path;
}

void RunSop(const Places& at, const std::string& address, std::vector<std::string> arguments) {
  arguments.insert(arguments.begin(), {at.sop, "--address", address});
  std::vector<char*> words;
  for (std::string& argument : arguments) words.push_back(argument.data());
  words.push_back(nullptr);
  pid_t process = 0;
  Require(posix_spawn(&process, at.sop.c_str(), nullptr, nullptr, words.data(), environ) == 0,
          "sop does not start");
  int status = 0;
  Require(waitpid(process, &status, 0) == process && status == 0, "sop failed");
}

void MeasureImport(const Places& at, Order order, const std::vector<std::string>& more) {
  const std::string path = WriteCsv(at, order);
  const SopdProcess server({.program = at.sopd,
                            .folder = EmptyFolder(at.scale, "import-sopd"),
                            .memory_bytes = kMemoryBytes});
  std::vector<std::string> arguments = {"import",  "bench", path,    "--types", "id=int64",
                                        "--value", "text",  "--key", "id"};
  arguments.insert(arguments.end(), more.begin(), more.end());
  const double server_cpu = server.CpuSeconds();
  const double client_cpu = CpuSecondsOf(RUSAGE_CHILDREN);
  const double begin = Now();
  RunSop(at, server.address(), arguments);
  const double seconds = Now() - begin;
  std::string name = "sop import";
  for (const std::string& argument : more) name += " " + argument;
  Print(name, at.items, seconds,
        fmt::format("server {}, client {}", PerItem(server.CpuSeconds() - server_cpu, at.items),
                    PerItem(CpuSecondsOf(RUSAGE_CHILDREN) - client_cpu, at.items)));
}

// One thread writes batches of items, as a plain program would.
void MeasureInProcess(const Places& at, Order order, const std::string& name, OrderedMap& map) {
  const bool bulk = order == Order::kSorted;
  const uint64_t batch =
      bulk ? std::max<uint64_t>(1, map.load_bytes() / (kKeyBytes + kDigits)) : kRawBatch;
  const double cpu = CpuSecondsOf(RUSAGE_SELF);
  const double begin = Now();
  std::vector<KeyValue> items;
  for (uint64_t next = 0; next < at.items;) {
    items.clear();
    for (; next < at.items && items.size() < batch; ++next) {
      items.push_back({KeyOf(RankOf(next, order)), DigitsOf(next)});
    }
    if (bulk) {
      map.Load(items);
    } else {
      map.Commit(items, {Change::kBlind, Sync::kSynced});
    }
  }
  map.FinishLoad();
  const double seconds = Now() - begin;
  Print(name, at.items, seconds, PerItem(CpuSecondsOf(RUSAGE_SELF) - cpu, at.items));
}

void Measure(const Places& at, Order order) {
  fmt::print("\n{} items of {} bytes, {}\n", at.items, kKeyBytes + kDigits,
             order == Order::kSorted ? "in key order" : "in no order");
  const MapOptions ours = {.folder = EmptyFolder(at.scale, "import-ours"),
                           .memory_bytes = kMemoryBytes};
  const MapOptions rows = {.folder = EmptyFolder(at.scale, "import-raw"),
                           .memory_bytes = kMemoryBytes};
  MeasureInProcess(at, order, "plain RocksDB, in process, batched puts", *OpenRowMap(rows));
  MeasureInProcess(at, order,
                   order == Order::kSorted ? "our engine, in process, bulk load"
                                           : "our engine, in process, batched puts",
                   *OpenEngineMap(ours));
  MeasureImport(at, order, {});
  MeasureImport(at, order, {"--batch", "5000"});
  MeasureImport(at, order, {"--one-transaction"});
}

int Run(std::vector<std::string> arguments) {
  if (arguments.size() < 3) {
    std::fputs("usage: import_bench FOLDER SOPD SOP [ITEMS]\n", stderr);
    return 2;
  }
  Places at = {.scale = {.folder = arguments[0]}, .sopd = arguments[1], .sop = arguments[2]};
  if (arguments.size() > 3) at.items = std::strtoull(arguments[3].c_str(), nullptr, 10);
  std::filesystem::create_directories(at.scale.folder);
  Measure(at, Order::kSorted);
  Measure(at, Order::kScattered);
  std::filesystem::remove(at.scale.folder + "/items.csv");
  return 0;
}

}  // namespace
}  // namespace sop::bench

int main(int argc, char** argv) {
  sop::client::PrepareProcess();
  return sop::bench::Run(std::vector<std::string>(argv + 1, argv + argc));
}
