// The rows of "Budgets" that go through a server: server_bench FOLDER quick|full SOPD [GROUP ...].

#include <fcntl.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <barrier>
#include <cstdio>
#include <functional>
#include <map>
#include <string>
#include <thread>
#include <vector>

#include <fmt/format.h>

#include "absl/functional/function_ref.h"
#include "clients/cpp/channel.h"
#include "tests/bench/execute_load.h"
#include "tests/bench/ordered_map.h"
#include "tests/bench/report.h"
#include "tests/bench/server_calls.h"
#include "tests/bench/sopd_process.h"
#include "tests/bench/workload.h"

namespace sop::bench {
namespace {

constexpr int kReaders = 16;
constexpr int kWriters = 64;
constexpr int kCreators = 16;
constexpr int kRounds = 5;
constexpr uint64_t kLoadBatch = 5000;

struct ServerScale {
  Scale scale;
  std::string program;
};

// Alternate without processor time: what this process uses is the clients' and says nothing.
std::vector<Pair> AlternateCalls(int slices, absl::FunctionRef<double(int)> ours,
                                 absl::FunctionRef<double(int)> rival) {
  std::vector<Pair> pairs = Alternate(slices, ours, rival);
  for (Pair& pair : pairs) pair.our_cpu = pair.rival_cpu = 0;
  return pairs;
}

void MeasureReads(const ServerScale& at) {
  const uint64_t known = at.scale.read_items;
  const SopdProcess server({.program = at.program, .folder = EmptyFolder(at.scale, "server-read")});
  ServerClient loader(server);
  loader.CreateStore();
  for (uint64_t begin = 0; begin < known; begin += kLoadBatch) {
    loader.Add(begin, std::min(known, begin + kLoadBatch));
  }
  std::vector<uint64_t> states(kReaders);
  for (size_t i = 0; i < states.size(); ++i) states[i] = Scatter(i);
  const auto get = [&](int keys) {
    return RunClients(server, kReaders, at.scale.slice_seconds,
                      [&](ServerClient& client, int number) {
                        client.Get(known, keys, &states[static_cast<size_t>(number)]);
                      });
  };
  const auto echo = [](ServerClient& client, int) { client.EchoLikeGet(); };
  Report("unary_get", "calls/s",
         AlternateCalls(
             at.scale.slices, [&](int) { return get(1); },
             [&](int) { return RunClients(server, kReaders, at.scale.slice_seconds, echo); }));
  const auto keys_per_core = [&](int keys) {
    const double cpu = server.CpuSeconds();
    const double begin = Now();
    const double rate = get(keys);
    return rate * keys * (Now() - begin) / (server.CpuSeconds() - cpu);
  };
  Report("multi_get", "keys/s per server core",
         AlternateCalls(
             at.scale.slices, [&](int) { return keys_per_core(100); },
             [&](int) { return keys_per_core(1); }));
  const auto local = OpenEngineMap(
      {.folder = EmptyFolder(at.scale, "server-local"), .memory_bytes = uint64_t{512} << 20});
  RunOrderedLoad(*local, 0, known);
  RunScan(*local, known);
  const auto scan = [&](int) {
    const double begin = Now();
    Require(loader.Scan() == known, "a scan that misses items");
    return static_cast<double>(known) / (Now() - begin);
  };
  scan(0);
  Report("grpc_scan", "items/s",
         AlternateCalls(at.scale.slices, scan, [&](int) { return RunScan(*local, known); }));
}

void MeasureDurable(const ServerScale& at) {
  const SopdProcess server({.program = at.program,
                            .folder = EmptyFolder(at.scale, "server-durable"),
                            .memory_bytes = at.scale.write_memory});
  ServerClient(server).CreateStore();
  const auto raw = OpenRowMap(
      {.folder = EmptyFolder(at.scale, "server-raw"), .memory_bytes = at.scale.write_memory});
  ExecuteLoad calls(server, kWriters, 0, 10);
  CommitLoad load;
  load.transactions = 640;
  load.transactions =
      static_cast<uint64_t>(RunCommits(*raw, load) / load.items * at.scale.slice_seconds) + 640;
  const auto commit_raw = [&](int slice) {
    CommitLoad shifted = load;
    shifted.first = (static_cast<uint64_t>(slice) + 1) * load.transactions * load.items;
    return RunCommits(*raw, shifted);
  };
  Report("grpc_durable", "items/s",
         AlternateCalls(
             at.scale.slices, [&](int) { return calls.Run(at.scale.slice_seconds); }, commit_raw));
}

double Percentile(std::vector<double> times, double share) {
  std::sort(times.begin(), times.end());
  return times[static_cast<size_t>(share * static_cast<double>(times.size() - 1))];
}

std::vector<double> TimeEach(int times, absl::FunctionRef<void()> call) {
  std::vector<double> seconds;
  for (int i = 0; i < times; ++i) {
    const double begin = Now();
    call();
    seconds.push_back((Now() - begin) * 1e6);
  }
  return seconds;
}

void MeasureLatency(const ServerScale& at) {
  constexpr int kCalls = 50;  // of each kind in a slice
  const std::string folder = EmptyFolder(at.scale, "server-latency");
  const SopdProcess server({.program = at.program, .folder = folder + "/sopd"});
  ServerClient client(server);
  client.CreateStore();
  const int file = open((folder + "/synced").c_str(), O_CREAT | O_WRONLY | O_APPEND, 0644);
  Require(file >= 0, "cannot make a file to sync");
  uint64_t next = 0;
  std::vector<double> all;
  const auto commit = [&](int) {
    const std::vector<double> times =
        TimeEach(kCalls, [&] { Require(client.Execute(next++, 1), "aborted without a rival"); });
    all.insert(all.end(), times.begin(), times.end());
    return Percentile(times, 0.5);
  };
  const auto parts = [&](int) {
    const std::string_view bytes = ValueOf(0);
    const double sync = Percentile(
        TimeEach(kCalls,
                 [&] {
                   Require(write(file, bytes.data(), bytes.size()) > 0 && fdatasync(file) == 0,
                           "fdatasync failed");
                 }),
        0.5);
    return sync + Percentile(TimeEach(kCalls, [&] { client.EchoLikeAdd(); }), 0.5);
  };
  commit(0);
  all.clear();
  Report("latency_p50", "us", AlternateCalls(2 * at.scale.slices, commit, parts));
  close(file);
  Report("latency_tail", "us", {{.ours = Percentile(all, 0.99), .rival = Percentile(all, 0.5)}});
}

void MeasureCreation(const ServerScale& at) {
  const SopdProcess server(
      {.program = at.program, .folder = EmptyFolder(at.scale, "server-create")});
  std::vector<Pair> rounds;
  for (int round = 0; round < kRounds; ++round) {
    std::atomic<int> aborted{0};
    std::barrier start(kCreators);
    std::vector<std::thread> threads;
    for (int number = 0; number < kCreators; ++number) {
      threads.emplace_back([&, number] {
        ServerClient client(server);
        client.EchoLikeGet();  // connects
        start.arrive_and_wait();
        const uint64_t first = static_cast<uint64_t>(number) * 10;
        if (!client.CreateAndExecute(fmt::format("store{}", round), first, 10)) ++aborted;
      });
    }
    for (std::thread& thread : threads) thread.join();
    rounds.push_back({.ours = static_cast<double>(aborted)});
  }
  Report("aborts_create", "aborts", rounds);
}

int Run(std::vector<std::string> arguments) {
  if (arguments.size() < 3 || (arguments[1] != "quick" && arguments[1] != "full")) {
    std::fputs("usage: server_bench FOLDER quick|full SOPD [GROUP ...]\n", stderr);
    return 2;
  }
  const bool quick = arguments[1] == "quick";
  const ServerScale at = {.scale = {.folder = arguments[0],
                                    .slices = quick ? 5 : 10,
                                    .slice_seconds = quick ? 0.4 : 6.0,
                                    .read_items = quick ? 200'000u : 1'500'000u,
                                    .write_memory = (quick ? uint64_t{512} : 4096) << 20},
                          .program = arguments[2]};
  const RowGroups groups = {
      {"server-reads", [&] { MeasureReads(at); }},
      {"server-durable", [&] { MeasureDurable(at); }},
      {"server-latency", [&] { MeasureLatency(at); }},
      {"server-creation", [&] { MeasureCreation(at); }},
  };
  MeasureGroups(groups, {arguments.begin() + 3, arguments.end()});
  return 0;
}

}  // namespace
}  // namespace sop::bench

int main(int argc, char** argv) {
  sop::client::PrepareProcess();
  return sop::bench::Run(std::vector<std::string>(argv + 1, argv + argc));
}
