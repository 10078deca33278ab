#pragma once

#include <cstdint>
#include <string>

#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "clients/cli/bench/bench_client.h"

namespace sop::cli {

struct ListAppendOptions {
  BenchClient::Options client;
  int clients = 16;
  absl::Duration duration = absl::Seconds(10);
  // Lists in use at once: the fewer, the more transactions conflict.
  uint32_t lists = 16;
  uint64_t seed = 1;
};

struct ListAppendFigures {
  absl::Duration elapsed;
  uint64_t committed = 0;
  uint64_t refused = 0;  // conflicts and other failures after which nothing may be seen
  uint64_t unknown = 0;  // the answer got lost
  uint64_t dependencies = 0;
  // One line for each anomaly; empty if the history is strictly serialisable.
  std::string anomalies;
};

// Runs transactions that read lists and append to them, each list an item of the store, for a time;
// then reads all lists and checks that what the clients saw fits one order of the transactions that
// agrees with real time. The store must be empty.
absl::StatusOr<ListAppendFigures> RunListAppend(const ListAppendOptions& options);

}  // namespace sop::cli
