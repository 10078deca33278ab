#include <algorithm>
#include <filesystem>
#include <memory>
#include <string>

#include <fmt/format.h>

#include "tests/bench/ordered_map.h"
#include "tests/bench/rows.h"
#include "tests/bench/workload.h"

namespace sop::bench {
namespace {

constexpr uint64_t kCalibrationTransactions = 4096;
// Of a slice, so that the memory of the full mode holds what its slices insert.
constexpr double kMostItems = 1'000'000;

// Both sides of a row, on the same items.
struct Rivals {
  std::unique_ptr<OrderedMap> ours;
  std::unique_ptr<OrderedMap> rival;

  // Inserts, reported as `row`_insert, then updates of what was inserted, as `row`_update. Returns
  // the items written to each side.
  uint64_t MeasureBoth(const Scale& scale, const std::string& row, CommitLoad load);

 private:
  // Gives `load` the transactions that take the two sides a slice each on average.
  uint64_t Calibrate(const Scale& scale, CommitLoad* load);
  uint64_t MeasureSlices(const Scale& scale, const std::string& row, CommitLoad load);
};

uint64_t Rivals::Calibrate(const Scale& scale, CommitLoad* load) {
  load->transactions = kCalibrationTransactions;
  const double our_seconds = 1 / RunCommits(*ours, *load);
  const double rival_seconds = 1 / RunCommits(*rival, *load);
  load->first += kCalibrationTransactions * load->items;
  const double items =
      std::min(2 * scale.slice_seconds / (our_seconds + rival_seconds), kMostItems);
  load->transactions =
      std::max(kCalibrationTransactions, static_cast<uint64_t>(items / load->items));
  return kCalibrationTransactions * load->items;
}

uint64_t Rivals::MeasureSlices(const Scale& scale, const std::string& row, CommitLoad load) {
  const uint64_t slice_items = load.transactions * load.items;
  const auto at = [&load, slice_items](int slice) {
    CommitLoad shifted = load;
    shifted.first += slice_items * slice;
    shifted.seed += slice;
    return shifted;
  };
  Report(row, "items/s",
         Alternate(
             scale.slices, [&](int slice) { return RunCommits(*ours, at(slice)); },
             [&](int slice) { return RunCommits(*rival, at(slice)); }));
  return slice_items * scale.slices;
}

uint64_t Rivals::MeasureBoth(const Scale& scale, const std::string& row, CommitLoad load) {
  load.mode.change = Change::kInsert;
  load.known = Calibrate(scale, &load);
  load.known += MeasureSlices(scale, row + "_insert", load);
  load.mode.change = Change::kUpdate;
  const uint64_t updated = MeasureSlices(scale, row + "_update", load);
  if (ours->aborts() != 0) fmt::print(stderr, "bench: {}: {} aborts\n", row, ours->aborts());
  return load.known + updated;
}

}  // namespace

void MeasureDurableCommits(const Scale& scale) {
  const std::string our_folder = EmptyFolder(scale, "durable-ours");
  const std::string rival_folder = EmptyFolder(scale, "durable-rival");
  Rivals rivals = {OpenEngineMap({.folder = our_folder, .memory_bytes = scale.write_memory}),
                   OpenRowMap({.folder = rival_folder, .memory_bytes = scale.write_memory})};
  const uint64_t items = rivals.MeasureBoth(scale, "durable", {});
  const auto user_bytes = static_cast<double>(items * kItemBytes);
  Report("written", "bytes per user byte",
         {{static_cast<double>(rivals.ours->written_bytes()) / user_bytes,
           static_cast<double>(rivals.rival->written_bytes()) / user_bytes}});
  rivals.ours->Compact();
  rivals.rival->Compact();
  // Closing removes files that are no longer needed.
  rivals = {};
  Report("disk", "MiB",
         {{static_cast<double>(FolderBytes(our_folder)) / 1048576,
           static_cast<double>(FolderBytes(rival_folder)) / 1048576}});
}

void MeasureUnsyncedCommits(const Scale& scale) {
  Rivals rivals = {OpenEngineMap({.folder = EmptyFolder(scale, "unsynced-ours"),
                                  .memory_bytes = scale.write_memory}),
                   OpenRowMap({.folder = EmptyFolder(scale, "unsynced-rival"),
                               .memory_bytes = scale.write_memory})};
  CommitLoad load = {.committers = 1};
  load.mode.sync = Sync::kRelaxed;
  rivals.MeasureBoth(scale, "unsynced", load);
}

void MeasureNodeSizes(const Scale& scale) {
  constexpr uint64_t kItems = 200'000;
  const std::unique_ptr<OrderedMap> large = OpenEngineMap(
      {.folder = EmptyFolder(scale, "nodes-16k"), .memory_bytes = scale.write_memory});
  const std::unique_ptr<OrderedMap> small = OpenEngineMap({.folder = EmptyFolder(scale, "nodes-2k"),
                                                           .memory_bytes = scale.write_memory,
                                                           .node_bytes = 2 * 1024});
  CommitLoad fill = {.committers = 4, .items = 100, .transactions = kItems / 100};
  fill.mode.sync = Sync::kRelaxed;
  RunCommits(*large, fill);
  RunCommits(*small, fill);
  CommitLoad load = {.committers = 1, .items = 1, .transactions = 2000, .known = kItems};
  load.mode = {Change::kUpdate, Sync::kRelaxed};
  load.transactions = static_cast<uint64_t>(RunCommits(*small, load) * scale.slice_seconds);
  const auto run = [&load](OrderedMap& map, int slice) {
    CommitLoad shifted = load;
    shifted.seed += slice;
    return RunCommits(map, shifted);
  };
  Report("node_size", "commits/s",
         Alternate(
             scale.slices, [&](int slice) { return run(*large, slice); },
             [&](int slice) { return run(*small, slice); }));
}

}  // namespace sop::bench
