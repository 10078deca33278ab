#pragma once

#include <array>
#include <atomic>
#include <cstdint>
#include <optional>
#include <string>

#include "core/base/ids.h"
#include "tests/crash/fail_points.h"
#include "tests/crash/plan.h"

namespace sop::crash {

enum class Outcome : uint8_t { kNone, kIntended, kAcknowledged, kRefused };

// What the next life has to find.
struct Expectation {
  // A transaction that was under way when the process was killed: applied whole or not at all.
  struct Pending {
    uint64_t number = 0;
    Uuid token;
  };
  std::array<ThreadState, kThreads> threads;
  Totals totals;
  std::array<std::optional<Pending>, kThreads> pending;
  std::array<std::optional<Uuid>, kThreads> acknowledged_token;  // the newest
  std::array<uint64_t, kThreads> next_number;
};

// Memory that a life shares with its parent: written by a process that may die at any moment, read
// when it is dead. Thread-safe.
struct LifeRecord {
  static constexpr size_t kMostTransactions = 4096;  // of one thread in one life

  struct Token {
    std::atomic<uint64_t> high{0};
    std::atomic<uint64_t> low{0};
    void Set(const Uuid& token) {
      high = token.high;
      low = token.low;
    }
    Uuid Get() const { return {high, low}; }
  };
  struct Thread {
    std::array<std::atomic<Outcome>, kMostTransactions> outcomes;
    Token tried;         // of the newest transaction
    Token acknowledged;  // of the newest that was acknowledged
  };
  std::atomic<bool> serving{false};  // the check passed and `was_applied` stands
  std::array<std::atomic<bool>, kThreads> was_applied;
  std::array<Thread, kThreads> threads;
  std::atomic<uint64_t> snapshots_checked{0};
  std::atomic<uint64_t> closings{0};
  std::array<std::atomic<uint64_t>, kFailPoints.size()> passed;  // fail points, how often
  std::atomic<bool> failed{false};
  char failure[2048] = {};
};

struct LifeOptions {
  std::string path;
  uint64_t seed = 0;
  uint64_t life = 0;
  // Milliseconds of load before the database is closed in good order and opened again; 0: never.
  int close_after_ms = 0;
  // Index in kFailPoints at whose `die_at_passage`-th passage (from 1) the life kills itself.
  std::optional<size_t> die_at;
  uint64_t die_at_passage = 1;
};

// The life of one process: opens the database, holds it against `expectation`, then commits from
// kThreads threads until killed. Exits by itself only when something is wrong (`record.failure`).
[[noreturn]] void Live(const LifeOptions& options, const Expectation& expectation,
                       LifeRecord* record);

}  // namespace sop::crash
