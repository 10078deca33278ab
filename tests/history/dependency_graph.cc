#include "tests/history/dependency_graph.h"

#include <algorithm>
#include <deque>
#include <unordered_map>

namespace sop::history {

void DependencyGraph::Build() {
  first_.assign(size_t{nodes_} + 1, 0);
  for (const Edge& edge : edges_) ++first_[edge.from + 1];
  for (size_t i = 1; i < first_.size(); ++i) first_[i] += first_[i - 1];
  targets_.resize(edges_.size());
  std::vector<size_t> next(first_.begin(), first_.end() - 1);
  for (const Edge& edge : edges_) targets_[next[edge.from]++] = edge.packed;
  edges_.clear();
  edges_.shrink_to_fit();
}

std::vector<std::vector<uint32_t>> DependencyGraph::Components() const {
  constexpr uint32_t kUnvisited = 0;
  constexpr uint32_t kDone = UINT32_MAX;
  struct Frame {
    uint32_t node;
    uint32_t low;
    size_t next;
  };
  std::vector<std::vector<uint32_t>> components;
  std::vector<uint32_t> order(nodes_, kUnvisited);  // from 1 while on the stack
  std::vector<uint32_t> stack;
  std::vector<Frame> path;
  uint32_t visited = 0;
  const auto enter = [&](uint32_t node) {
    order[node] = ++visited;
    stack.push_back(node);
    path.push_back({node, visited, first_[node]});
  };
  const auto leave = [&] {
    const Frame frame = path.back();
    path.pop_back();
    if (!path.empty()) path.back().low = std::min(path.back().low, frame.low);
    if (frame.low != order[frame.node]) return;
    const auto begin = std::find(stack.rbegin(), stack.rend(), frame.node).base() - 1;
    if (stack.end() - begin > 1) components.emplace_back(begin, stack.end());
    for (auto it = begin; it != stack.end(); ++it) order[*it] = kDone;
    stack.erase(begin, stack.end());
  };
  for (uint32_t root = 0; root < nodes_; ++root) {
    if (order[root] != kUnvisited) continue;
    enter(root);
    while (!path.empty()) {
      Frame& frame = path.back();
      if (frame.next == first_[frame.node + 1]) {
        leave();
        continue;
      }
      const uint32_t target = targets_[frame.next++] >> 3;
      if (order[target] == kUnvisited) {
        enter(target);
      } else if (order[target] != kDone) {
        frame.low = std::min(frame.low, order[target]);
      }
    }
  }
  return components;
}

// Breadth first over (node, whether a kReadWrite was gone along), back to where it started.
class DependencyGraph::CycleSearch {
 public:
  CycleSearch(const DependencyGraph& graph, const std::vector<uint32_t>& component,
              DependencySet allowed, ReadWrites read_writes)
      : graph_(graph), allowed_(allowed), read_writes_(read_writes) {
    for (const uint32_t node : component) inside_[node] = true;
  }

  // The shortest cycle through `start` of fewer than `bound` steps.
  std::vector<Step> From(uint32_t start, size_t bound) {
    reached_.clear();
    queue_.assign(1, {start, false});
    for (size_t depth = 1; depth < bound && !queue_.empty(); ++depth) {
      for (size_t left = queue_.size(); left > 0; --left) {
        const State state = queue_.front();
        queue_.pop_front();
        if (Expand(start, state)) return Trace(start);
      }
    }
    return {};
  }

 private:
  struct State {
    uint32_t node;
    bool used;
    uint64_t key() const { return uint64_t{node} << 1 | (used ? 1U : 0U); }
  };
  struct Arrival {
    State from;
    Dependency why;
  };

  bool Expand(uint32_t start, const State& state) {
    for (const uint32_t packed : graph_.EdgesOf(state.node)) {
      const auto why = static_cast<Dependency>(packed & 7);
      const uint32_t target = packed >> 3;
      if ((allowed_ & Only(why)) == 0 || !inside_.contains(target)) continue;
      const bool read_write = why == Dependency::kReadWrite;
      const bool exact = read_writes_ == ReadWrites::kExactlyOne;
      if (exact && read_write && state.used) continue;
      const State next = {target, exact && (state.used || read_write)};
      if (target == start && exact && !next.used) continue;
      if (!reached_.try_emplace(next.key(), Arrival{state, why}).second) continue;
      if (target == start) {
        last_ = next;
        return true;
      }
      queue_.push_back(next);
    }
    return false;
  }

  std::vector<Step> Trace(uint32_t start) const {
    std::vector<Step> steps;
    State state = last_;
    do {
      const Arrival& arrival = reached_.at(state.key());
      steps.push_back({arrival.from.node, state.node, arrival.why});
      state = arrival.from;
    } while (state.node != start || state.used);
    std::reverse(steps.begin(), steps.end());
    return steps;
  }

  const DependencyGraph& graph_;
  const DependencySet allowed_;
  const ReadWrites read_writes_;
  std::unordered_map<uint32_t, bool> inside_;
  std::unordered_map<uint64_t, Arrival> reached_;
  std::deque<State> queue_;
  State last_{};
};

std::vector<DependencyGraph::Step> DependencyGraph::ShortestCycle(
    const std::vector<uint32_t>& component, DependencySet allowed, ReadWrites read_writes,
    size_t starts) const {
  CycleSearch search(*this, component, allowed, read_writes);
  std::vector<Step> shortest;
  for (size_t i = 0; i < std::min(starts, component.size()); ++i) {
    const size_t bound = shortest.empty() ? component.size() * 2 + 1 : shortest.size();
    std::vector<Step> cycle = search.From(component[i], bound);
    if (!cycle.empty()) shortest = std::move(cycle);
    if (shortest.size() == 2) break;
  }
  return shortest;
}

}  // namespace sop::history
