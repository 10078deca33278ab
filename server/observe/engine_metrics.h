#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <vector>

#include "core/txn/engine.h"
#include "prometheus/metric_family.h"

namespace sop::observe {

// What one open database says of itself.
struct DatabaseSample {
  std::string database;
  txn::Engine::Statistics engine;
  // Maintenance::Statistics of its storage; empty if it has none.
  std::map<std::string, uint64_t> storage;
};

// What the process says of itself, in bytes unless the name says otherwise.
struct ProcessSample {
  int64_t memory_limit = 0;
  int64_t memory_firm = 0;
  int64_t memory_cached = 0;
  int64_t memory_overhead = 0;
  int64_t memory_resident = 0;
  int64_t memory_allocated = 0;
  int64_t streams = 0;
  int64_t watches = 0;
  uint64_t refused_too_many = 0;
  uint64_t refused_no_memory = 0;
};

// Appends the samples as families of metrics, each family once.
void AppendEngineMetrics(const std::vector<DatabaseSample>& databases,
                         std::vector<prometheus::MetricFamily>* families);
void AppendProcessMetrics(const ProcessSample& process,
                          std::vector<prometheus::MetricFamily>* families);

}  // namespace sop::observe
