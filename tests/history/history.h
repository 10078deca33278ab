#pragma once

#include <cstdint>
#include <string>
#include <vector>

// Histories of transactions over append-only lists, and whether they are strictly serialisable.
namespace sop::history {

struct Operation {
  enum class Kind { kRead, kAppend };
  Kind kind = Kind::kRead;
  int key = 0;
  int64_t value = 0;          // kAppend: never appended twice in one history
  std::vector<int64_t> seen;  // kRead: the list as the transaction saw it, own appends included
};

// One committed transaction. A transaction that wrote has `order`, its commit version; one that
// only read has the version of the snapshot it read, and comes after all commits up to it.
struct Transaction {
  uint64_t order = 0;
  bool wrote = false;
  // Ticks of one counter: taken before it began and after it was answered.
  uint64_t start = 0;
  uint64_t end = 0;
  std::vector<Operation> operations;
};

// Whether a transaction that only reads may be answered from a past state (a committer that has not
// been told yet what another one appended).
enum class Staleness { kNone, kReadersMayLag };

// Holds the history against the order that its commit versions claim: run one after the other in
// that order, every transaction must read what it read; and whoever was answered before another
// began comes before it. Both together are strict serialisability, with the order as witness. Empty
// if it holds, else the first contradiction in words. O(n log n).
//
// `aborted`: values whose transactions were refused; nobody may have seen one.
std::string FindContradiction(std::vector<Transaction> history, const std::vector<int64_t>& aborted,
                              Staleness staleness);

}  // namespace sop::history
