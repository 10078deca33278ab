#pragma once

#include <cstddef>
#include <cstdint>
#include <deque>
#include <memory>
#include <string_view>

#include "core/base/ids.h"
#include "core/base/memory/memory_budget.h"
#include "core/txn/read_mode.h"

namespace sop::txn {

enum class ChangeKind : uint8_t {
  kStructural,  // the key came, went, or its ride-on bytes changed
  kValueOnly,   // the key was there before and is there after, with equal ride-on bytes
};

enum class ProbeOutcome : uint8_t {
  kUnchanged,    // nothing that the read depends on was committed after `since`
  kChanged,      // something was; `key` says what
  kBeyondReach,  // the window no longer remembers: ask the tree
};

struct ProbeResult {
  ProbeOutcome outcome = ProbeOutcome::kUnchanged;
  // A changed key, for kChanged. Valid until the next Add or Forget.
  std::string_view key;
};

// The keys that recent commits changed, ordered, so that a transaction's reads can be checked
// without touching the tree. A cache: what no longer fits is dropped, oldest first, and the answer
// for older snapshots is kBeyondReach.
//
// Kept as up to kGenerations generations, each an ordered index over its own arena, and a filter.
// Changes go to the newest; when it is full, one more is begun and the oldest is dropped whole. A
// probe visits only the generations that hold a sequence above `since`: one or two for a
// transaction of ordinary length, and those are small enough to stay in the processor's caches.
//
// Invariants:
// 1. Every change in (reach(), newest Add] is remembered: as the last change of its key in its
//    generation, and as the last structural one if it was that.
// 2. memory_bytes() is at most the budget (of its own, and what the charge allowed), plus the size
// of one generation's newest entry.
//
// Confined to the committer.
class ConflictWindow {
 public:
  static constexpr int kGenerations = 16;

  // `start`: the newest commit that the window has not been told of; answers for transactions that
  // began before it are kBeyondReach. `budget_bytes` covers keys, entries and index. What
  // generations may grow to is charged to `charge`; without room there the window shrinks, to a
  // small generation that it always has.
  ConflictWindow(size_t budget_bytes, Sequence start, base::MemoryCharge charge = {});
  ~ConflictWindow();
  ConflictWindow(const ConflictWindow&) = delete;
  ConflictWindow& operator=(const ConflictWindow&) = delete;

  // REQUIRES: `sequence` is not below that of the call before, and above `start`.
  void Add(TreeId tree, std::string_view key, Sequence sequence, ChangeKind kind);

  // Declares that commits up to `sequence` were not, or not all, added (one that was too large to
  // be listed key by key): reach() becomes at least `sequence`. Drops what lies wholly before it.
  void Forget(Sequence sequence);

  // Whether a read of `key` in the snapshot `since` still holds. kItem: no change of the key.
  // kKeyOnly: no structural one. kChanged and kUnchanged are certain whatever reach() is.
  ProbeResult Probe(TreeId tree, std::string_view key, Sequence since, ReadMode mode) const;

  // The same for the range [begin, end), misses and phantoms included; an empty `end` means no
  // upper bound. Costs at most twice the smaller of: the remembered keys in the range, the
  // remembered keys changed after `since`.
  ProbeResult ProbeRange(TreeId tree, std::string_view begin, std::string_view end, Sequence since,
                         ReadMode mode) const;

  // Every change above this sequence is remembered.
  Sequence reach() const { return reach_; }

  size_t memory_bytes() const;

 private:
  class Generation;

  Generation& NewestWithSpace();
  bool Claim(size_t bytes);
  void DropOldest();

  const size_t budget_bytes_;
  Sequence newest_;    // of all Adds and Forgets
  Sequence unlisted_;  // the newest commit that was not added
  Sequence reach_;
  base::MemoryCharge charge_;
  size_t newest_share_ = 0;                              // what the newest generation may grow to
  size_t older_bytes_ = 0;                               // of all generations but the newest
  std::deque<std::unique_ptr<Generation>> generations_;  // oldest first
};

}  // namespace sop::txn
