#include <algorithm>
#include <array>
#include <cmath>
#include <memory>
#include <string>

#include "tests/bench/ordered_map.h"
#include "tests/bench/scaling/scaling.h"
#include "tests/bench/workload.h"

namespace sop::bench {
namespace {

constexpr uint64_t kMiB = uint64_t{1} << 20;
constexpr uint64_t kPlenty = 4096 * kMiB;
constexpr uint64_t kLeastMemory = 40 * kMiB;  // below it the storage takes more than its half
constexpr CommitMode kUpdates = {Change::kUpdate, Sync::kRelaxed};

// Two digits behind the first.
double Rounded(double figure) {
  if (figure <= 0) return figure;
  const double unit = std::pow(10, std::floor(std::log10(figure)) - 2);
  return std::round(figure / unit) * unit;
}

double Rounded3(double figure) { return std::round(Rounded(figure) * 1000) / 1000; }

// The map under a load, its costs in microseconds: the best of the slices, since what disturbs one
// only makes it slower.
class Costs {
 public:
  Costs(const ScalingRun& run, OrderedMap& map, uint64_t known, size_t value_bytes = kValueBytes)
      : run_(run), map_(map), known_(known), value_bytes_(value_bytes) {}

  double Get(GetLoad::Keys keys) const {
    GetLoad load = {.known = known_, .reads = 5000, .value_bytes = value_bytes_, .keys = keys};
    RunGets(map_, load);
    load.reads = static_cast<uint64_t>(RunGets(map_, load) * run_.scale.slice_seconds) + 1;
    double best = 0;
    for (int i = 0; i < run_.scale.slices; ++i) {
      ++load.seed;
      best = std::max(best, RunGets(map_, load));
    }
    return Rounded3(1e6 / best);
  }

  // Of one item, in unsynced commits of `items` that exist.
  double Update(int items) const {
    CommitLoad load = {.committers = 1, .items = items, .known = known_};
    load.value_bytes = value_bytes_;
    load.mode = kUpdates;
    load.seed = 77;
    load.transactions = 200;
    const double first = RunCommits(map_, load);
    load.transactions = static_cast<uint64_t>(first * run_.scale.slice_seconds / items) + 1;
    double best = 0;
    for (int i = 0; i < run_.scale.slices; ++i) {
      ++load.seed;
      best = std::max(best, RunCommits(map_, load));
    }
    return Rounded3(1e6 / best);
  }

 private:
  const ScalingRun& run_;
  OrderedMap& map_;
  const uint64_t known_;
  const size_t value_bytes_;
};

// Fills with scattered keys, as random inserts leave a tree; items per second.
double FillScattered(OrderedMap& map, uint64_t items) {
  CommitLoad fill = {.committers = 4, .items = 100, .transactions = items / 100};
  fill.mode.sync = Sync::kRelaxed;
  return RunCommits(map, fill);
}

}  // namespace

void MeasureItems(const ScalingRun& run) {
  for (uint64_t items = 10'000; items <= run.most_items; items *= 10) {
    Cells cells = {{"items", items}};
    for (const bool ours : {true, false}) {
      const auto map = (ours ? OpenEngineMap : OpenRowMap)(
          {.folder = EmptyFolder(run.scale, "items"), .memory_bytes = kPlenty});
      const std::string of = ours ? "" : ", raw";
      cells["load items/s" + of] = Rounded(RunOrderedLoad(*map, 0, items));
      map->Compact();
      double scan = 0;
      for (int i = 0; i < run.scale.slices; ++i) scan = std::max(scan, RunScan(*map, items));
      cells["scan items/s" + of] = Rounded(scan);
      const Costs costs(run, *map, items);
      cells["get us" + of] = costs.Get(GetLoad::Keys::kOrdered);
    }
    for (const bool ours : {true, false}) {
      const auto map = (ours ? OpenEngineMap : OpenRowMap)(
          {.folder = EmptyFolder(run.scale, "items"), .memory_bytes = kPlenty});
      FillScattered(*map, items);
      cells[std::string("update us per item") + (ours ? "" : ", raw")] =
          Costs(run, *map, items).Update(10);
    }
    ReportLine("items", cells);
  }
}

void MeasureNodes(const ScalingRun& run) {
  const uint64_t items = std::min<uint64_t>(run.most_items / 5, 1'000'000);
  for (const size_t kib : {2, 4, 8, 16, 32}) {
    Cells cells = {{"node KiB", kib}};
    MapOptions options = {.folder = EmptyFolder(run.scale, "nodes"),
                          .memory_bytes = kPlenty / 4,
                          .node_bytes = kib * 1024};
    {
      const auto map = OpenEngineMap(options);
      cells["random inserts/s"] = Rounded(FillScattered(*map, items));
      const Costs costs(run, *map, items);
      cells["one-item commit us"] = costs.Update(1);
      cells["10-item commit us per item"] = costs.Update(10);
      map->Compact();
      cells["written per user byte"] =
          Rounded3(static_cast<double>(map->written_bytes()) /
                   static_cast<double>(items * kItemBytes));  // updates and compaction included
    }
    options.folder = EmptyFolder(run.scale, "nodes");
    {
      const auto map = OpenEngineMap(options);
      RunOrderedLoad(*map, 0, items);
      map->Compact();
      RunScan(*map, items);
      cells["scan items/s"] = Rounded(RunScan(*map, items));
      cells["get us"] = Costs(run, *map, items).Get(GetLoad::Keys::kOrdered);
    }
    cells["disk MiB"] = FolderBytes(options.folder) / kMiB;
    options.memory_bytes = kLeastMemory;
    const auto map = OpenEngineMap(options);
    cells["get us, 40 MiB of memory"] = Costs(run, *map, items).Get(GetLoad::Keys::kOrdered);
    ReportLine("nodes", cells);
  }
}

void MeasureValues(const ScalingRun& run) {
  const uint64_t most_bytes = run.most_items * 50;
  for (const size_t bytes :
       {size_t{10}, size_t{100}, size_t{1024}, size_t{10'240}, kLongestValueBytes}) {
    const uint64_t items = std::clamp<uint64_t>(most_bytes / bytes, 500, 1'000'000);
    Cells cells = {{"value bytes", bytes}, {"items", items}};
    for (const bool ours : {true, false}) {
      const auto map = (ours ? OpenEngineMap : OpenRowMap)(
          {.folder = EmptyFolder(run.scale, "values"), .memory_bytes = kPlenty / 2});
      const std::string of = ours ? "" : ", raw";
      const double load = RunOrderedLoad(*map, 0, items, bytes);
      cells["load MB/s" + of] = Rounded3(load * static_cast<double>(bytes + kKeyBytes) / 1e6);
      map->Compact();
      cells["get us" + of] = Costs(run, *map, items, bytes).Get(GetLoad::Keys::kOrdered);
      CommitLoad load_synced = {
          .committers = 16, .items = 10, .first = items, .value_bytes = bytes};
      load_synced.transactions = std::clamp<uint64_t>(most_bytes / 4 / bytes / 10, 64, 20'000);
      cells["durable inserts/s, 16 committers" + of] = Rounded(RunCommits(*map, load_synced));
    }
    ReportLine("values", cells);
  }
}

void MeasureCache(const ScalingRun& run) {
  const uint64_t items = run.most_items * 2 / 5;
  const uint64_t user_bytes = items * kItemBytes;
  const std::array<std::string, 2> folders = {EmptyFolder(run.scale, "cache-ours"),
                                              EmptyFolder(run.scale, "cache-raw")};
  for (const bool ours : {true, false}) {
    const auto map = (ours ? OpenEngineMap : OpenRowMap)(
        {.folder = folders[ours ? 0 : 1], .memory_bytes = kPlenty / 4});
    FillScattered(*map, items);
    map->Compact();
  }
  for (const double times : {0.5, 1.0, 2.0, 5.0, 10.0}) {
    const auto memory = static_cast<uint64_t>(static_cast<double>(user_bytes) / times);
    if (memory < kLeastMemory) return;
    Cells cells = {{"items, of memory", times}, {"memory MiB", memory / kMiB}};
    for (const bool ours : {true, false}) {
      const auto map = (ours ? OpenEngineMap : OpenRowMap)(
          {.folder = folders[ours ? 0 : 1], .memory_bytes = memory});
      CommitLoad load = {.committers = 1, .items = 10, .transactions = 2000, .known = items};
      load.mode = kUpdates;
      RunCommits(*map, load);  // warms
      const std::string of = ours ? "" : ", raw";
      const Costs costs(run, *map, items);
      cells["update us per item" + of] = costs.Update(10);
      cells["get us" + of] = costs.Get(GetLoad::Keys::kScattered);
    }
    ReportLine("cache", cells);
  }
}

}  // namespace sop::bench
