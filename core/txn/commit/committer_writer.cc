// The writing half of the committer, and what undoes the building half.

#include <algorithm>
#include <utility>

#include <fmt/format.h>

#include "core/base/error.h"
#include "core/base/fault/fail_point.h"
#include "core/base/fault/seeded_bug.h"
#include "core/base/status_macros.h"
#include "core/txn/commit/committer.h"

namespace sop::txn {

using persistence::NodeAction;

void Committer::WriteOnce(std::shared_ptr<CommitGroup> group) {
  const Sequence expected{group->first.value - 1};
  if (base::HasSeededBug("acknowledge_before_log")) {
    for (auto& request : group->requests) request->Finish({absl::OkStatus(), request->version, {}});
  }
  // Whoever reads rows that this record trims finds out afterwards.
  if (group->feed_before.has_value()) {
    feed_floor_.store(group->feed_floor.value, std::memory_order_release);  // with feed_floor()
  }
  base::FailPoint("commit.append");
  Stopwatch stopwatch(*this);
  auto appended = storage_.log().Append(expected, group->record, group->durability);
  stopwatch.End(CommitStage::kWrite, &group->times);
  base::FailPoint("commit.appended");
  if (!appended.ok()) {
    const Reason reason = ReasonOf(appended.status());
    if (reason == Reason::kDiskFull || reason == Reason::kPreconditionNotMet) {
      Refuse(std::move(group), appended.status());
    } else {
      Fail(std::move(group), appended.status());
    }
    return;
  }
  if (const auto* moved = std::get_if<persistence::TailMoved>(&*appended)) {
    Rebuild(std::move(group), *moved);
    return;
  }
  std::optional<CountLedger::Folding> folding;
  if (group->fold_through.has_value()) {
    base::FailPoint("fold.appended");
    folding = {group->folded_through_before, *group->fold_through, group->last};
  }
  const absl::Status status = Publish(group->last, folding);
  stopwatch.End(CommitStage::kPublish, &group->times);
  base::FailPoint("commit.published");
  if (!status.ok()) {
    Fail(std::move(group), status);
    return;
  }
  if (!group->record.only_removes) separate_removals_.store(false, std::memory_order_relaxed);
  std::vector<Answer> answers;
  for (auto& request : group->requests) {
    const Sequence version = request->version;
    CommitTimes times = group->times;
    times[0] = request->queued_nanos;
    answers.push_back({std::move(request), {absl::OkStatus(), version, std::nullopt, times}});
  }
  StagedValues taken;  // let go of without the lock
  {
    base::MutexLock lock(mu_);
    ++counters_.groups;
    if (group->staged != nullptr) ++counters_.staged;
    for (const persistence::NodeChange& change : group->record.nodes) {
      ++(change.action == NodeAction::kMerge ? counters_.merge_deltas : counters_.whole_images);
    }
    group->record = {};
    group->values.clear();
    taken = std::exchange(group->staged_values, {});
    published_groups_.push_back(group);
    EndWriting();
  }
  if (!group->feed_trees.empty()) feed_bell_.Ring(group->feed_trees);
  Send(std::move(answers));
}

absl::Status Committer::Publish(Sequence tail, const std::optional<CountLedger::Folding>& folding) {
  SOP_ASSIGN_OR_RETURN(auto storage_snapshot, storage_.nodes().TakeSnapshot());
  base::FailPoint("publish.snapshot");
  auto snapshot = std::make_shared<const Snapshot>(tail, std::move(storage_snapshot), cache_,
                                                   ledger_, options_.clock->Monotonic());
  std::shared_ptr<const Snapshot> previous;  // released after the lock
  std::shared_ptr<const Snapshot> front;
  std::vector<std::shared_ptr<const Snapshot>> held;
  std::vector<Sequence> left;
  Sequence oldest;
  std::optional<Sequence> drop_through;
  {
    base::MutexLock lock(published_mu_);
    snapshots_.emplace_back(tail, snapshot);
    previous = std::exchange(published_, std::move(snapshot));
    // Held from here on, so that the oldest cannot go between being found and being named.
    while ((front = snapshots_.front().second.lock()) == nullptr) snapshots_.pop_front();
    oldest = front->sequence();
    // Behind one that is held for hours the others would pile up.
    if (snapshots_.size() >= sweep_snapshots_at_) left = SweepSnapshots();
    if (folding.has_value()) {
      folded_.emplace_back(folding->folded, folding->through);
      for (const auto& [sequence, kept] : snapshots_) {
        if (auto alive = kept.lock()) held.push_back(std::move(alive));
      }
    }
    while (!folded_.empty() && folded_.front().first <= oldest) {
      drop_through = folded_.front().second;
      folded_.pop_front();
    }
  }
  cache_.Publish(tail, oldest);
  if (!left.empty()) cache_.Hold(std::move(left));
  oldest_snapshot_.store(oldest.value, std::memory_order_release);
  if (drop_through.has_value()) {
    base::FailPoint("fold.drop");
    ledger_.DropThrough(*drop_through);
  }
  if (folding.has_value()) {
    std::vector<Sequence> sequences;
    for (const auto& alive : held) sequences.push_back(alive->sequence());
    ledger_.Compact(*folding, sequences);
  }
  return absl::OkStatus();
}

std::vector<Sequence> Committer::SweepSnapshots() {
  std::erase_if(snapshots_, [](const auto& kept) { return kept.second.expired(); });
  sweep_snapshots_at_ = std::max<size_t>(64, snapshots_.size() * 2);
  std::vector<Sequence> left;
  left.reserve(snapshots_.size());
  for (const auto& [sequence, kept] : snapshots_) left.push_back(sequence);
  return left;
}

std::shared_ptr<CommitGroup> Committer::StopBuilding() {
  base::MutexLock lock(mu_);
  stop_building_ = true;
  while (building_) changed_.Wait(mu_);
  return std::exchange(waiting_, nullptr);
}

void Committer::TakeBack(const CommitGroup& group) {
  if (base::HasSeededBug("keep_refused_group")) return;
  const Sequence tail = published()->sequence();
  for (const auto& [tree, node] : group.installed) cache_.Withdraw(tree, node, tail);
  ledger_.DropAbove(tail);
  ForgetGroup(group, group.next_tree_id_before);
  if (group.fold_through.has_value()) folded_through_ = group.folded_through_before;
  outcome_totals_ = group.outcome_totals_before;
  if (group.feed_before.has_value()) feed_retention_ = *group.feed_before;
  built_tail_ = tail;
  base::MutexLock lock(mu_);
  outcomes_removed_through_ = outcome_totals_.removed_through;
}

void Committer::Refuse(std::shared_ptr<CommitGroup> group, const absl::Status& status) {
  const std::shared_ptr<CommitGroup> next = StopBuilding();
  if (next != nullptr) TakeBack(*next);
  TakeBack(*group);
  // On a full disk removals are admitted, but not in one group with what adds items.
  const bool mixed = ReasonOf(status) == Reason::kDiskFull &&
                     std::any_of(group->requests.begin(), group->requests.end(),
                                 [](const auto& r) { return !r->transaction->OnlyErases(); });
  if (mixed) separate_removals_.store(true, std::memory_order_relaxed);
  std::vector<Answer> answers;
  Requests again;
  for (auto& request : group->requests) {
    if (mixed && request->transaction->OnlyErases()) {
      again.push_back(std::move(request));
    } else {
      answers.push_back({std::move(request), {status, Sequence{0}, std::nullopt}});
    }
  }
  {
    base::MutexLock lock(mu_);
    if (next != nullptr) Requeue(std::move(next->requests));
    Requeue(std::move(again));
    if (group->fold_through.has_value()) fold_status_ = status;
    EndWriting();
  }
  Send(std::move(answers));
}

// Another committer's records; the builder is stopped.
void Committer::Adopt(const persistence::CommitRecord& record) {
  ledger_.AssumeImages(record.last);
  feed_retention_.Adopt(record);
  feed_floor_.store(feed_retention_.floor().value, std::memory_order_release);
  for (const persistence::NodeChange& change : record.nodes) {
    cache_.Invalidate(change.tree, change.node, record.last);
    if (reserved_ != nullptr) reserved_->changed.emplace(change.tree, change.node);
  }
  for (const persistence::RowChange& row : record.rows) {
    if (row.space != persistence::Space::kMeta || !row.value.has_value()) continue;
    if (row.key == kNextTreeRow) {
      if (const auto next = DecodeNextTree(*row.value)) build_state_.next_tree_id = *next;
    } else if (row.key == kOutcomeTotalsRow) {
      if (const auto totals = DecodeOutcomeTotals(*row.value)) outcome_totals_ = *totals;
      base::MutexLock lock(mu_);
      outcomes_removed_through_ = outcome_totals_.removed_through;
    } else if (row.key.starts_with(kCountRecordsBegin)) {
      const auto changes = DecodeCountRecord(*row.value);
      if (!changes.ok()) continue;
      ledger_.Add(record.last, *changes);
      for (const TreeCountChange& change : *changes) {
        cache_.Invalidate(change.tree, change.change.inner, record.last);
      }
    }
  }
  for (const TreeId tree : record.dropped_trees) build_state_.dropped_trees[tree] = record.last;
  if (record.writes.empty() && !record.nodes.empty()) window_.Forget(record.last);
  for (const persistence::LogicalWrite& write : record.writes) {
    window_.Add(write.tree, write.key, record.last,
                write.value_only ? ChangeKind::kValueOnly : ChangeKind::kStructural);
  }
}

void Committer::Rebuild(std::shared_ptr<CommitGroup> group, const persistence::TailMoved& moved) {
  const std::shared_ptr<CommitGroup> next = StopBuilding();
  if (next != nullptr) TakeBack(*next);
  TakeBack(*group);
  std::vector<std::shared_ptr<CommitGroup>> published;
  {
    base::MutexLock lock(mu_);
    published.swap(published_groups_);
  }
  Remember(std::move(published));
  // What is adopted comes after all that was published here.
  recent_.MoveAll();
  for (const persistence::CommitRecord& record : moved.records) Adopt(record);
  const Sequence tail = moved.records.empty() ? storage_.log().Tail() : moved.records.back().last;
  const absl::Status status = Publish(tail);
  built_tail_ = tail;
  feed_bell_.RingAll();
  if (!status.ok()) {
    {
      base::MutexLock lock(mu_);
      if (next != nullptr) Requeue(std::move(next->requests));
    }
    Fail(std::move(group), status);
    return;
  }
  base::MutexLock lock(mu_);
  if (group->fold_through.has_value() || (next != nullptr && next->fold_through.has_value())) {
    fold_wanted_ = true;
  }
  if (next != nullptr) Requeue(std::move(next->requests));
  Requeue(std::move(group->requests));
  EndWriting();
}

void Committer::Fail(std::shared_ptr<CommitGroup> group, const absl::Status& status) {
  const absl::Status failure = Error(
      Reason::kUnavailable,
      fmt::format("the database's log failed and takes no commits until it is opened again: {}",
                  std::string(status.message())));
  const std::shared_ptr<CommitGroup> next = StopBuilding();
  std::vector<Answer> answers;
  const auto answer_all = [&](Requests& requests) {
    for (auto& request : requests) {
      answers.push_back({std::move(request), {failure, Sequence{0}, std::nullopt}});
    }
  };
  answer_all(group->requests);
  if (next != nullptr) answer_all(next->requests);
  {
    base::MutexLock lock(mu_);
    failure_ = failure;
    while (!queue_.empty()) {
      answers.push_back({std::move(queue_.front()), {failure, Sequence{0}, std::nullopt}});
      queue_.pop_front();
    }
    while (!set_aside_.empty()) {
      answers.push_back({std::move(set_aside_.front()), {failure, Sequence{0}, std::nullopt}});
      set_aside_.pop_front();
    }
    fold_wanted_ = false;
    EndWriting();
  }
  feed_bell_.RingAll();
  Send(std::move(answers));
}

absl::Status Committer::Fold() {
  base::MutexLock lock(mu_);
  if (!failure_.ok()) return failure_;
  fold_wanted_ = true;
  if (ShouldBuild()) Wake();
  while (failure_.ok() && (fold_wanted_ || fold_unwritten_)) changed_.Wait(mu_);
  return failure_.ok() ? fold_status_ : failure_;
}

// Nothing is unwritten now, so the published snapshot is the newest state.
absl::StatusOr<CommitBuilder::Finished> Committer::BuildFold() {
  base::FailPoint("fold.build");
  groups_since_fold_ = 0;
  CommitBuilder::Finished finished;
  finished.group = std::make_unique<CommitGroup>();
  CommitGroup& group = *finished.group;
  const std::shared_ptr<const Snapshot> snapshot = published();
  group.first = Sequence{built_tail_.value + 1};
  group.last = group.first;
  group.next_tree_id_before = build_state_.next_tree_id;
  group.fold_through = snapshot->sequence();
  group.folded_through_before = folded_through_;
  group.record.only_removes = true;
  group.record.first = group.first;
  group.record.last = group.last;
  for (const CountLedger::Node& node :
       ledger_.InnerNodes({folded_through_, snapshot->sequence()})) {
    SOP_RETURN_IF_ERROR(FoldNode(node, *snapshot, &group.record));
  }
  for (const Sequence sequence : ledger_.Records(folded_through_, snapshot->sequence())) {
    group.record.rows.push_back(
        {persistence::Space::kMeta, CountRecordKey(sequence), std::nullopt});
  }
  folded_through_ = snapshot->sequence();
  base::FailPoint("fold.built");
  return finished;
}

// A node that is gone, or damaged, has no counts to keep. One that cannot be read now has: its
// count records must not go.
absl::StatusOr<Committer::StoredInner> Committer::FindInner(const CountLedger::Node& node,
                                                            const Snapshot& snapshot) {
  StoredInner found;
  btree::NodeRef version;
  const auto stored = ledger_.StoredAsOf(node, folded_through_);
  // Most are cached, and to put one together from its deltas costs a hundred times as much.
  if (stored.has_value() && cache_.Find(node.tree, node.inner, snapshot.sequence(), &version)) {
    found.counts_sequence = *stored;
  } else {
    SOP_ASSIGN_OR_RETURN(auto bytes, snapshot.storage().ReadNode(node.tree, node.inner));
    if (!bytes.has_value()) return found;
    auto image = btree::NodeImage::Parse(*std::move(bytes));
    if (!image.ok()) return found;
    found.counts_sequence = (*image)->counts_sequence();
    version = btree::NodeVersion::FromImage(*std::move(image));
  }
  if (version == nullptr || version->is_leaf()) return found;
  found.children.resize(version->children());
  for (uint32_t slot = 0; slot < version->children(); ++slot) {
    found.children[slot] = version->child(slot);
  }
  return found;
}

absl::Status Committer::FoldNode(const CountLedger::Node& node, const Snapshot& snapshot,
                                 persistence::CommitRecord* record) {
  SOP_ASSIGN_OR_RETURN(const StoredInner inner, FindInner(node, snapshot));
  const std::vector<NodeId>& children = inner.children;
  if (children.empty()) return absl::OkStatus();
  std::vector<uint64_t> growth(children.size(), 0);
  ledger_.Complete(node, {inner.counts_sequence, snapshot.sequence()}, children, growth);
  btree::DeltaView delta;
  delta.sequence = record->last;
  delta.counts_sequence = snapshot.sequence();
  for (size_t slot = 0; slot < children.size(); ++slot) {
    if (growth[slot] == 0) continue;
    btree::DeltaOperation operation;
    operation.kind = btree::DeltaKind::kCounts;
    operation.child = children[slot];
    operation.amount = static_cast<int64_t>(growth[slot]);
    delta.operations.push_back(operation);
  }
  if (delta.operations.empty()) {
    // Nothing changed in the end; this says that the image's counts are those of the folding.
    btree::DeltaOperation none;
    none.kind = btree::DeltaKind::kCounts;
    none.child = children.front();
    delta.operations.push_back(none);
  }
  base::FailPoint("fold.node");
  record->nodes.push_back({node.tree, node.inner, NodeAction::kMerge, btree::EncodeDelta(delta)});
  return absl::OkStatus();
}

}  // namespace sop::txn
