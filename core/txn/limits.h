#pragma once

#include <cstddef>
#include <cstdint>

#include "absl/time/time.h"

namespace sop::txn {

// What a transaction, and the committer of one database, may use. One value per database, fixed
// when it is opened; the defaults are what users get and what `docs/operations.md` states.
struct Limits {
  // A transaction that no request has used for this long is ended (TRANSACTION_EXPIRED).
  absl::Duration idle_limit = absl::Seconds(60);
  absl::Duration max_idle_limit = absl::Hours(1);

  // A transaction is ended this long after Begin, used or not (TRANSACTION_EXPIRED).
  absl::Duration maximum_duration = absl::Minutes(15);
  absl::Duration max_maximum_duration = absl::Hours(1);
  // A read-only one holds nothing but its snapshot.
  absl::Duration max_read_only_duration = absl::Hours(24);

  // Distinct keys written, and bytes of their keys and new items, in one transaction. Beyond either
  // a write is refused with LIMIT_EXCEEDED and the transaction stays usable.
  uint64_t transaction_writes = 10'000'000;
  uint64_t transaction_bytes = uint64_t{1} << 30;

  // A transaction with more than this is staged: its leaves are built and brought to storage
  // before its turn to commit, so that neither memory nor the log holds it whole.
  uint64_t staged_commit_writes = 100'000;
  uint64_t staged_commit_bytes = uint64_t{8} << 20;

  // What cannot be staged, because a tree or a key gets its number only at commit or because its
  // changes are recorded for a feed, is held in memory whole: most writes of such a transaction
  // (LIMIT_EXCEEDED at commit).
  uint64_t unstaged_writes = 1'000'000;
  uint64_t unstaged_bytes = uint64_t{128} << 20;

  // Staged values to which the writes of one transaction refer at once (LIMIT_EXCEEDED). Their
  // bytes are on disk already and count nowhere else.
  uint64_t staged_values = 10'000;

  // Memory for a transaction's own writes; beyond it they go to temporary files.
  size_t overlay_memory_bytes = size_t{16} << 20;

  // Memory for what a transaction has read; beyond it points coarsen to leaf ranges.
  size_t read_set_bytes = size_t{16} << 20;

  // Transactions that wait for the committer of one database; more are refused (OVERLOADED).
  size_t queued_commits = 10'000;

  // Memory for the recently committed keys of one database.
  size_t conflict_window_bytes = size_t{64} << 20;

  // Outcomes are kept this long or until they take this much, whichever ends first.
  absl::Duration outcome_retention = absl::Hours(24);
  uint64_t outcome_bytes = uint64_t{1} << 30;

  // Changes of stores with a feed are kept this long or until they take this much in their
  // database, whichever ends first; a 64th more of either at most.
  absl::Duration feed_age = absl::Hours(24);
  uint64_t feed_bytes = uint64_t{1} << 30;
};

}  // namespace sop::txn
