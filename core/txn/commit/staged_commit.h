#pragma once

#include <memory>
#include <utility>

#include "absl/container/btree_map.h"
#include "absl/container/flat_hash_set.h"
#include "absl/status/status.h"
#include "core/base/ids.h"
#include "core/base/memory/memory_budget.h"
#include "core/btree/node/node_entries.h"
#include "core/btree/staged/staged_tree.h"
#include "core/persistence/storage.h"
#include "core/txn/snapshot.h"
#include "core/txn/transaction.h"

namespace sop::txn {

// A large transaction whose leaves are in storage before its turn to commit comes. Made by the
// committer's builder, filled by a task of its own (CommitStager), then the builder's again.
//
// Sequences [first, last] are reserved ahead of the tail: no other group gives out any of them or
// their Serials. The transaction's, and that of staged items and nodes, is version(); `last` is
// that of the group, so that its deltas apply to staged nodes. The commit takes all sequences from
// the tail to `last`; should the tail pass `last` before, it is staged anew. Confined to whoever
// has it.
struct StagedCommit {
  // Sequences left for what the builder adds when the turn has come.
  static constexpr uint64_t kBuilderSequences = 64;

  Sequence first;
  Sequence last;
  // What it was staged on: the newest state when that began.
  std::shared_ptr<const Snapshot> base;
  std::unique_ptr<persistence::StagedNodes> nodes;
  // What staging takes, until it ends.
  base::MemoryCharge charge;
  absl::btree_map<TreeId, btree::StagedTree> trees;
  // Why staging ended; what is reported unless the commit fails for a better reason.
  absl::Status status;
  // The builder's: nodes that groups after `base` changed, of any tree.
  absl::flat_hash_set<std::pair<TreeId, NodeId>> changed;

  bool Staged(NodeId node) const {
    return node.value >= MakeSerial(first, 0).value &&
           node.value < MakeSerial(builder_sequence(), 0).value;
  }
  Sequence version() const { return Sequence{last.value - 1}; }
  // The first of the builder's.
  Sequence builder_sequence() const { return Sequence{last.value - kBuilderSequences}; }
};

// Stages one transaction. Confined to the task that runs it.
class CommitStager {
 public:
  // Whether `transaction` is to be staged rather than built as node deltas in one record: it is
  // large, every tree that it writes to has an id, and no key waits for its Serial.
  static bool Wants(const Transaction& transaction);
  // Bytes of memory that staging it takes, beside what the transaction holds itself.
  static int64_t MemoryFor(const Transaction& transaction);

  // Sequences [first, last] for `transaction`, far enough above `tail` for others to commit while
  // it is staged for the time `attempt` (0, 1, ...).
  static std::pair<Sequence, Sequence> Reserve(const Transaction& transaction, Sequence tail,
                                               int attempt);

  CommitStager(persistence::Storage& storage, const btree::NodeLimits& limits)
      : storage_(storage), limits_(limits) {}

  // Validates the transaction against `staged->base`, which it reads from then on, builds its
  // leaves and seals them. The status is in `staged`. REQUIRES: first, last and base are set.
  void Run(Transaction& transaction, StagedCommit* staged) const;

 private:
  absl::Status Stage(Transaction& transaction, StagedCommit* staged) const;

  persistence::Storage& storage_;
  const btree::NodeLimits limits_;
};

// The newest state with the staged leaves. Confined to the committer.
class StagedSource : public btree::NodeSource {
 public:
  StagedSource(btree::NodeSource& head, const StagedCommit& staged)
      : head_(head), staged_(staged) {}
  absl::StatusOr<btree::NodeRef> Read(TreeId tree, NodeId node) override;

 private:
  btree::NodeSource& head_;
  const StagedCommit& staged_;
};

}  // namespace sop::txn
