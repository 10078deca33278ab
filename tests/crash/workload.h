#pragma once

#include <string>

#include "absl/status/status.h"
#include "core/base/ids.h"
#include "core/txn/engine.h"
#include "tests/crash/plan.h"

namespace sop::crash {

// Makes the accounts unless they are there.
absl::Status MakeAccounts(txn::Engine& engine);

// Runs one plan as one transaction. OK, with its version: acknowledged. kConflict: refused.
// Anything else is wrong.
absl::StatusOr<Sequence> RunPlan(txn::Engine& engine, const Plan& plan, const Uuid& token);

// Fills the tide tree if it is empty, else empties it. One thread at a time.
absl::Status TurnTide(txn::Engine& engine);

// Reads everything in one snapshot into `threads` (kThreads of them) and `totals`, and checks on
// the way that keys ascend, that scans in both directions, counts of ranges and jumps to a rank
// agree, and that values are what their transaction wrote. Returns what is wrong, in words.
std::string ReadEverything(txn::Engine& engine, uint64_t seed, ThreadState* threads,
                           Totals* totals);

// The cheap part of that, for a reader beside the writers: items and their mirror agree in one
// snapshot, counts agree with scans, and no money is made or lost.
std::string CheckSnapshot(txn::Engine& engine);

}  // namespace sop::crash
