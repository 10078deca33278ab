#pragma once

#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "absl/container/flat_hash_map.h"
#include "absl/status/status.h"
#include "core/btree/tree.h"
#include "core/txn/commit/commit_group.h"
#include "core/txn/commit/recent_groups.h"
#include "core/txn/commit/validator.h"
#include "core/txn/count_ledger.h"
#include "core/txn/feed/feed_writer.h"
#include "core/txn/node_cache.h"

namespace sop::txn {

// Gives Serials, and with them sequences: a transaction takes one sequence, and a further one for
// each 2^20 Serials. Confined to one group.
class SerialAllocator {
 public:
  explicit SerialAllocator(Sequence tail) : current_(tail) {}
  // The next transaction's first sequence.
  Sequence NextSequence() {
    next_ordinal_ = 0;
    return Sequence{++current_.value};
  }
  Serial Next() {
    if (next_ordinal_ == kSerialsPerSequence) NextSequence();
    return MakeSerial(current_, next_ordinal_++);
  }
  Sequence current() const { return current_; }

 private:
  Sequence current_;
  uint64_t next_ordinal_ = 0;
};

// State of a committer that building a group reads and advances.
struct BuildState {
  TreeId next_tree_id{1};
  // Trees that were dropped and when; never forgotten (a few bytes each).
  absl::flat_hash_map<TreeId, Sequence> dropped_trees;
};

// Makes one commit group: settles, validates and numbers transactions in the order given, then
// turns their writes into node deltas and a record. Call order: TryAdd..., Finish. Confined to the
// committer.
class CommitBuilder {
 public:
  struct Inputs {
    btree::NodeSource& head;  // the newest state, unwritten groups included
    const ConflictWindow& window;
    const RecentGroups& recent;
    const CommitGroup* unpublished = nullptr;  // built before this one, not yet among the recent
    Sequence tail;                             // the last sequence given out
    btree::NodeLimits limits;
    bool wants_writes = false;
    // Whose sequences a group must not give out; may be null.
    const StagedCommit* reserved = nullptr;
    // When the group is built, for feeds.
    int64_t unix_ms = 0;
  };

  CommitBuilder(const Inputs& inputs, BuildState& state);
  ~CommitBuilder();

  // kAdded: the transaction is in the group. kRefused: `*status` says why; it is not. kGroupFull:
  // it has to wait for the next group. kStale: it has to be staged anew.
  enum class Verdict { kAdded, kRefused, kGroupFull, kStale };
  Verdict TryAdd(CommitRequest& request, absl::Status* status);

  CommitGroup& group() { return *group_; }
  // An I/O error met a transaction halfway into the group: build again without it.
  bool broken() const { return broken_; }
  // No transaction was added.
  bool empty() const { return serials_.current() == start_; }

  // What Finish found out: the group's node versions, to be installed in the cache.
  struct Node {
    TreeId tree;
    NodeId node;
    btree::NodeRef version;
    bool whole;  // the record has its image, not a delta
  };
  struct Finished {
    std::unique_ptr<CommitGroup> group;
    std::vector<Node> nodes;
    std::vector<TreeCountChange> counts;
  };

  // Builds the record. On failure names in `*damaged` the tree that could not be read: leave out
  // the transactions that write it and build again.
  absl::StatusOr<Finished> Finish(TreeId* damaged);

 private:
  class View;

  static Sequence StartOf(const Inputs& inputs);
  Verdict TryAddStaged(CommitRequest& request, absl::Status* status);
  absl::Status CheckUnstaged(const Transaction& transaction) const;
  // Whether the group writes the tree itself.
  bool Merges(const Transaction::Tree& tree) const;
  void Add(CommitRequest& request, View& view);
  absl::Status CheckDropped(const Transaction& transaction) const;
  absl::Status CheckMergeable(const Transaction& transaction);
  absl::Status MergeWrites(const Transaction& transaction);
  absl::Status MergeWrite(TreeId tree, NetWrites& writes, std::string_view key,
                          const OwnWrite& write);
  // Records for the feed what `write` is about to do.
  absl::Status NoteChange(TreeId tree, std::string_view key, const OwnWrite& write);
  // The version of the item as ReadHead would find it.
  absl::StatusOr<std::optional<Sequence>> FindVersion(TreeId tree, std::string_view key);
  absl::Status MergePartial(TreeId tree, NetWrites& writes, std::string_view key,
                            const OwnWrite& write);
  // A write that another of the group takes the place of: its value is not written.
  void GiveUpValue(const NetWrite& write);
  // Copies what `net` names.
  void Replace(NetWrites& writes, std::string_view key, const NetWrite& net);
  absl::StatusOr<std::optional<btree::Item>> ReadHead(TreeId tree, std::string_view key);
  absl::Status WriteTree(TreeId tree, const CommitGroup::Tree& writes, Finished* finished);
  // The trees of a staged transaction (commit_builder_staged.cc).
  absl::Status FinishStaged(Finished* finished, TreeId* damaged);
  absl::Status WriteStagedTree(const Transaction::Tree& tree, Finished* finished);
  void AddChanges(TreeId tree, btree::TreeChanges changes, Finished* finished);
  void AddLogicalWrites();

  const Inputs inputs_;
  BuildState& state_;
  std::unique_ptr<CommitGroup> group_;
  const Sequence start_;  // the group's sequences follow it
  SerialAllocator serials_;
  FeedWriter feed_;
  TreeId first_tree_id_;
  bool broken_ = false;
  Transaction* staged_transaction_ = nullptr;
};

}  // namespace sop::txn
