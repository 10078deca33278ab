#pragma once

#include <string>

#include "tests/bench/report.h"

// Groups of rows of "Budgets" in docs/architecture.md. Each works in folders of its own below the
// scale's and reports its rows.
namespace sop::bench {

// Durable commits of many committers, then what they wrote and what is left after compaction.
void MeasureDurableCommits(const Scale& scale);
// One committer that does not wait for the disk.
void MeasureUnsyncedCommits(const Scale& scale);
// One-item commits with large and with small nodes.
void MeasureNodeSizes(const Scale& scale);
// Load in key order, cached gets and scans, gets with a cache of a tenth of it.
void MeasureReads(const Scale& scale);
// From SIGKILL to the first read and the first durable commit. `program` is this executable: it
// is run to be killed.
void MeasureRecovery(const Scale& scale, const std::string& program);
// What the program that is to be killed does: fills `folder` and kills itself.
[[noreturn]] void FillAndDie(const std::string& side, const std::string& folder,
                             const Scale& scale);
// Writers of disjoint keys: transactions that had to be repeated.
void MeasureContention(const Scale& scale);

}  // namespace sop::bench
