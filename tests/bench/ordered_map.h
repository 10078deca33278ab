#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <span>
#include <string>
#include <string_view>

namespace sop::bench {

struct KeyValue {
  std::string key;
  std::string_view value;  // into the workload's bytes, which live for ever
};

enum class Sync : uint8_t { kSynced, kRelaxed };

// What a transaction knows of its keys. Ours reads a key before it writes it, as Add and Update do;
// a rival without transactions only writes.
enum class Change : uint8_t {
  kInsert,  // reads that the key is not there
  kUpdate,  // reads that it is there
  kBlind,   // reads nothing
};

struct CommitMode {
  Change change = Change::kInsert;
  Sync sync = Sync::kSynced;
};

// One read-only view. Confined to one thread.
class MapReader {
 public:
  virtual ~MapReader() = default;
  // Size of the value. REQUIRES: the key is there.
  virtual size_t Get(std::string_view key) = 0;
  // Visits every item in key order; returns how many there were. `bytes` gets the sum of the sizes.
  virtual uint64_t Scan(uint64_t* bytes) = 0;
};

// An ordered map on disk as the rows of the benchmark drive it: ours or a rival. Whatever fails
// ends the program: a benchmark has nobody to report an error to. Thread-safe.
class OrderedMap {
 public:
  virtual ~OrderedMap() = default;
  // Writes `items` as one transaction, repeated until it commits.
  virtual void Commit(std::span<const KeyValue> items, CommitMode mode) = 0;
  // Writes ascending `items` durably as one transaction that reads nothing; may answer before they
  // are durable, but FinishLoad not.
  virtual void Load(std::span<const KeyValue> items) {
    Commit(items, {Change::kBlind, Sync::kSynced});
  }
  virtual void FinishLoad() {}
  // Bytes of keys and values of a call of Load that suit the map.
  virtual uint64_t load_bytes() const { return uint64_t{109} * 1000; }
  // Must not outlive the map.
  virtual std::unique_ptr<MapReader> Read() = 0;
  // Waits until nothing is flushed or compacted in the background.
  virtual void Settle() = 0;
  // Writes out memory and compacts everything.
  virtual void Compact() = 0;
  // Bytes written to disk since opening: logs, flushes and compactions.
  virtual uint64_t written_bytes() = 0;
  // Transactions that had to be repeated.
  virtual uint64_t aborts() const { return 0; }
};

// Opens a map in an empty or existing folder.
struct MapOptions {
  std::string folder;
  // Caches and write buffers together.
  uint64_t memory_bytes = uint64_t{256} << 20;
  // What a full node of ours aims at; the rivals have no such thing.
  size_t node_bytes = 16 * 1024;
};
using MapOpener = std::function<std::unique_ptr<OrderedMap>(const MapOptions& options)>;

// Our engine over its RocksDB storage. Half of the memory is node cache, half is RocksDB's.
std::unique_ptr<OrderedMap> OpenEngineMap(const MapOptions& options);
// A plain RocksDB, one row per item, tuned like ours.
std::unique_ptr<OrderedMap> OpenRowMap(const MapOptions& options);
// LMDB, for reading: its commits are never synced, its memory is the system's page cache.
std::unique_ptr<OrderedMap> OpenLmdbMap(const MapOptions& options);

// Prints `what` and ends the program unless `ok`.
void Require(bool ok, std::string_view what);

}  // namespace sop::bench
