#include <algorithm>
#include <memory>
#include <string>

#include "tests/bench/ordered_map.h"
#include "tests/bench/rows.h"
#include "tests/bench/workload.h"

namespace sop::bench {
namespace {

constexpr uint64_t kCachedMemoryFactor = 4;
constexpr uint64_t kCalibrationReads = 20'000;

using Figure = absl::FunctionRef<double(OrderedMap& map, int slice)>;

std::vector<Pair> Compare(int slices, OrderedMap& ours, OrderedMap& rival, Figure figure) {
  return Alternate(
      slices, [&](int slice) { return figure(ours, slice); },
      [&](int slice) { return figure(rival, slice); });
}

// Reads that take about one slice.
uint64_t ReadsOfSlice(const Scale& scale, OrderedMap& map) {
  const double rate =
      RunGets(map, {.known = scale.read_items, .reads = kCalibrationReads, .seed = 99});
  return static_cast<uint64_t>(rate * scale.slice_seconds);
}

void MeasureLoad(const Scale& scale, OrderedMap& ours, OrderedMap& rows) {
  const uint64_t part = scale.read_items / static_cast<uint64_t>(scale.slices);
  Report("load", "items/s", Compare(scale.slices, ours, rows, [&](OrderedMap& map, int slice) {
           const auto number = static_cast<uint64_t>(slice);
           const bool last = slice + 1 == scale.slices;
           return RunOrderedLoad(map, number * part, last ? scale.read_items : (number + 1) * part);
         }));
}

void MeasureCached(const Scale& scale, OrderedMap& ours, OrderedMap& rows, OrderedMap& lmdb) {
  for (OrderedMap* map : {&ours, &rows, &lmdb}) RunScan(*map, scale.read_items);
  const uint64_t reads = ReadsOfSlice(scale, rows);
  const auto get = [&](OrderedMap& map, int slice) {
    return RunGets(map, {.known = scale.read_items, .reads = reads, .seed = slice + 1u});
  };
  const auto scan = [&](OrderedMap& map, int) { return RunScan(map, scale.read_items); };
  Report("cached_get", "gets/s", Compare(scale.slices, ours, rows, get));
  Report("cached_get_lmdb", "gets/s", Compare(scale.slices, ours, lmdb, get));
  Report("scan", "items/s", Compare(scale.slices, ours, rows, scan));
  Report("scan_lmdb", "items/s", Compare(scale.slices, ours, lmdb, scan));
}

}  // namespace

void MeasureReads(const Scale& scale) {
  const uint64_t user_bytes = scale.read_items * kItemBytes;
  MapOptions ours = {.folder = EmptyFolder(scale, "read-ours"),
                     .memory_bytes = user_bytes * kCachedMemoryFactor};
  MapOptions rows = {.folder = EmptyFolder(scale, "read-rival"), .memory_bytes = ours.memory_bytes};
  {
    const auto our_map = OpenEngineMap(ours);
    const auto row_map = OpenRowMap(rows);
    MeasureLoad(scale, *our_map, *row_map);
    our_map->Compact();
    row_map->Compact();
    const auto lmdb = OpenLmdbMap({.folder = EmptyFolder(scale, "read-lmdb")});
    RunOrderedLoad(*lmdb, 0, scale.read_items);
    MeasureCached(scale, *our_map, *row_map, *lmdb);
  }
  EmptyFolder(scale, "read-lmdb");
  ours.memory_bytes = rows.memory_bytes = user_bytes / 10;
  const auto our_map = OpenEngineMap(ours);
  const auto row_map = OpenRowMap(rows);
  const uint64_t reads = ReadsOfSlice(scale, *row_map);
  const auto get = [&](OrderedMap& map, int slice) {
    return RunGets(map, {.known = scale.read_items, .reads = reads, .seed = slice + 1u});
  };
  get(*our_map, -1);
  Report("cold_get", "gets/s", Compare(scale.slices, *our_map, *row_map, get));
}

}  // namespace sop::bench
