#include <algorithm>
#include <cmath>
#include <memory>
#include <string>
#include <vector>

#include <fmt/format.h>

#include "sop/v1/database.grpc.pb.h"
#include "tests/bench/ordered_map.h"
#include "tests/bench/scaling/scaling.h"
#include "tests/bench/server_calls.h"
#include "tests/bench/sopd_process.h"
#include "tests/bench/workload.h"

namespace sop::bench {
namespace {

// The default: what some 370 databases take that are open at once; those that nobody uses are
// closed.
constexpr uint64_t kMemory = uint64_t{512} << 20;
constexpr uint64_t kItems = 1000;  // of each database

double Median(std::vector<double> figures) {
  std::sort(figures.begin(), figures.end());
  return figures[figures.size() / 2];
}

std::string NameOf(uint64_t number) { return fmt::format("db{}", number); }

double Milliseconds(double begin) { return (Now() - begin) * 1e3; }

void Create(v1::DatabaseService::Stub& databases, const std::string& name) {
  grpc::ClientContext context;
  v1::CreateDatabaseRequest request;
  request.set_name(name);
  v1::CreateDatabaseResponse response;
  const grpc::Status status = databases.CreateDatabase(&context, request, &response);
  Require(status.ok(), status.error_message());
}

double Round1(double figure) { return std::round(figure * 10) / 10; }

}  // namespace

void MeasureDatabases(const ScalingRun& run) {
  SopdProcess::Options options = {
      .program = run.sopd, .folder = EmptyFolder(run.scale, "databases"), .memory_bytes = kMemory};
  std::vector<uint64_t> marks = {1, 10, 100, 500};
  std::erase_if(marks, [&](uint64_t mark) { return mark > run.most_databases; });
  {
    const SopdProcess server(options);
    const auto databases = v1::DatabaseService::NewStub(server.Connect());
    uint64_t made = 0;
    for (const uint64_t mark : marks) {
      std::vector<double> create_ms;
      std::vector<double> add_ms;
      for (; made < mark; ++made) {
        double begin = Now();
        Create(*databases, NameOf(made));
        create_ms.push_back(Milliseconds(begin));
        ServerClient client(server, NameOf(made));
        begin = Now();
        client.CreateStore();
        client.Add(0, kItems);
        add_ms.push_back(Milliseconds(begin));
      }
      ReportLine("databases", {{"databases", mark},
                               {"create ms", Round1(Median(create_ms))},
                               {"first store and 1,000 items ms", Round1(Median(add_ms))},
                               {"RSS MiB", server.ResidentBytes() >> 20},
                               {"threads", server.Threads()},
                               {"open files", server.OpenFiles()}});
    }
  }
  for (const uint64_t mark : marks) {
    const SopdProcess server(options);
    std::vector<double> first_ms;
    std::vector<double> next_us;
    uint64_t state = 1;
    for (uint64_t i = 0; i < mark; ++i) {
      ServerClient client(server, NameOf(i));
      client.EchoLikeGet();  // connects
      double begin = Now();
      client.Get(kItems, 1, &state);
      first_ms.push_back(Milliseconds(begin));
      begin = Now();
      client.Get(kItems, 1, &state);
      next_us.push_back(Milliseconds(begin) * 1e3);
    }
    ReportLine(
        "databases, reopened after kill -9",
        {{"databases", mark},
         {"first get ms", Round1(Median(first_ms))},
         {"slowest first get ms", Round1(*std::max_element(first_ms.begin(), first_ms.end()))},
         {"next get us", std::round(Median(next_us))},
         {"RSS MiB", server.ResidentBytes() >> 20},
         {"open files", server.OpenFiles()}});
  }
}

}  // namespace sop::bench
