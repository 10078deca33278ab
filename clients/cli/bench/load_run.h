#pragma once

#include <array>
#include <cstdint>
#include <map>
#include <string>

#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "clients/cli/bench/bench_client.h"
#include "clients/cli/bench/latency_histogram.h"
#include "clients/cli/bench/workload_mix.h"

namespace sop::cli {

struct LoadOptions {
  BenchClient::Options client;
  WorkloadMix mix;
  int clients = 16;
  absl::Duration duration = absl::Seconds(10);
  // Calls per second of all clients together; 0: as many as they manage. With a rate a call's
  // latency counts from when it was due, so that waiting for a slow one is not left out.
  double rate = 0;
  int64_t items = 100'000;  // in the store, with keys [0, items)
  uint32_t value_bytes = 100;
  uint32_t batch = 1;  // items of a get or put
  uint32_t scan_items = 100;
  uint64_t seed = 1;
};

// What became of the calls of one kind.
struct CallFigures {
  LatencyHistogram latency;  // of those that succeeded
  uint64_t items = 0;        // read and written by them
  // A transaction that conflicts is run again until it commits; its latency is the whole.
  uint64_t repeated = 0;
  std::map<std::string, uint64_t> failures;  // by code and reason
};

struct LoadFigures {
  absl::Duration elapsed;
  std::array<CallFigures, kCallKinds.size()> kinds;
};

// Puts the items that are not there yet. Not measured.
absl::Status FillStore(const LoadOptions& options);

// Runs the clients and waits for them. A transaction reads two items and writes both. A call that
// fails is counted and the load goes on; UNAVAILABLE from all clients at once is an error.
absl::StatusOr<LoadFigures> RunLoad(const LoadOptions& options);

}  // namespace sop::cli
