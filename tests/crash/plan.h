#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "core/base/ids.h"

// What the engine's crash loop does and what it must leave behind, as pure functions of a seed: the
// process that is killed and the one that judges it afterwards come to the same plans.
namespace sop::crash {

inline constexpr int kThreads = 8;
inline constexpr int kKeys = 60;  // of each thread
inline constexpr int kAccounts = 24;
inline constexpr int kCounters = 4;
inline constexpr int64_t kStartBalance = 1000;
inline constexpr int kStoreItems = 3;          // of a store of one's own
inline constexpr uint64_t kStoreLifetime = 8;  // transactions from its creation to its end

inline constexpr TreeId kItemsTree{1'000'001};
inline constexpr TreeId kMirrorTree{1'000'002};  // the same keys, values out of nodes
inline constexpr TreeId kBankTree{1'000'003};
inline constexpr TreeId kCounterTree{1'000'004};
// Filled and emptied by turns, each in one transaction, so that roots grow and shrink.
inline constexpr TreeId kTideTree{1'000'005};
inline constexpr int kTideItems = 40;

// One transaction of one thread. Its changes concern keys of its own, at least one is a put, and
// what it writes carries its number, so that what is there says which transactions were applied.
struct Plan {
  enum class Kind { kPut, kErase, kSetRideOn };
  struct Change {
    int key = 0;
    Kind kind = Kind::kPut;
  };
  struct Transfer {
    int from = 0;
    int to = 0;
    int64_t amount = 0;
  };
  struct Addition {
    int counter = 0;
    int64_t amount = 0;
  };
  enum class StoreAction { kNone, kCreate, kDrop, kJoin };

  int thread = 0;
  uint64_t number = 0;  // from 1
  std::vector<Change> changes;
  std::optional<Transfer> transfer;  // between accounts that all threads use
  std::optional<Addition> addition;  // to a counter that all threads use
  StoreAction store = StoreAction::kNone;
  bool relaxed = false;  // acknowledged before it is synced
};

Plan MakePlan(uint64_t seed, int thread, uint64_t number);

std::string KeyOf(int thread, int key);
std::string ValueOf(int thread, int key, uint64_t number);
std::string MirrorValueOf(int thread, int key, uint64_t number);
std::string AccountKey(int account);
std::string CounterKey(int counter);
// The store that a thread makes for itself, and the one that several threads make at once.
std::string OwnStoreName(int thread, uint64_t number);
std::string SharedStoreName(uint64_t number);
std::string SharedEntryKey(int thread, uint64_t number);

// What the plans of one thread leave behind.
struct ThreadState {
  struct Cell {
    uint64_t put = 0;  // the transaction that wrote it; 0 means absent
    uint64_t ride_on = 0;
    friend bool operator==(const Cell&, const Cell&) = default;
  };
  std::array<Cell, kKeys> cells;
  std::set<uint64_t> stores;  // its own, by the number of their creation
  std::set<uint64_t> shared;  // entries in shared stores

  friend bool operator==(const ThreadState&, const ThreadState&) = default;
};

// What the plans of all threads together leave behind.
struct Totals {
  std::array<int64_t, kAccounts> balances;
  std::array<int64_t, kCounters> counters{};

  Totals() { balances.fill(kStartBalance); }
  friend bool operator==(const Totals&, const Totals&) = default;
};

void Apply(const Plan& plan, ThreadState* state);
void Apply(const Plan& plan, Totals* totals);

// Words for where two states differ.
std::string Difference(const ThreadState& expected, const ThreadState& found);

}  // namespace sop::crash
