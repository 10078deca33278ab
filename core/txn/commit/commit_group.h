#pragma once

#include <cstdint>
#include <deque>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "absl/container/btree_map.h"
#include "absl/container/flat_hash_map.h"
#include "absl/functional/any_invocable.h"
#include "core/base/ids.h"
#include "core/base/memory/memory_budget.h"
#include "core/btree/node/delta.h"
#include "core/persistence/storage.h"
#include "core/txn/commit/conflict_window.h"
#include "core/txn/commit/meta_rows.h"
#include "core/txn/commit/net_writes.h"
#include "core/txn/commit/staged_commit.h"
#include "core/txn/count_ledger.h"
#include "core/txn/engine.h"
#include "core/txn/feed/feed_retention.h"
#include "core/txn/transaction.h"
#include "core/txn/value/staged_value.h"

namespace sop::txn {

// One transaction on its way through the committer.
struct CommitRequest {
  std::shared_ptr<Transaction> transaction;
  CommitOptions options;
  absl::Duration submitted;  // monotonic
  int64_t queued_nanos = 0;
  absl::InlinedVector<absl::AnyInvocable<void(CommitResult)>, 1> done;  // joined repetitions too
  Sequence version;
  std::shared_ptr<StagedCommit> staged;  // absent until it is, if it is to be
  int staging_attempts = 0;

  // Only the first of `done` was run; to the others its reply is an earlier one.
  void Finish(const CommitResult& result) {
    done.front()(result);
    if (done.size() > 1) {
      CommitResult repeated = result;
      if (result.status.ok() && !result.earlier_reply) repeated.earlier_reply = options.reply;
      for (size_t i = 1; i < done.size(); ++i) done[i](repeated);
    }
    done.clear();
  }
};

// Transactions that become durable together. Filled by the builder, written by the writer, and
// still asked for conflicts by the builder until its writes are in the conflict window.
struct CommitGroup {
  struct Tree {
    NetWrites writes;
    TreeOptions options;
  };

  Sequence first;
  Sequence last;
  std::vector<std::unique_ptr<CommitRequest>> requests;
  absl::btree_map<TreeId, Tree> trees;
  // Of a large transaction that has the group for itself; its trees are not in `trees`.
  std::shared_ptr<StagedCommit> staged;
  absl::flat_hash_map<Serial, persistence::ValueChange> values;
  // What its items refer to that is in storage already.
  StagedValues staged_values;
  std::vector<TreeId> dropped_trees;
  persistence::CommitRecord record;
  persistence::Durability durability = persistence::Durability::kRelaxed;
  // What was installed in the node cache, to be taken back if the group is not written.
  std::vector<std::pair<TreeId, NodeId>> installed;
  size_t bytes = 0;
  base::MemoryCharge charge;
  CommitTimes times = {};  // all but kQueue
  // What the builder's state was before this group, to be restored if it is not written.
  TreeId next_tree_id_before;
  OutcomeTotals outcome_totals_before;
  Sequence folded_through_before;
  // Trees of whose feeds the record has rows, the bytes of these, and what was decided before it
  // about what is kept; absent if it has none.
  std::vector<TreeId> feed_trees;
  uint64_t feed_bytes = 0;
  std::optional<FeedRetention> feed_before;
  Sequence feed_floor;  // as the record leaves it
  // A group that only folds count records: what it folds through.
  std::optional<Sequence> fold_through;
};

}  // namespace sop::txn
