// Drives one server with one kind of call and prints what it measured as a line of JSON:
//   rival_load SERVER PORT load|put|get CLIENTS BATCH SECONDS ITEMS
// SERVER: sop, etcd, postgres, redis. `load` puts all items once and ignores SECONDS. Each client
// puts keys of its own share: what is measured is the server, not how it settles conflicts.

#include <sys/resource.h>

#include <algorithm>
#include <atomic>
#include <barrier>
#include <cstdio>
#include <map>
#include <string>
#include <thread>
#include <vector>

#include <nlohmann/json.hpp>

#include "tests/bench/ordered_map.h"
#include "tests/bench/side_by_side/rival_client.h"
#include "tests/bench/workload.h"

namespace sop::bench {
namespace {

using Connect = std::unique_ptr<RivalClient> (*)(const RivalAddress& address);
const std::map<std::string, Connect>& Servers() {
  static const std::map<std::string, Connect>& servers =
      *new std::map<std::string, Connect>{{"sop", &ConnectSop},
                                          {"etcd", &ConnectEtcd},
                                          {"postgres", &ConnectPostgres},
                                          {"redis", &ConnectRedis}};
  return servers;
}

enum class Call { kLoad, kPut, kGet };

struct Load {
  Connect connect = nullptr;
  RivalAddress address;
  Call call = Call::kGet;
  uint64_t clients = 1;
  uint64_t batch = 1;
  double seconds = 1;
  uint64_t items = 0;
};

// One client's calls and how long each took, in microseconds. Confined to one thread.
class ClientRun {
 public:
  ClientRun(const Load& load, uint64_t self)
      : load_(load), self_(self), state_(Scatter(self + 1)), client_(load.connect(load.address)) {}

  void Connect() {
    if (load_.call == Call::kLoad) return;
    Draw();
    client_->Get({numbers_.data(), 1});
  }

  void Run() {
    if (load_.call == Call::kLoad) {
      RunLoad();
      return;
    }
    for (const double end = Now() + load_.seconds; Now() < end;) {
      Draw();
      Time([this] { load_.call == Call::kPut ? client_->Put(numbers_) : client_->Get(numbers_); });
    }
  }

  const std::vector<double>& times() const { return times_; }

 private:
  // Its part of the items.
  void RunLoad() {
    for (uint64_t next = self_; next < load_.items;) {
      numbers_.clear();
      for (; next < load_.items && numbers_.size() < load_.batch; next += load_.clients) {
        numbers_.push_back(next);
      }
      Time([this] { client_->Put(numbers_); });
    }
  }

  void Draw() {
    numbers_.clear();
    const uint64_t share = load_.items / load_.clients;
    while (numbers_.size() < load_.batch) {
      const uint64_t number = load_.call == Call::kPut
                                  ? DrawBelow(share, &state_) * load_.clients + self_
                                  : DrawBelow(load_.items, &state_);
      if (std::find(numbers_.begin(), numbers_.end(), number) == numbers_.end()) {
        numbers_.push_back(number);
      }
    }
    std::sort(numbers_.begin(), numbers_.end());
  }

  template <typename Body>
  void Time(Body body) {
    const double begin = Now();
    body();
    times_.push_back((Now() - begin) * 1e6);
  }

  const Load& load_;
  const uint64_t self_;
  uint64_t state_;
  const std::unique_ptr<RivalClient> client_;
  std::vector<uint64_t> numbers_;
  std::vector<double> times_;
};

double CpuSeconds() {
  rusage usage{};
  getrusage(RUSAGE_SELF, &usage);
  return static_cast<double>(usage.ru_utime.tv_sec + usage.ru_stime.tv_sec) +
         static_cast<double>(usage.ru_utime.tv_usec + usage.ru_stime.tv_usec) * 1e-6;
}

void Report(std::vector<double> times, double seconds, double cpu) {
  std::sort(times.begin(), times.end());
  const auto percentile = [&times](double share) {
    return times[static_cast<size_t>(share * static_cast<double>(times.size() - 1))];
  };
  const auto calls = static_cast<double>(times.size());
  const nlohmann::json line = {{"calls", times.size()},      {"seconds", seconds},
                               {"calls_s", calls / seconds}, {"p50_us", percentile(0.5)},
                               {"p99_us", percentile(0.99)}, {"client_cpu_s", cpu}};
  std::puts(line.dump().c_str());
}

void RunAll(const Load& load) {
  if (load.call == Call::kLoad) load.connect(load.address)->Prepare();
  std::vector<std::unique_ptr<ClientRun>> runs;
  for (uint64_t i = 0; i < load.clients; ++i) runs.push_back(std::make_unique<ClientRun>(load, i));
  std::barrier start(static_cast<std::ptrdiff_t>(load.clients) + 1);
  std::vector<std::thread> threads;
  for (const auto& run : runs) {
    threads.emplace_back([&start, &run] {
      run->Connect();
      start.arrive_and_wait();
      run->Run();
    });
  }
  start.arrive_and_wait();
  const double begin = Now();
  const double cpu = CpuSeconds();
  for (std::thread& thread : threads) thread.join();
  const double seconds = Now() - begin;
  std::vector<double> times;
  for (const auto& run : runs) times.insert(times.end(), run->times().begin(), run->times().end());
  Report(std::move(times), seconds, CpuSeconds() - cpu);
}

int Run(const std::vector<std::string>& arguments) {
  const std::map<std::string, Call> calls = {
      {"load", Call::kLoad}, {"put", Call::kPut}, {"get", Call::kGet}};
  if (arguments.size() != 7 || !Servers().contains(arguments[0]) || !calls.contains(arguments[2])) {
    std::fputs(
        "usage: rival_load sop|etcd|postgres|redis PORT load|put|get CLIENTS BATCH SECONDS ITEMS\n",
        stderr);
    return 2;
  }
  RunAll({.connect = Servers().at(arguments[0]),
          .address = {.port = std::stoi(arguments[1])},
          .call = calls.at(arguments[2]),
          .clients = std::stoull(arguments[3]),
          .batch = std::stoull(arguments[4]),
          .seconds = std::stod(arguments[5]),
          .items = std::stoull(arguments[6])});
  return 0;
}

}  // namespace
}  // namespace sop::bench

int main(int argc, char** argv) {
  return sop::bench::Run(std::vector<std::string>(argv + 1, argv + argc));
}
