#include <algorithm>
#include <barrier>
#include <cmath>
#include <memory>
#include <thread>
#include <vector>

#include "tests/bench/execute_load.h"
#include "tests/bench/ordered_map.h"
#include "tests/bench/scaling/scaling.h"
#include "tests/bench/server_calls.h"
#include "tests/bench/sopd_process.h"
#include "tests/bench/workload.h"

namespace sop::bench {
namespace {

constexpr uint64_t kMemory = uint64_t{1} << 30;
constexpr uint64_t kKnown = 200'000;  // items of the rows that read

// Durable inserts of 10 random items per transaction; the best of the slices.
double CommitRate(const ScalingRun& run, OrderedMap& map, int committers, uint64_t* next) {
  CommitLoad load = {.committers = committers, .first = *next};
  load.transactions = static_cast<uint64_t>(committers) * 40;
  const double first = RunCommits(map, load);
  load.first += load.transactions * 10;
  load.transactions = static_cast<uint64_t>(first * run.scale.slice_seconds / 10) + 1;
  double best = 0;
  for (int i = 0; i < run.scale.slices; ++i) {
    best = std::max(best, RunCommits(map, load));
    load.first += load.transactions * 10;
  }
  *next = load.first;
  return std::round(best);
}

// Of all readers together; the best of the slices.
double GetRate(const ScalingRun& run, OrderedMap& map, int readers) {
  const auto all = [&map, readers](uint64_t reads) {
    const double start = Now();
    std::vector<std::thread> threads;
    for (int i = 0; i < readers; ++i) {
      threads.emplace_back([&map, reads, i] {
        RunGets(map, {.known = kKnown, .reads = reads, .seed = static_cast<uint64_t>(i)});
      });
    }
    for (std::thread& thread : threads) thread.join();
    return static_cast<double>(reads) * readers / (Now() - start);
  };
  const auto reads = static_cast<uint64_t>(all(2000) * run.scale.slice_seconds / readers) + 1;
  double best = 0;
  for (int i = 0; i < run.scale.slices; ++i) best = std::max(best, all(reads));
  return std::round(best);
}

}  // namespace

void MeasureClients(const ScalingRun& run) {
  const SopdProcess server({.program = run.sopd,
                            .folder = EmptyFolder(run.scale, "clients-server"),
                            .memory_bytes = kMemory});
  ServerClient loader(server);
  loader.CreateStore();
  for (uint64_t begin = 0; begin < kKnown; begin += 5000) loader.Add(begin, begin + 5000);
  const auto ours =
      OpenEngineMap({.folder = EmptyFolder(run.scale, "clients-ours"), .memory_bytes = kMemory});
  const auto raw =
      OpenRowMap({.folder = EmptyFolder(run.scale, "clients-raw"), .memory_bytes = kMemory});
  RunOrderedLoad(*ours, 0, kKnown);
  RunOrderedLoad(*raw, 0, kKnown);
  uint64_t our_next = kKnown;
  uint64_t raw_next = kKnown;
  uint64_t server_next = kKnown;
  for (int clients = 1; clients <= 64; clients *= 2) {
    Cells cells = {{"clients", clients}};
    cells["durable inserts/s"] = CommitRate(run, *ours, clients, &our_next);
    cells["durable inserts/s, raw"] = CommitRate(run, *raw, clients, &raw_next);
    cells["gets/s"] = GetRate(run, *ours, clients);
    cells["gets/s, raw"] = GetRate(run, *raw, clients);
    std::vector<uint64_t> states(static_cast<size_t>(clients));
    for (size_t i = 0; i < states.size(); ++i) states[i] = Scatter(i);
    cells["grpc gets/s"] = std::round(RunClients(
        server, clients, run.scale.slice_seconds * 2, [&](ServerClient& client, int number) {
          client.Get(kKnown, 1, &states[static_cast<size_t>(number)]);
        }));
    ExecuteLoad load(server, clients, server_next, 10);
    cells["grpc durable inserts/s"] = std::round(load.Run(run.scale.slice_seconds * 2));
    server_next = load.next();
    ReportLine("clients", cells);
  }
}

}  // namespace sop::bench
