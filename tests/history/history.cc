#include "tests/history/history.h"

#include <algorithm>
#include <map>
#include <set>

#include <fmt/format.h>

namespace sop::history {
namespace {

using Lists = std::map<int, std::vector<int64_t>>;

std::string Text(const std::vector<int64_t>& list) {
  return fmt::format("[{}]", fmt::join(list, " "));
}

// Writers before readers of their version.
bool Before(const Transaction& a, const Transaction& b) {
  if (a.order != b.order) return a.order < b.order;
  return a.wrote && !b.wrote;
}

std::string Replay(const Transaction& transaction, const std::set<int64_t>& aborted, Lists* lists) {
  for (const Operation& operation : transaction.operations) {
    std::vector<int64_t>& list = (*lists)[operation.key];
    if (operation.kind == Operation::Kind::kAppend) {
      list.push_back(operation.value);
      continue;
    }
    for (const int64_t value : operation.seen) {
      if (aborted.contains(value)) {
        return fmt::format("version {} read {}, which was aborted", transaction.order, value);
      }
    }
    if (operation.seen != list) {
      return fmt::format("version {} read {} under key {}, but the commits before it left {}",
                         transaction.order, Text(operation.seen), operation.key, Text(list));
    }
  }
  return {};
}

// Nobody may have been answered before somebody placed earlier in the order began.
std::string FindTimeTravel(const std::vector<Transaction>& ordered, Staleness staleness) {
  uint64_t earliest_end = UINT64_MAX;
  uint64_t earliest_order = 0;
  for (auto it = ordered.rbegin(); it != ordered.rend(); ++it) {
    const bool may_lag = !it->wrote && staleness == Staleness::kReadersMayLag;
    if (!may_lag && earliest_end < it->start) {
      return fmt::format("version {} began after version {} was answered, but comes before it",
                         it->order, earliest_order);
    }
    if (it->wrote && it->end < earliest_end) {
      earliest_end = it->end;
      earliest_order = it->order;
    }
  }
  return {};
}

}  // namespace

std::string FindContradiction(std::vector<Transaction> history, const std::vector<int64_t>& aborted,
                              Staleness staleness) {
  std::stable_sort(history.begin(), history.end(), Before);
  const std::set<int64_t> never(aborted.begin(), aborted.end());
  Lists lists;
  for (size_t i = 0; i < history.size(); ++i) {
    if (i > 0 && history[i].wrote && history[i - 1].wrote &&
        history[i].order == history[i - 1].order) {
      return fmt::format("two commits have version {}", history[i].order);
    }
    std::string wrong = Replay(history[i], never, &lists);
    if (!wrong.empty()) return wrong;
  }
  return FindTimeTravel(history, staleness);
}

}  // namespace sop::history
