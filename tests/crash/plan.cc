#include "tests/crash/plan.h"

#include <algorithm>

#include <fmt/format.h>

#include "core/base/random.h"

namespace sop::crash {
namespace {

uint64_t Mix(uint64_t seed, int thread, uint64_t number) {
  base::SeededRandom mixed(seed ^ (number * 0x9e3779b97f4a7c15ULL) ^
                           (static_cast<uint64_t>(thread) << 56));
  return mixed.Next64();
}

std::string Filler(int thread, int key, uint64_t number, uint64_t longest) {
  const uint64_t mixed = Mix(static_cast<uint64_t>(key) + 1, thread, number);
  return std::string(mixed % longest, static_cast<char>('a' + mixed / longest % 26));
}

Plan::StoreAction StoreActionOf(uint64_t number) {
  switch (number % 16) {
    case 3:
      return Plan::StoreAction::kJoin;
    case 6:
      return Plan::StoreAction::kCreate;
    case 6 + kStoreLifetime:
      return Plan::StoreAction::kDrop;
    default:
      return Plan::StoreAction::kNone;
  }
}

}  // namespace

Plan MakePlan(uint64_t seed, int thread, uint64_t number) {
  base::SeededRandom random(Mix(seed, thread, number));
  const auto below = [&random](uint64_t bound) {
    return static_cast<int>(random.Next64() % bound);
  };
  Plan plan;
  plan.thread = thread;
  plan.number = number;
  const int changes = 1 + below(8);
  // Now and then a run of neighbours goes at once, so that nodes merge.
  const bool clears = below(8) == 0;
  const int first = below(kKeys);
  for (int i = 0; i < changes; ++i) {
    Plan::Change change;
    change.key = clears ? (first + i) % kKeys : below(kKeys);
    const bool taken =
        std::any_of(plan.changes.begin(), plan.changes.end(),
                    [&](const Plan::Change& other) { return other.key == change.key; });
    if (taken) continue;
    if (i > 0) {
      const int chance = below(10);
      if (clears || chance < 3) change.kind = Plan::Kind::kErase;
      if (!clears && chance == 9) change.kind = Plan::Kind::kSetRideOn;
    }
    plan.changes.push_back(change);
  }
  if (below(2) == 0) {
    const int from = below(kAccounts);
    plan.transfer = {from, (from + 1 + below(kAccounts - 1)) % kAccounts, 1 + below(50)};
  }
  if (below(2) == 0) plan.addition = {below(kCounters), 1 + below(5)};
  plan.store = StoreActionOf(number);
  plan.relaxed = below(4) == 0;
  return plan;
}

std::string KeyOf(int thread, int key) { return fmt::format("{:03}-{}", key, thread); }

std::string ValueOf(int thread, int key, uint64_t number) {
  return fmt::format("{}:{}", number, Filler(thread, key, number, 200));
}

std::string MirrorValueOf(int thread, int key, uint64_t number) {
  return fmt::format("{}:{}", number, Filler(thread, key, number + 1, 3000));
}

std::string AccountKey(int account) { return fmt::format("account{:02}", account); }
std::string CounterKey(int counter) { return fmt::format("counter{}", counter); }

std::string OwnStoreName(int thread, uint64_t number) {
  return fmt::format("own-{}-{}", thread, number);
}
std::string SharedStoreName(uint64_t number) { return fmt::format("shared-{}", number / 32); }
std::string SharedEntryKey(int thread, uint64_t number) {
  return fmt::format("{}-{}", thread, number);
}

void Apply(const Plan& plan, ThreadState* state) {
  for (const Plan::Change& change : plan.changes) {
    ThreadState::Cell& cell = state->cells[static_cast<size_t>(change.key)];
    switch (change.kind) {
      case Plan::Kind::kPut:
        cell = {plan.number, 0};
        break;
      case Plan::Kind::kErase:
        cell = {};
        break;
      case Plan::Kind::kSetRideOn:
        if (cell.put != 0) cell.ride_on = plan.number;
        break;
    }
  }
  switch (plan.store) {
    case Plan::StoreAction::kNone:
      break;
    case Plan::StoreAction::kCreate:
      state->stores.insert(plan.number);
      break;
    case Plan::StoreAction::kDrop:
      state->stores.erase(plan.number - kStoreLifetime);
      break;
    case Plan::StoreAction::kJoin:
      state->shared.insert(plan.number);
      break;
  }
}

void Apply(const Plan& plan, Totals* totals) {
  if (plan.transfer.has_value()) {
    totals->balances[static_cast<size_t>(plan.transfer->from)] -= plan.transfer->amount;
    totals->balances[static_cast<size_t>(plan.transfer->to)] += plan.transfer->amount;
  }
  if (plan.addition.has_value()) {
    totals->counters[static_cast<size_t>(plan.addition->counter)] += plan.addition->amount;
  }
}

std::string Difference(const ThreadState& expected, const ThreadState& found) {
  std::string out;
  for (size_t key = 0; key < expected.cells.size(); ++key) {
    const auto& [put, ride_on] = expected.cells[key];
    if (expected.cells[key] == found.cells[key]) continue;
    out += fmt::format(" key {}: expected {}/{}, found {}/{};", key, put, ride_on,
                       found.cells[key].put, found.cells[key].ride_on);
  }
  if (expected.stores != found.stores) {
    out +=
        fmt::format(" {} stores expected, {} found;", expected.stores.size(), found.stores.size());
  }
  if (expected.shared != found.shared) {
    out += fmt::format(" {} entries of shared stores expected, {} found;", expected.shared.size(),
                       found.shared.size());
  }
  return out;
}

}  // namespace sop::crash
