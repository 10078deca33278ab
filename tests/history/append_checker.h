#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "tests/history/append_history.h"

namespace sop::history {

enum class AnomalyKind : uint8_t {
  kMalformed,         // not a history at all: a client in two transactions, a value appended twice
  kGarbage,           // somebody read what nobody appended, or a value twice in one list
  kAbortedRead,       // G1a: somebody read what a refused transaction appended
  kIntermediateRead,  // G1b: somebody read between two appends of one transaction to one list
  kInternal,          // a transaction contradicts its own reads and appends
  kLostWrite,         // acknowledged, and not there when all was over
  kIncompatible,      // two reads of a list of which neither begins the other
  kG0,                // a cycle of appends
  kG1c,               // a cycle of appends and reads of what was appended
  kGSingle,           // a cycle with one transaction that did not see another's append
  kG2,                // a cycle with several
  kStrict,            // a cycle only together with who was answered before who began
};

std::string_view AnomalyName(AnomalyKind kind);

struct Anomaly {
  AnomalyKind kind;
  std::string words;
};

// Whether a transaction that only reads may be answered from a past state (a committer that was not
// told yet what another one appended).
enum class Staleness : uint8_t { kNone, kReadersMayLag };

struct Verdict {
  // At most a few of each kind.
  std::vector<Anomaly> anomalies;
  size_t transactions = 0;  // that happened
  size_t edges = 0;

  // One line for each anomaly.
  std::string Words() const;
};

// Whether `history` is strictly serialisable: its transactions that happened, and those of unknown
// outcome of which something was seen, must fit one order that agrees with what each read and with
// who was answered before who began. The order of a list is that of its longest read (Kingsbury and
// Alvaro 2020, "Elle"); dependencies are those of Adya 1999, sessions and real time the latter by a
// frontier of transactions that ended, so that there are O(transactions * clients) of them. Linear
// in what was read and in the dependencies.
Verdict CheckHistory(const AppendHistory& history, Staleness staleness = Staleness::kNone);

}  // namespace sop::history
