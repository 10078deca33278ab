// A server and a client of it in C++, for compare.py: client_loop SOPD FOLDER < commands.
// A command is "KIND BEGIN END"; its answer is a line of JSON. The first line is the address.

#include <sys/resource.h>

#include <cstdint>
#include <iostream>
#include <string>

#include <fmt/format.h>

#include "tests/bench/ordered_map.h"
#include "tests/bench/server_calls.h"
#include "tests/bench/sopd_process.h"
#include "tests/bench/workload.h"

namespace sop::bench {
namespace {

constexpr uint64_t kBatch = 1000;
constexpr uint32_t kPageSize = 1000;

double Seconds(const timeval& time) {
  return static_cast<double>(time.tv_sec) + static_cast<double>(time.tv_usec) / 1e6;
}

// Of this process: the server is another one.
double CpuSeconds() {
  rusage usage{};
  Require(getrusage(RUSAGE_SELF, &usage) == 0, "getrusage failed");
  return Seconds(usage.ru_utime) + Seconds(usage.ru_stime);
}

void Run(ServerClient& client, const std::string& kind, uint64_t begin, uint64_t end) {
  if (kind == "unary") {
    client.AddInTransaction(begin, end, 1);
  } else if (kind == "batched") {
    client.AddInTransaction(begin, end, kBatch);
  } else if (kind == "pages") {
    Require(client.ReadPages(kPageSize) == end - begin, "pages that miss items");
  } else {
    Require(kind == "scan", "an unknown command");
    Require(client.Scan() == end - begin, "a scan that misses items");
  }
}

void Serve(const SopdProcess& server) {
  ServerClient client(server);
  client.CreateStore();
  std::cout << server.address() << std::endl;
  std::string kind;
  uint64_t begin = 0;
  uint64_t end = 0;
  while (std::cin >> kind >> begin >> end) {
    const double cpu = CpuSeconds();
    const double start = Now();
    Run(client, kind, begin, end);
    std::cout << fmt::format(R"({{"seconds": {}, "cpu": {}}})", Now() - start, CpuSeconds() - cpu)
              << std::endl;
  }
}

}  // namespace
}  // namespace sop::bench

int main(int argc, char** argv) {
  sop::bench::Require(argc == 3, "usage: client_loop SOPD FOLDER < commands");
  const sop::bench::SopdProcess server({.program = argv[1], .folder = argv[2]});
  sop::bench::Serve(server);
  return 0;
}
