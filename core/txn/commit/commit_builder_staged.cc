// What a group does with a transaction whose leaves are in storage already.

#include <algorithm>
#include <utility>

#include "core/base/error.h"
#include "core/base/status_macros.h"
#include "core/btree/tree_writer.h"
#include "core/txn/commit/commit_builder.h"
#include "core/txn/commit/overlay_writes.h"

namespace sop::txn {

absl::Status CommitBuilder::FinishStaged(Finished* finished, TreeId* damaged) {
  if (group_->staged == nullptr) return absl::OkStatus();
  const std::vector<TreeId>& dropped = group_->dropped_trees;
  for (const auto& tree : staged_transaction_->trees_) {
    if (tree->overlay.empty() || Merges(*tree)) continue;
    if (std::find(dropped.begin(), dropped.end(), *tree->id) != dropped.end()) continue;
    const absl::Status status = WriteStagedTree(*tree, finished);
    if (!status.ok()) {
      *damaged = *tree->id;
      return status;
    }
  }
  group_->record.staged.push_back(group_->staged->nodes->id());
  return absl::OkStatus();
}

absl::Status CommitBuilder::WriteStagedTree(const Transaction::Tree& tree, Finished* finished) {
  StagedCommit& staged = *group_->staged;
  const TreeId id = *tree.id;
  const auto next = [this] { return serials_.Next(); };
  const auto next_node = [this] { return NodeId{serials_.Next().value}; };
  const auto place = [this, id](Serial value_id, std::string_view value) {
    group_->values[value_id] = {id, value_id, std::string(value)};
    return absl::OkStatus();
  };
  OverlayWrites writes(tree.overlay, staged.version(), next, place);
  const auto may_have_changed = [&](NodeId node) { return staged.changed.contains({id, node}); };
  const bool checks_writes = staged_transaction_->isolation() == Isolation::kSnapshot;
  const auto on_changed_key = [&](std::string_view key) -> absl::Status {
    if (!checks_writes) return absl::OkStatus();
    SOP_RETURN_IF_ERROR(writes.Seek(key));
    const bool own = writes.Valid() && writes.key() == key;
    if (own && writes.write().kind != OwnWriteKind::kAdd) return ConflictAt(id, key);
    return absl::OkStatus();
  };
  PassingSource base(*staged.base);
  StagedSource head(inputs_.head, staged);
  btree::TreeWriter::Options options{inputs_.limits, staged.last};
  options.limits.slots = std::max<uint32_t>(tree.options.slot_length, 2);
  btree::TreeWriter writer(head, next_node, options);
  SOP_ASSIGN_OR_RETURN(btree::TreeChanges changes,
                       writer.WriteStaged(id, staged.trees[id],
                                          {base, writes, staged.first, staged.builder_sequence(),
                                           may_have_changed, on_changed_key}));
  AddChanges(id, std::move(changes), finished);
  return absl::OkStatus();
}

}  // namespace sop::txn
