#include "tests/history/append_checker.h"

#include <algorithm>
#include <array>
#include <cstring>
#include <functional>
#include <queue>
#include <utility>

#include <fmt/format.h>

#include "tests/history/dependency_graph.h"

namespace sop::history {
namespace {

using Operation = AppendHistory::Operation;
using Transaction = AppendHistory::Transaction;
using Kind = AppendHistory::Operation::Kind;

constexpr uint32_t kNone = UINT32_MAX;
constexpr size_t kMostOfAKind = 3;
constexpr size_t kStartsOfASearch = 64;

std::string Text(std::span<const uint32_t> list) {
  constexpr size_t kShown = 12;
  if (list.size() <= kShown) return fmt::format("[{}]", fmt::join(list, " "));
  return fmt::format("[... {}]", fmt::join(list.last(kShown), " "));
}

class Checker {
 public:
  Checker(const AppendHistory& history, Staleness staleness)
      : history_(history), staleness_(staleness), graph_(NodesOf(history)) {}

  Verdict Run() {
    if (!FindAppends() || !FindLongest()) return std::move(verdict_);
    OrderByStart();
    CheckReads();
    AddWriteWrite();
    CheckLost();
    verdict_.edges = 0;
    graph_.Build();
    verdict_.edges = graph_.edges();
    FindCycles();
    return std::move(verdict_);
  }

 private:
  // Where a value came from and where it stands.
  struct Value {
    uint32_t writer = kNone;
    uint32_t list = 0;
    bool last = false;       // of its transaction in its list
    uint32_t place = kNone;  // in the order of its list
  };

  static uint32_t NodesOf(const AppendHistory& history) {
    return static_cast<uint32_t>(history.transactions().size());
  }
  const Transaction& transaction(uint32_t index) const { return history_.transactions()[index]; }

  void Report(AnomalyKind kind, std::string words) {
    const auto same = [kind](const Anomaly& anomaly) { return anomaly.kind == kind; };
    const auto count = static_cast<size_t>(
        std::count_if(verdict_.anomalies.begin(), verdict_.anomalies.end(), same));
    if (count < kMostOfAKind) verdict_.anomalies.push_back({kind, std::move(words)});
  }
  std::string Name(uint32_t index) const {
    const Transaction& named = transaction(index);
    return fmt::format("T{} (client {}, {} to {})", index, named.client, named.start, named.end);
  }

  // Unknown outcomes count only if something of them was seen.
  bool Happened(uint32_t index) const {
    const Outcome outcome = transaction(index).outcome;
    return outcome == Outcome::kOk || (outcome == Outcome::kUnknown && seen_[index] != 0);
  }

  bool FindAppends() {
    values_.resize(history_.values());
    for (uint32_t i = 0; i < NodesOf(history_); ++i) {
      const auto operations = history_.operations(transaction(i));
      for (size_t at = 0; at < operations.size(); ++at) {
        const Operation& operation = operations[at];
        if (operation.kind != Kind::kAppend) continue;
        Value& value = values_[operation.value];
        if (operation.value == 0 || value.writer != kNone) {
          Report(AnomalyKind::kMalformed,
                 fmt::format("{} appended {}, which is no fresh value", Name(i), operation.value));
          return false;
        }
        const bool last =
            std::none_of(operations.begin() + static_cast<ptrdiff_t>(at) + 1, operations.end(),
                         [&](const Operation& later) {
                           return later.kind == Kind::kAppend && later.list == operation.list;
                         });
        value = {i, operation.list, last, kNone};
      }
    }
    return CheckSessions();
  }

  bool CheckSessions() {
    by_client_.resize(history_.clients());
    for (uint32_t i = 0; i < NodesOf(history_); ++i) {
      by_client_[transaction(i).client].push_back(i);
    }
    const auto by_start = [this](uint32_t a, uint32_t b) {
      return transaction(a).start < transaction(b).start;
    };
    for (auto& session : by_client_) {
      if (!std::is_sorted(session.begin(), session.end(), by_start)) {
        std::sort(session.begin(), session.end(), by_start);
      }
      for (size_t i = 0; i < session.size(); ++i) {
        const bool overlaps =
            i > 0 && transaction(session[i]).start < transaction(session[i - 1]).end;
        if (!overlaps && transaction(session[i]).start <= transaction(session[i]).end) continue;
        Report(AnomalyKind::kMalformed,
               fmt::format("{} is in two transactions at once", Name(session[i])));
        return false;
      }
    }
    return true;
  }

  // The order of each list: its longest read by a transaction that is known to have happened.
  bool FindLongest() {
    longest_.resize(history_.lists());
    seen_.assign(NodesOf(history_), 0);
    const auto consider = [this](const Operation& read) {
      const auto seen = history_.seen(read);
      if (seen.size() > longest_[read.list].size()) longest_[read.list] = seen;
    };
    for (uint32_t i = 0; i < NodesOf(history_); ++i) {
      if (transaction(i).outcome != Outcome::kOk) continue;
      for (const Operation& operation : history_.operations(transaction(i))) {
        if (operation.kind == Kind::kRead) consider(operation);
      }
    }
    for (const Operation& read : history_.closing()) consider(read);
    for (uint32_t list = 0; list < history_.lists(); ++list) {
      if (!PlaceValues(list)) return false;
    }
    return true;
  }

  bool PlaceValues(uint32_t list) {
    for (uint32_t place = 0; place < longest_[list].size(); ++place) {
      const uint32_t number = longest_[list][place];
      Value* const value = number < values_.size() ? &values_[number] : nullptr;
      const bool known = value != nullptr && value->writer != kNone && value->list == list;
      if (!known || value->place != kNone) {
        Report(AnomalyKind::kGarbage,
               fmt::format("list {} was read as {}, where {} was {}", list, Text(longest_[list]),
                           number, known ? "twice" : "never appended"));
        return false;
      }
      value->place = place;
      seen_[value->writer] = 1;
      if (transaction(value->writer).outcome == Outcome::kFailed) {
        Report(AnomalyKind::kAbortedRead,
               fmt::format("list {} was read with {}, which the refused {} appended", list, number,
                           Name(value->writer)));
      }
    }
    return true;
  }

  // Numbers the nodes by their start, which keeps neighbours in time neighbours in memory, and adds
  // what real time demands.
  void OrderByStart() {
    struct Event {
      uint64_t tick;
      bool ends;
      uint32_t client;
      bool operator>(const Event& other) const {
        return std::pair(tick, ends) > std::pair(other.tick, other.ends);
      }
    };
    std::priority_queue<Event, std::vector<Event>, std::greater<>> events;
    std::vector<size_t> at(by_client_.size(), 0);
    for (uint32_t client = 0; client < by_client_.size(); ++client) {
      if (by_client_[client].empty()) continue;
      events.push({transaction(by_client_[client][0]).start, false, client});
    }
    nodes_.assign(NodesOf(history_), kNone);
    by_node_.reserve(NodesOf(history_));
    graph_.Reserve(size_t{NodesOf(history_)} * (3 + std::min<size_t>(by_client_.size(), 8)));
    while (!events.empty()) {
      const Event event = events.top();
      events.pop();
      const std::vector<uint32_t>& session = by_client_[event.client];
      const uint32_t index = session[at[event.client]];
      if (event.ends) {
        EndAt(index);
        if (++at[event.client] == session.size()) continue;
        events.push({transaction(session[at[event.client]]).start, false, event.client});
      } else {
        StartAt(index);
        events.push({transaction(index).end, true, event.client});
      }
    }
  }

  void StartAt(uint32_t index) {
    const auto node = static_cast<uint32_t>(by_node_.size());
    nodes_[index] = node;
    by_node_.push_back(index);
    if (!Happened(index)) return;
    ++verdict_.transactions;
    if (staleness_ == Staleness::kReadersMayLag && ReadsOnly(index)) return;
    for (const uint32_t ended : frontier_) {
      const bool same = transaction(ended).client == transaction(index).client;
      graph_.Add(nodes_[ended], node, same ? Dependency::kSession : Dependency::kRealTime);
    }
  }

  // What ended before `index` began comes before it anyway. A transaction of unknown outcome may
  // still happen later, so nothing comes after it.
  void EndAt(uint32_t index) {
    if (transaction(index).outcome != Outcome::kOk) return;
    // A reader that may lag takes nobody's place: it need not have come after them.
    if (staleness_ == Staleness::kReadersMayLag && ReadsOnly(index)) return;
    const uint64_t start = transaction(index).start;
    std::erase_if(frontier_, [&](uint32_t ended) { return transaction(ended).end < start; });
    frontier_.push_back(index);
  }

  bool ReadsOnly(uint32_t index) const {
    const auto operations = history_.operations(transaction(index));
    return std::none_of(operations.begin(), operations.end(),
                        [](const Operation& o) { return o.kind == Kind::kAppend; });
  }

  void CheckReads() {
    for (uint32_t i = 0; i < NodesOf(history_); ++i) {
      if (Happened(i)) CheckTransaction(i);
    }
  }

  void CheckTransaction(uint32_t index) {
    const auto operations = history_.operations(transaction(index));
    for (size_t at = 0; at < operations.size(); ++at) {
      const Operation& read = operations[at];
      if (read.kind != Kind::kRead) continue;
      auto seen = history_.seen(read);
      if (!IsPrefix(index, read, seen)) continue;
      // What it appended itself before must be the end of what it read.
      size_t own = 0;
      bool consistent = true;
      for (size_t before = at; before-- > 0;) {
        const Operation& earlier = operations[before];
        if (earlier.list != read.list) continue;
        if (earlier.kind == Kind::kRead) {
          consistent = consistent && history_.seen(earlier).size() + own == seen.size();
          break;
        }
        ++own;
        consistent = consistent && own <= seen.size() && seen[seen.size() - own] == earlier.value;
      }
      if (!consistent) {
        Report(AnomalyKind::kInternal, fmt::format("{} read {} in list {} against its own earlier "
                                                   "operations",
                                                   Name(index), Text(seen), read.list));
        continue;
      }
      AddReadEdges(index, read.list, static_cast<uint32_t>(seen.size() - own));
    }
  }

  bool IsPrefix(uint32_t index, const Operation& read, std::span<const uint32_t> seen) {
    const auto order = longest_[read.list];
    const bool same = seen.size() <= order.size() &&
                      (seen.empty() ||
                       std::memcmp(seen.data(), order.data(), seen.size() * sizeof(seen[0])) == 0);
    if (same) return true;
    for (const uint32_t number : seen) {
      const bool known = number < values_.size() && values_[number].writer != kNone;
      if (known && transaction(values_[number].writer).outcome == Outcome::kFailed) {
        Report(AnomalyKind::kAbortedRead,
               fmt::format("{} read {} in list {}, which the refused {} appended", Name(index),
                           number, read.list, Name(values_[number].writer)));
        return false;
      }
    }
    Report(AnomalyKind::kIncompatible,
           fmt::format("{} read list {} as {}, another one as {}", Name(index), read.list,
                       Text(seen), Text(order)));
    return false;
  }

  // `index` saw the first `size` values of the list, its own appends apart.
  void AddReadEdges(uint32_t index, uint32_t list, uint32_t size) {
    const auto order = longest_[list];
    if (size > 0) {
      const Value& newest = values_[order[size - 1]];
      if (!newest.last && newest.writer != index) {
        Report(AnomalyKind::kIntermediateRead,
               fmt::format("{} read list {} up to {}, after which {} appended more to it",
                           Name(index), list, order[size - 1], Name(newest.writer)));
      }
      graph_.Add(nodes_[newest.writer], nodes_[index], Dependency::kWriteRead);
    }
    if (size < order.size()) {
      graph_.Add(nodes_[index], nodes_[values_[order[size]].writer], Dependency::kReadWrite);
    }
  }

  void AddWriteWrite() {
    for (const auto order : longest_) {
      for (size_t i = 1; i < order.size(); ++i) {
        graph_.Add(nodes_[values_[order[i - 1]].writer], nodes_[values_[order[i]].writer],
                   Dependency::kWriteWrite);
      }
    }
  }

  void CheckLost() {
    if (history_.closing().empty()) return;
    std::vector<uint8_t> closed(history_.lists(), 0);
    for (const Operation& read : history_.closing()) {
      closed[read.list] = 1;
      if (history_.seen(read).size() < longest_[read.list].size()) {
        Report(AnomalyKind::kLostWrite,
               fmt::format("list {} was {} when all was over, but had been {}", read.list,
                           Text(history_.seen(read)), Text(longest_[read.list])));
      }
    }
    for (uint32_t number = 1; number < values_.size(); ++number) {
      const Value& value = values_[number];
      if (value.writer == kNone || value.place != kNone || closed[value.list] == 0) continue;
      if (transaction(value.writer).outcome != Outcome::kOk) continue;
      Report(AnomalyKind::kLostWrite,
             fmt::format("{} appended {} to list {}; when all was over it was not there",
                         Name(value.writer), number, value.list));
    }
  }

  struct Class {
    AnomalyKind kind;
    DependencySet allowed;
    ReadWrites read_writes;
  };

  void FindCycles() {
    const DependencySet writes = Only(Dependency::kWriteWrite);
    const DependencySet reads = writes | Only(Dependency::kWriteRead);
    const DependencySet all = reads | Only(Dependency::kReadWrite);
    const DependencySet time = all | Only(Dependency::kSession) | Only(Dependency::kRealTime);
    const std::array<Class, 5> classes = {{{AnomalyKind::kG0, writes, ReadWrites::kAny},
                                           {AnomalyKind::kG1c, reads, ReadWrites::kAny},
                                           {AnomalyKind::kGSingle, all, ReadWrites::kExactlyOne},
                                           {AnomalyKind::kG2, all, ReadWrites::kAny},
                                           {AnomalyKind::kStrict, time, ReadWrites::kAny}}};
    for (const auto& component : graph_.Components()) {
      for (const Class& tried : classes) {
        const auto cycle =
            graph_.ShortestCycle(component, tried.allowed, tried.read_writes, kStartsOfASearch);
        if (cycle.empty()) continue;
        std::string words;
        for (const auto& step : cycle) words += (words.empty() ? "" : "; ") + StepWords(step);
        Report(tried.kind, std::move(words));
        break;
      }
    }
  }

  // What makes `step`, found again.
  std::string StepWords(const DependencyGraph::Step& step) const {
    const uint32_t from = by_node_[step.from];
    const uint32_t to = by_node_[step.to];
    switch (step.why) {
      case Dependency::kSession:
        return fmt::format("{} ran before {} in one session", Name(from), Name(to));
      case Dependency::kRealTime:
        return fmt::format("{} was answered before {} began", Name(from), Name(to));
      case Dependency::kWriteRead:
        return fmt::format("{} read {}, appended by {}", Name(to), Seen(from, to), Name(from));
      case Dependency::kReadWrite:
        return fmt::format("{} did not see {}, appended by {}", Name(from), Unseen(from, to),
                           Name(to));
      case Dependency::kWriteWrite:
        break;
    }
    return fmt::format("{} appended {}", Name(from), Before(from, to));
  }

  // The value of `from` that a read of `to` ends with, its own appends apart.
  std::string Seen(uint32_t from, uint32_t to) const {
    for (const Operation& read : history_.operations(transaction(to))) {
      if (read.kind != Kind::kRead) continue;
      for (const uint32_t number : history_.seen(read)) {
        if (values_[number].writer == from && values_[number].last) {
          return fmt::format("{} in list {}", number, read.list);
        }
      }
    }
    return "something";
  }

  std::string Unseen(uint32_t from, uint32_t to) const {
    for (const Operation& read : history_.operations(transaction(from))) {
      const auto order = longest_[read.list];
      for (size_t i = 0; read.kind == Kind::kRead && i < order.size(); ++i) {
        const auto seen = history_.seen(read);
        const bool saw = std::find(seen.begin(), seen.end(), order[i]) != seen.end();
        if (saw || values_[order[i]].writer != to) continue;
        return fmt::format("{} in list {}", order[i], read.list);
      }
    }
    return "something";
  }

  std::string Before(uint32_t from, uint32_t to) const {
    for (uint32_t list = 0; list < history_.lists(); ++list) {
      const auto order = longest_[list];
      for (size_t i = 1; i < order.size(); ++i) {
        if (values_[order[i - 1]].writer != from || values_[order[i]].writer != to) continue;
        return fmt::format("{} to list {}, right before {} of {}", order[i - 1], list, order[i],
                           Name(to));
      }
    }
    return "something";
  }

  const AppendHistory& history_;
  const Staleness staleness_;
  DependencyGraph graph_;
  Verdict verdict_;
  std::vector<Value> values_;
  std::vector<std::vector<uint32_t>> by_client_;
  std::vector<std::span<const uint32_t>> longest_;
  // Whether something of a transaction was seen.
  std::vector<uint8_t> seen_;
  // Node of a transaction, transaction of a node.
  std::vector<uint32_t> nodes_;
  std::vector<uint32_t> by_node_;
  // Transactions that ended, none of which ended before another one of them began.
  std::vector<uint32_t> frontier_;
};

}  // namespace

std::string_view AnomalyName(AnomalyKind kind) {
  constexpr std::array<std::string_view, 12> kNames = {"malformed",
                                                       "garbage read",
                                                       "aborted read (G1a)",
                                                       "intermediate read (G1b)",
                                                       "internal",
                                                       "lost write",
                                                       "incompatible order",
                                                       "G0",
                                                       "G1c",
                                                       "G-single",
                                                       "G2",
                                                       "strict"};
  return kNames[static_cast<size_t>(kind)];
}

std::string Verdict::Words() const {
  std::string words;
  for (const Anomaly& anomaly : anomalies) {
    words += fmt::format("{}: {}\n", AnomalyName(anomaly.kind), anomaly.words);
  }
  return words;
}

Verdict CheckHistory(const AppendHistory& history, Staleness staleness) {
  return Checker(history, staleness).Run();
}

}  // namespace sop::history
