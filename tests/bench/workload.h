#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "tests/bench/ordered_map.h"

namespace sop::bench {

inline constexpr size_t kKeyBytes = 9;  // an encoded int64
inline constexpr size_t kValueBytes = 100;
inline constexpr size_t kItemBytes = kKeyBytes + kValueBytes;

// The encoded int64 key whose rank among all int64 is `number`.
std::string KeyOf(uint64_t number);

// A bijection of 64-bit numbers that leaves no order: SplitMix64's finaliser.
uint64_t Scatter(uint64_t number);

// 100 bytes that do not compress, chosen by `number`.
std::string_view ValueOf(uint64_t number);

// The same with `size` bytes, at most kLongestValueBytes.
std::string_view NoiseOf(uint64_t number, size_t size);
inline constexpr size_t kLongestValueBytes = 64 * 1024;

// A number in [0, limit) from a sequence; advances `state`.
uint64_t DrawBelow(uint64_t limit, uint64_t* state);

// Many threads that commit transactions of random keys.
struct CommitLoad {
  int committers = 64;
  int items = 10;             // per transaction
  uint64_t transactions = 0;  // of all committers together
  uint64_t first = 0;         // kInsert: number of the first item; what is below is there
  uint64_t known = 0;         // kUpdate: items there; each committer has its own share of them
  uint64_t seed = 1;
  size_t value_bytes = kValueBytes;
  CommitMode mode;
};

// Runs the load and waits until its compactions are done; items per second.
double RunCommits(OrderedMap& map, const CommitLoad& load);

// Items [begin, end) in key order, in batches, without reading first; items per second.
double RunOrderedLoad(OrderedMap& map, uint64_t begin, uint64_t end,
                      size_t value_bytes = kValueBytes);

// Random gets by one thread.
struct GetLoad {
  enum class Keys : uint8_t { kOrdered, kScattered };  // as RunOrderedLoad or RunCommits made them

  uint64_t known = 0;  // items there
  uint64_t reads = 0;
  uint64_t seed = 1;
  size_t value_bytes = kValueBytes;
  Keys keys = Keys::kOrdered;
};

// Gets per second.
double RunGets(OrderedMap& map, const GetLoad& load);

// One pass over everything; items per second.
double RunScan(OrderedMap& map, uint64_t known);

// Seconds on a clock that never goes back.
double Now();

}  // namespace sop::bench
