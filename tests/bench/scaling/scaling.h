#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include <nlohmann/json.hpp>

#include "tests/bench/report.h"

// How cost grows with clients, items, sizes and databases. Each function works in folders of its
// own below the scale's and reports the lines of one table.
namespace sop::bench {

struct ScalingRun {
  Scale scale;       // slices and slice_seconds count; what is measured is the best slice
  std::string sopd;  // the daemon's program
  uint64_t most_items = 0;
  uint64_t most_databases = 0;
};

// Cells by heading, in the order of the columns.
using Cells = nlohmann::ordered_json;
void ReportLine(std::string_view table, const Cells& cells);

// 1 to 64 committers and readers, in process and over the network.
void MeasureClients(const ScalingRun& run);
// 10,000 items to `most_items`, all in memory.
void MeasureItems(const ScalingRun& run);
// A page at a random offset, either way, and the count of a random range, of 10,000 items to
// `most_items`.
void MeasurePaging(const ScalingRun& run);
// Node images of 2 to 32 KiB.
void MeasureNodes(const ScalingRun& run);
// Values of 10 bytes to 64 KiB.
void MeasureValues(const ScalingRun& run);
// Commits to a store with a feed and to one without, and how fast the feed is read.
void MeasureFeed(const ScalingRun& run);
// All keys of a store of 10 KiB values, with and without the values.
void MeasureKeysAlone(const ScalingRun& run);
// Values of 64 KiB to 64 MiB, one in each transaction, beside a file.
void MeasureLarge(const ScalingRun& run);
// Items of half the memory to ten times the memory.
void MeasureCache(const ScalingRun& run);
// Databases open in one daemon, up to `most_databases`.
void MeasureDatabases(const ScalingRun& run);

}  // namespace sop::bench
