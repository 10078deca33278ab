#include <barrier>
#include <string>
#include <thread>
#include <vector>

#include "tests/bench/ordered_map.h"
#include "tests/bench/rows.h"
#include "tests/bench/workload.h"

namespace sop::bench {
namespace {

constexpr int kWriters = 16;
constexpr int kTransactions = 20;  // of each writer
constexpr int kRounds = 5;

// Every writer inserts its own keys, which lie between those of the others, and all begin at once.
void RunWriters(OrderedMap& map, uint64_t first) {
  std::barrier start(kWriters);
  std::vector<std::thread> writers;
  for (int writer = 0; writer < kWriters; ++writer) {
    writers.emplace_back([&map, &start, first, writer] {
      start.arrive_and_wait();
      for (int i = 0; i < kTransactions; ++i) {
        const uint64_t number = first + static_cast<uint64_t>(i) * kWriters + writer;
        const KeyValue item = {KeyOf(number), ValueOf(number)};
        map.Commit({&item, 1}, {Change::kInsert, Sync::kSynced});
      }
    });
  }
  for (std::thread& writer : writers) writer.join();
}

}  // namespace

void MeasureContention(const Scale& scale) {
  std::vector<Pair> empty;
  std::vector<Pair> one_leaf;
  for (int round = 0; round < kRounds; ++round) {
    const auto map = OpenEngineMap({.folder = EmptyFolder(scale, "contention")});
    RunWriters(*map, 0);
    empty.push_back({static_cast<double>(map->aborts()), 0});
  }
  for (int round = 0; round < kRounds; ++round) {
    const auto map = OpenEngineMap({.folder = EmptyFolder(scale, "contention")});
    RunOrderedLoad(*map, 0, 10);
    RunWriters(*map, 10);
    one_leaf.push_back({static_cast<double>(map->aborts()), 0});
  }
  Report("aborts_empty", "aborts", empty);
  Report("aborts_one_leaf", "aborts", one_leaf);
}

}  // namespace sop::bench
