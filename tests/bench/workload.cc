#include "tests/bench/workload.h"

#include <algorithm>
#include <thread>

#include "core/base/bytes.h"
#include "core/base/clock.h"
#include "core/btree/scalar.h"

namespace sop::bench {
namespace {

std::string MakeNoise() {
  constexpr size_t kNoiseBytes = size_t{1} << 20;
  std::string noise;
  for (uint64_t i = 0; noise.size() < kNoiseBytes; ++i) base::AppendLittle64(&noise, Scatter(i));
  return noise;
}

void RunCommitter(OrderedMap& map, const CommitLoad& load, int committer) {
  const auto committers = static_cast<uint64_t>(load.committers);
  const auto self = static_cast<uint64_t>(committer);
  uint64_t state = Scatter(load.seed * committers + self);
  std::vector<KeyValue> items(static_cast<size_t>(load.items));
  for (uint64_t i = self; i < load.transactions; i += committers) {
    uint64_t next = load.first + i * items.size();
    for (KeyValue& item : items) {
      const uint64_t number = load.mode.change == Change::kInsert
                                  ? next++
                                  : DrawBelow(load.known / committers, &state) * committers + self;
      item.key = KeyOf(Scatter(number));
      item.value = NoiseOf(state + number, load.value_bytes);
    }
    map.Commit(items, load.mode);
  }
}

}  // namespace

std::string KeyOf(uint64_t number) {
  std::string key;
  const auto value = static_cast<int64_t>(number ^ (uint64_t{1} << 63));
  const absl::Status status = btree::AppendScalar("", value, btree::Direction::kAscending, &key);
  Require(status.ok() && key.size() == kKeyBytes, "a key of another size");
  return key;
}

uint64_t Scatter(uint64_t number) {
  number += 0x9e3779b97f4a7c15;
  number = (number ^ (number >> 30)) * 0xbf58476d1ce4e5b9;
  number = (number ^ (number >> 27)) * 0x94d049bb133111eb;
  return number ^ (number >> 31);
}

std::string_view ValueOf(uint64_t number) { return NoiseOf(number, kValueBytes); }

std::string_view NoiseOf(uint64_t number, size_t size) {
  static const std::string& noise = *new std::string(MakeNoise());
  return std::string_view(noise).substr(Scatter(number) % (noise.size() - size), size);
}

uint64_t DrawBelow(uint64_t limit, uint64_t* state) { return Scatter((*state)++) % limit; }

double Now() { return absl::ToDoubleSeconds(base::SystemClock().Monotonic()); }

double RunCommits(OrderedMap& map, const CommitLoad& load) {
  const double start = Now();
  std::vector<std::thread> threads;
  threads.reserve(static_cast<size_t>(load.committers));
  for (int i = 0; i < load.committers; ++i) {
    threads.emplace_back([&map, &load, i] { RunCommitter(map, load, i); });
  }
  for (std::thread& thread : threads) thread.join();
  map.Settle();
  return static_cast<double>(load.transactions) * load.items / (Now() - start);
}

double RunOrderedLoad(OrderedMap& map, uint64_t begin, uint64_t end, size_t value_bytes) {
  const uint64_t batch = std::max<uint64_t>(1, map.load_bytes() / (kKeyBytes + value_bytes));
  const double start = Now();
  std::vector<KeyValue> items;
  for (uint64_t next = begin; next < end;) {
    items.clear();
    for (; next < end && items.size() < batch; ++next) {
      items.push_back({KeyOf(next), NoiseOf(next, value_bytes)});
    }
    map.Load(items);
  }
  map.FinishLoad();
  map.Settle();
  return static_cast<double>(end - begin) / (Now() - start);
}

double RunGets(OrderedMap& map, const GetLoad& load) {
  uint64_t state = Scatter(load.seed);
  const std::unique_ptr<MapReader> reader = map.Read();
  const double start = Now();
  for (uint64_t i = 0; i < load.reads; ++i) {
    const uint64_t number = DrawBelow(load.known, &state);
    const uint64_t rank = load.keys == GetLoad::Keys::kOrdered ? number : Scatter(number);
    Require(reader->Get(KeyOf(rank)) == load.value_bytes, "a value of another size");
  }
  return static_cast<double>(load.reads) / (Now() - start);
}

double RunScan(OrderedMap& map, uint64_t known) {
  const std::unique_ptr<MapReader> reader = map.Read();
  const double start = Now();
  uint64_t bytes = 0;
  Require(reader->Scan(&bytes) == known, "a scan that misses items");
  Require(bytes == known * kItemBytes, "a scan that misses bytes");
  return static_cast<double>(known) / (Now() - start);
}

}  // namespace sop::bench
