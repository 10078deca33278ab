// How fast the history checker is: history_bench [TRANSACTIONS]. Makes up a history of overlapping
// transactions of eight clients over lists of a few dozen values, and checks it on one thread.
#include <fmt/format.h>

#include <cstdint>
#include <cstdlib>
#include <ctime>
#include <vector>

#include "core/base/random.h"
#include "tests/history/append_checker.h"

namespace sop::bench {
namespace {

constexpr uint32_t kClients = 8;
constexpr uint32_t kLists = 64;  // in use at a time
constexpr size_t kLongest = 32;

history::AppendHistory MakeUp(uint32_t transactions) {
  base::SeededRandom random(1);
  std::vector<std::vector<uint32_t>> lists(kLists);
  std::vector<uint32_t> names(kLists);
  for (uint32_t i = 0; i < kLists; ++i) names[i] = i;
  uint32_t next_list = kLists;
  uint32_t next_value = 1;
  std::vector<history::AppendHistory> clients(kClients);
  for (uint32_t i = 0; i < transactions; ++i) {
    history::AppendHistory& client = clients[i % kClients];
    client.Begin(i % kClients, uint64_t{i} * 10);
    const uint64_t operations = 1 + random.Next64() % 4;
    for (uint64_t o = 0; o < operations; ++o) {
      const uint64_t at = random.Next64() % kLists;
      if (random.Next64() % 2 == 0) {
        client.Read(names[at], lists[at]);
        continue;
      }
      client.Append(names[at], next_value);
      lists[at].push_back(next_value++);
      if (lists[at].size() < kLongest) continue;
      client.Read(names[at], lists[at]);
      lists[at].clear();
      names[at] = next_list++;
    }
    client.End(uint64_t{i} * 10 + 75, history::Outcome::kOk);
  }
  history::AppendHistory history;
  for (const history::AppendHistory& client : clients) history.Take(client);
  return history;
}

int Run(uint32_t transactions) {
  const history::AppendHistory history = MakeUp(transactions);
  for (int run = 0; run < 3; ++run) {
    const std::clock_t begin = std::clock();
    const history::Verdict verdict = history::CheckHistory(history);
    const double took = static_cast<double>(std::clock() - begin) / CLOCKS_PER_SEC;
    fmt::print(
        "{} transactions, {} dependencies, {} anomalies, {:.3f} processor seconds, {:.2f} M/s\n",
        verdict.transactions, verdict.edges, verdict.anomalies.size(), took,
        static_cast<double>(verdict.transactions) / took / 1e6);
    if (!verdict.anomalies.empty()) return 1;
  }
  return 0;
}

}  // namespace
}  // namespace sop::bench

int main(int argc, char** argv) {
  return sop::bench::Run(argc > 1 ? static_cast<uint32_t>(std::atoi(argv[1])) : 1'000'000);
}
