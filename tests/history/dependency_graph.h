#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

namespace sop::history {

// Why one transaction comes before another one (Adya 1999, chapter 3).
enum class Dependency : uint8_t {
  kWriteWrite,  // its append is followed by the other's
  kWriteRead,   // the other read what it appended
  kReadWrite,   // it did not see what the other appended next
  kSession,     // the same client ran it before
  kRealTime,    // it was answered before the other one began
};
inline constexpr uint32_t kDependencies = 5;

// A set of dependencies.
using DependencySet = uint8_t;
constexpr DependencySet Only(Dependency dependency) {
  return static_cast<DependencySet>(1U << static_cast<uint32_t>(dependency));
}

// How often a cycle goes along kReadWrite.
enum class ReadWrites : uint8_t { kAny, kExactlyOne };

// Transactions, by number, and what must come before what. Collect with Add, then Build, then ask.
// Thread-compatible.
class DependencyGraph {
 public:
  // REQUIRES: below 2^28 nodes.
  explicit DependencyGraph(uint32_t nodes) : nodes_(nodes) {}

  void Reserve(size_t edges) { edges_.reserve(edges); }
  void Add(uint32_t from, uint32_t to, Dependency why) {
    if (from != to) edges_.push_back({from, to << 3 | static_cast<uint32_t>(why)});
  }
  // Makes room for searching. No Add afterwards.
  void Build();

  size_t edges() const { return targets_.size(); }

  // The strongly connected components of two and more nodes (Tarjan 1972, with a stack of our own).
  std::vector<std::vector<uint32_t>> Components() const;

  struct Step {
    uint32_t from;
    uint32_t to;
    Dependency why;
  };
  // The shortest cycle inside `component` along the dependencies of `allowed`; empty if there is
  // none. Looks from at most `starts` of its nodes, breadth first.
  std::vector<Step> ShortestCycle(const std::vector<uint32_t>& component, DependencySet allowed,
                                  ReadWrites read_writes, size_t starts) const;

 private:
  struct Edge {
    uint32_t from;
    uint32_t packed;  // target << 3 | dependency
  };
  class CycleSearch;

  std::span<const uint32_t> EdgesOf(uint32_t node) const {
    return {targets_.data() + first_[node], first_[node + 1] - first_[node]};
  }

  const uint32_t nodes_;
  std::vector<Edge> edges_;
  // Edges of node i are targets_[first_[i], first_[i + 1]), packed as above.
  std::vector<size_t> first_;
  std::vector<uint32_t> targets_;
};

}  // namespace sop::history
