#include "core/txn/commit/committer.h"

#include <algorithm>
#include <iterator>
#include <tuple>
#include <utility>

#include <fmt/format.h>

#include "core/base/error.h"
#include "core/base/fault/fail_point.h"
#include "core/base/fault/seeded_bug.h"
#include "core/base/status_macros.h"

namespace sop::txn {
namespace {

// Net writes, deltas and the record of a group, as a multiple of keys and values (measured).
constexpr int64_t kGroupBytesPerWrittenByte = 3;
// While the cache holds all that is used, few nodes are put together by cold reads.
constexpr uint32_t kDeltaShareWhileCached = 4;

}  // namespace

absl::StatusOr<btree::NodeRef> Committer::HeadSource::Read(TreeId tree, NodeId node) {
  btree::NodeRef version;
  if (committer_.cache_.FindNewest(tree, node, &version)) return version;
  // Asked for only after the miss: a group published meanwhile may have been evicted since, and
  // this snapshot has it. What is not published cannot have been evicted.
  const std::shared_ptr<const Snapshot> snapshot = committer_.published();
  auto bytes = snapshot->storage().ReadNode(tree, node);
  if (!bytes.ok()) return snapshot->Noted(bytes.status(), tree);
  if (bytes->has_value()) {
    auto made =
        MakeNodeVersion(**std::move(bytes), tree, node, snapshot->sequence(), committer_.ledger_);
    if (!made.ok()) return snapshot->Noted(made.status(), tree);
    version = *std::move(made);
  }
  committer_.cache_.Insert(tree, node, snapshot->sequence(), version);
  return version;
}

Committer::Committer(persistence::Storage& storage, const EngineOptions& options)
    : storage_(storage),
      options_(options),
      cache_(options.cache),
      head_(*this),
      window_(options.limits.conflict_window_bytes, storage.log().Tail(),
              base::MemoryCharge(options.windows)),
      built_tail_(storage.log().Tail()),
      feed_retention_(options.limits) {}

Committer::~Committer() {
  base::MutexLock lock(mu_);
  while (tasks_ > 0 || !queue_.empty() || waiting_ != nullptr || building_ || writing_ ||
         !set_aside_.empty() || staging_ != nullptr) {
    changed_.Wait(mu_);
  }
  base::FailPoint("close.committer");
}

absl::Status Committer::Start() {
  base::FailPoint("start.read");
  SOP_ASSIGN_OR_RETURN(const auto snapshot, storage_.nodes().TakeSnapshot());
  SOP_ASSIGN_OR_RETURN(const auto next, snapshot->ReadRow(persistence::Space::kMeta, kNextTreeRow));
  if (next.has_value()) {
    const auto decoded = DecodeNextTree(*next);
    if (!decoded.has_value()) return Error(Reason::kDamaged, "row of the next tree is damaged");
    build_state_.next_tree_id = *decoded;
  }
  SOP_ASSIGN_OR_RETURN(const auto totals,
                       snapshot->ReadRow(persistence::Space::kMeta, kOutcomeTotalsRow));
  if (totals.has_value()) {
    const auto decoded = DecodeOutcomeTotals(*totals);
    if (!decoded.has_value()) return Error(Reason::kDamaged, "totals of outcomes are damaged");
    outcome_totals_ = *decoded;
    base::MutexLock lock(mu_);
    outcomes_removed_through_ = decoded->removed_through;
  }
  SOP_RETURN_IF_ERROR(StartFeeds(*snapshot));
  absl::Status status;
  SOP_RETURN_IF_ERROR(
      snapshot->ScanRows(persistence::Space::kMeta, kCountRecordsBegin, kCountRecordsEnd,
                         [&](std::string_view key, std::string_view value) {
                           const auto sequence = CountRecordSequence(key);
                           const auto changes = DecodeCountRecord(value);
                           status = sequence.ok() ? changes.status() : sequence.status();
                           if (status.ok()) ledger_.Add(*sequence, *changes);
                           return status.ok();
                         }));
  SOP_RETURN_IF_ERROR(status);
  groups_since_fold_ = ledger_.records();
  ledger_.AssumeImages(storage_.log().Tail());
  return Publish(storage_.log().Tail());
}

void Committer::Stopwatch::End(CommitStage stage, CommitTimes* times) {
  const absl::Duration now = committer_.options_.clock->Monotonic();
  const int64_t nanos = absl::ToInt64Nanoseconds(now - std::exchange(begun_, now));
  (*times)[static_cast<size_t>(stage)] = nanos;
  committer_.stages_.Record(stage, nanos);
}

std::shared_ptr<const Snapshot> Committer::published() const {
  base::MutexLock lock(published_mu_);
  return published_;
}

absl::Status Committer::health() const {
  base::MutexLock lock(mu_);
  return failure_;
}

Engine::Statistics Committer::statistics() const {
  Engine::Statistics statistics;
  {
    base::MutexLock lock(mu_);
    statistics = counters_;
    statistics.queued = queue_.size();
  }
  {
    std::vector<std::shared_ptr<const Snapshot>> held;  // released after the lock
    base::MutexLock lock(published_mu_);
    for (const auto& [sequence, kept] : snapshots_) {
      if (auto alive = kept.lock()) held.push_back(std::move(alive));
    }
    statistics.snapshots = held.size();
    if (!held.empty()) {
      statistics.oldest_snapshot = options_.clock->Monotonic() - held.front()->taken_at();
    }
  }
  statistics.count_entries = ledger_.entries();
  statistics.cache_bytes = cache_.charged_bytes();
  for (size_t i = 0; i < kCommitStages; ++i) {
    statistics.stages[i] = stages_.Read(static_cast<CommitStage>(i));
  }
  statistics.count_records = ledger_.records();
  statistics.feed_bytes = feed_kept_bytes_.load(std::memory_order_relaxed);
  statistics.cache = const_cast<NodeCache&>(cache_).counters();
  return statistics;
}

void Committer::Submit(std::unique_ptr<CommitRequest> request) {
  request->submitted = options_.clock->Monotonic();
  base::FailPoint("commit.submit");
  absl::Status failure;
  bool take_turn = false;
  {
    base::MutexLock lock(mu_);
    failure = failure_;
    if (failure.ok() && queue_.size() >= options_.limits.queued_commits) {
      failure = Error(Reason::kOverloaded,
                      fmt::format("{} transactions wait for their commit", queue_.size()),
                      {{"limit", fmt::format("{}", options_.limits.queued_commits)}});
    }
    if (failure.ok()) {
      if (request->options.token.has_value()) {
        const auto [it, inserted] = in_flight_.try_emplace(*request->options.token, request.get());
        if (!inserted) {
          for (auto& done : request->done) it->second->done.push_back(std::move(done));
          return;
        }
      }
      take_turn = request->options.turn == CommitTurn::kCaller && tasks_ == 0;
      queue_.push_back(std::move(request));
      take_turn = take_turn && ShouldBuild();
      if (take_turn) {
        ++tasks_;
      } else if (ShouldBuild()) {
        Wake();
      }
    }
  }
  if (take_turn) Work(CommitTurn::kCaller);
  if (failure.ok()) return;
  request->Finish({failure, Sequence{0}, std::nullopt});
}

bool Committer::ShouldBuild() const {
  if (building_ || stop_building_ || waiting_ != nullptr || !failure_.ok()) return false;
  // What a staged transaction changed can only be asked of the published tree.
  if (writing_group_ != nullptr && writing_group_->staged != nullptr) return false;
  if (fold_wanted_) return !writing_;
  if (!set_aside_.empty() && staging_ == nullptr) return true;
  // While a group is being written, a small one built early would only take the place of the larger
  // one that is about to gather.
  return !queue_.empty() && (!writing_ || queue_.size() * 2 >= last_group_);
}

void Committer::Wake() {
  if (wake_pending_) return;
  wake_pending_ = true;
  ++tasks_;
  options_.pool->Schedule([this] { Work(CommitTurn::kPool); });
}

void Committer::Work(CommitTurn turn) {
  mu_.Lock();
  if (turn == CommitTurn::kPool) wake_pending_ = false;
  for (;;) {
    if (ShouldBuild()) {
      building_ = true;
      mu_.Unlock();
      BuildOnce();
      mu_.Lock();
    } else if (waiting_ != nullptr && !writing_) {
      writing_ = true;
      writing_group_ = std::exchange(waiting_, nullptr);
      std::shared_ptr<CommitGroup> group = writing_group_;
      if (ShouldBuild()) Wake();
      mu_.Unlock();
      WriteOnce(std::move(group));  // a refused one lets go of files: not under the lock
      mu_.Lock();
      if (turn == CommitTurn::kCaller) break;
    } else {
      break;
    }
  }
  if (turn == CommitTurn::kCaller && ShouldBuild()) Wake();
  --tasks_;
  changed_.NotifyAll();
  mu_.Unlock();
}

void Committer::BuildOnce() {
  Requests requests;
  std::vector<std::shared_ptr<CommitGroup>> published;
  std::shared_ptr<CommitGroup> unpublished;
  bool fold = false;
  {
    base::MutexLock lock(mu_);
    published.swap(published_groups_);
    unpublished = writing_group_;
    fold = fold_wanted_ && !writing_;
    while (!fold && !queue_.empty()) {
      requests.push_back(std::move(queue_.front()));
      queue_.pop_front();
    }
    reserved_ = staging_;
  }
  const absl::Duration now = options_.clock->Monotonic();
  for (const auto& request : requests) {
    // Once more for one that has to wait for the next group.
    request->queued_nanos = absl::ToInt64Nanoseconds(now - request->submitted);
    stages_.Record(CommitStage::kQueue, request->queued_nanos);
  }
  Remember(std::move(published));
  SetAside(&requests);
  if (!fold) BeginStaging(unpublished.get());
  std::vector<Answer> answers;
  Requests left;
  std::shared_ptr<CommitGroup> group;
  absl::Status fold_status;
  if (fold) {
    auto finished = BuildFold();
    fold_status = finished.status();
    if (finished.ok()) group = Install(*std::move(finished));
  } else if (auto finished = Build(std::move(requests), unpublished.get(), &answers, &left)) {
    group = Install(*std::move(finished));
  }
  {
    base::MutexLock lock(mu_);
    if (fold) {
      fold_wanted_ = false;
      fold_unwritten_ = fold_status.ok();
      fold_status_ = fold_status;
    }
    Requeue(std::move(left));
    if (group != nullptr) last_group_ = group->requests.size();
    if (group != nullptr && ++groups_since_fold_ >= options_.groups_between_folds) {
      fold_wanted_ = true;
    }
    waiting_ = std::move(group);
  }
  StageAgain(std::exchange(stale_, {}));
  {
    base::MutexLock lock(mu_);
    building_ = false;
    changed_.NotifyAll();
  }
  Send(std::move(answers));
}

void Committer::Remember(std::vector<std::shared_ptr<CommitGroup>> published) {
  for (auto& group : published) {
    if (group->staged == nullptr) {
      recent_.Add(std::move(group));
      continue;
    }
    // Not listed key by key: leaf sequences and item versions tell.
    recent_.MoveAll();
    window_.Forget(group->last);
  }
  recent_.Trim(Sequence{oldest_snapshot_.load(std::memory_order_acquire)});
}

void Committer::AddRequests(CommitBuilder& builder, Requests* requests, Requests* added,
                            std::vector<Answer>* answers, Requests* left) {
  for (auto& request : *requests) {
    const bool other_sort =
        separate_removals_.load(std::memory_order_relaxed) && !added->empty() &&
        added->front()->transaction->OnlyErases() != request->transaction->OnlyErases();
    if (!left->empty() || builder.broken() || other_sort) {
      left->push_back(std::move(request));
      continue;
    }
    const auto earlier = EarlierOutcome(*request);
    if (!earlier.ok() || earlier->has_value()) {
      CommitResult result{earlier.status(), Sequence{0}, std::nullopt};
      if (earlier.ok()) result = {absl::OkStatus(), (*earlier)->version, (*earlier)->reply};
      answers->push_back({std::move(request), std::move(result)});
      continue;
    }
    absl::Status status;
    switch (builder.TryAdd(*request, &status)) {
      case CommitBuilder::Verdict::kAdded:
        added->push_back(std::move(request));
        break;
      case CommitBuilder::Verdict::kRefused:
        answers->push_back({std::move(request), {status, Sequence{0}, std::nullopt}});
        break;
      case CommitBuilder::Verdict::kGroupFull:
        left->push_back(std::move(request));
        break;
      case CommitBuilder::Verdict::kStale:
        stale_.push_back(std::move(request));
        break;
    }
  }
  requests->clear();
}

void Committer::ForgetGroup(const CommitGroup& group, TreeId next_tree_id) {
  for (const TreeId tree : group.dropped_trees) build_state_.dropped_trees.erase(tree);
  build_state_.next_tree_id = next_tree_id;
}

std::optional<CommitBuilder::Finished> Committer::Build(Requests requests,
                                                        const CommitGroup* unpublished,
                                                        std::vector<Answer>* answers,
                                                        Requests* left) {
  while (!requests.empty()) {
    const TreeId next_tree_id = build_state_.next_tree_id;
    btree::NodeLimits limits = options_.nodes;
    if (!cache_.NearlyFull()) limits.delta_share = kDeltaShareWhileCached;
    CommitBuilder builder(
        {head_, window_, recent_, unpublished, built_tail_, limits, storage_.log().WantsWrites(),
         reserved_.get(), absl::ToUnixMillis(options_.clock->Now())},
        build_state_);
    Requests added;
    Stopwatch stopwatch(*this);
    CommitTimes times = {};
    base::FailPoint("commit.validate");
    AddRequests(builder, &requests, &added, answers, left);
    base::FailPoint("commit.validated");
    stopwatch.End(CommitStage::kValidate, &times);
    if (added.empty() && !builder.broken()) return std::nullopt;
    TreeId damaged;
    if (!builder.broken()) {
      builder.group().next_tree_id_before = next_tree_id;
      auto finished = builder.Finish(&damaged);
      if (finished.ok()) {
        base::FailPoint("commit.built");
        finished->group->requests = std::move(added);
        stopwatch.End(CommitStage::kApply, &times);
        finished->group->times = times;
        return *std::move(finished);
      }
      // Whoever writes the tree that cannot be read is told; the others try again.
      for (auto& request : added) {
        if (request->transaction->Writes(damaged)) {
          answers->push_back({std::move(request), {finished.status(), Sequence{0}, std::nullopt}});
        } else {
          requests.push_back(std::move(request));
        }
      }
    } else {
      requests = std::move(added);
    }
    ForgetGroup(builder.group(), next_tree_id);
    std::move(left->begin(), left->end(), std::back_inserter(requests));
    left->clear();
  }
  return std::nullopt;
}

std::shared_ptr<CommitGroup> Committer::Install(CommitBuilder::Finished finished) {
  std::shared_ptr<CommitGroup> group = std::move(finished.group);
  ledger_.Add(group->last, finished.counts);
  for (CommitBuilder::Node& node : finished.nodes) {
    if (node.whole && !node.version->is_leaf()) {
      ledger_.NoteImage(group->last, {node.tree, node.node});
    }
    cache_.Install(node.tree, node.node, group->last, std::move(node.version));
    group->installed.emplace_back(node.tree, node.node);
    if (reserved_ != nullptr) reserved_->changed.emplace(node.tree, node.node);
  }
  built_tail_ = group->last;
  group->charge = base::MemoryCharge(options_.memory);
  group->charge.Set(static_cast<int64_t>(group->bytes) * kGroupBytesPerWrittenByte +
                    static_cast<int64_t>(group->feed_bytes));
  group->outcome_totals_before = outcome_totals_;
  AddOutcomeRows(*group);
  AddFeedRows(*group);
  base::FailPoint("commit.installed");
  return group;
}

// Keeps the totals, and now and then removes outcomes that are too old or too many.
void Committer::SetAside(Requests* requests) {
  // Those that were in a group that was taken back are built anew, perhaps of other trees.
  for (const auto& request : *requests) request->transaction->Unbind();
  const auto large =
      std::stable_partition(requests->begin(), requests->end(), [](const auto& request) {
        return request->staged != nullptr || !CommitStager::Wants(*request->transaction);
      });
  if (large == requests->end()) return;
  base::MutexLock lock(mu_);
  std::move(large, requests->end(), std::back_inserter(set_aside_));
  requests->erase(large, requests->end());
}

void Committer::BeginStaging(const CommitGroup* unpublished) {
  std::unique_ptr<CommitRequest> request;
  {
    base::MutexLock lock(mu_);
    if (staging_ != nullptr || set_aside_.empty()) return;
    request = std::move(set_aside_.front());
    set_aside_.pop_front();
  }
  reserved_ = std::make_shared<StagedCommit>();
  std::tie(reserved_->first, reserved_->last) =
      CommitStager::Reserve(*request->transaction, built_tail_, request->staging_attempts);
  // Every group after the snapshot adds what it changes: the one being written, whose nodes the
  // snapshot may not have yet, here, the others when they are built.
  if (unpublished != nullptr) {
    reserved_->changed.insert(unpublished->installed.begin(), unpublished->installed.end());
  }
  reserved_->base = published();
  reserved_->charge = base::MemoryCharge(options_.memory);
  reserved_->charge.Set(CommitStager::MemoryFor(*request->transaction));
  request->staged = reserved_;
  base::MutexLock lock(mu_);
  staging_ = reserved_;
  ++tasks_;
  base::ThreadPool* const own = options_.staging_pool;
  (own != nullptr ? own : options_.pool)->Schedule([this, held = std::move(request)]() mutable {
    Stage(std::move(held));
  });
}

void Committer::Stage(std::unique_ptr<CommitRequest> request) {
  base::FailPoint("stage.begin");
  CommitStager(storage_, options_.nodes).Run(*request->transaction, request->staged.get());
  base::FailPoint("stage.staged");
  std::vector<Answer> answers;
  {
    base::MutexLock lock(mu_);
    if (failure_.ok()) {
      queue_.push_front(std::move(request));
      if (ShouldBuild()) Wake();
    } else {
      answers.push_back({std::move(request), {failure_, Sequence{0}, std::nullopt}});
    }
  }
  Send(std::move(answers));
  base::MutexLock lock(mu_);
  --tasks_;
  changed_.NotifyAll();
}

void Committer::StageAgain(Requests stale) {
  for (auto& request : stale) {
    EndStaging(*request);
    ++request->staging_attempts;
    base::MutexLock lock(mu_);
    set_aside_.push_front(std::move(request));
  }
}

void Committer::EndStaging(CommitRequest& request) {
  StagedCommit& staged = *request.staged;
  // Before the reservation goes: others may then use the same Serials.
  staged.nodes.reset();
  staged.trees.clear();
  staged.base.reset();
  staged.charge.Set(0);
  base::MutexLock lock(mu_);
  if (staging_ == request.staged) staging_ = nullptr;
  request.staged = nullptr;
  changed_.NotifyAll();
  if (ShouldBuild()) Wake();
}

void Committer::Requeue(Requests requests) {
  for (auto it = requests.rbegin(); it != requests.rend(); ++it) {
    queue_.push_front(std::move(*it));
  }
}

void Committer::EndWriting() {
  writing_ = false;
  if (writing_group_->fold_through.has_value()) fold_unwritten_ = false;
  writing_group_ = nullptr;
  stop_building_ = false;
  changed_.NotifyAll();
  if (waiting_ != nullptr || ShouldBuild()) Wake();
}

void Committer::Send(std::vector<Answer> answers) {
  if (answers.empty()) return;
  {
    base::MutexLock lock(mu_);
    for (const Answer& answer : answers) {
      const CommitRequest& request = *answer.request;
      if (request.options.token.has_value()) in_flight_.erase(*request.options.token);
      ++(answer.result.status.ok() ? counters_.commits : counters_.aborts);
    }
  }
  for (Answer& answer : answers) {
    // Frees snapshot and temporary files before the caller goes on.
    answer.request->transaction.reset();
    if (answer.request->staged != nullptr) EndStaging(*answer.request);
    base::FailPoint("commit.answer");
    answer.request->Finish(answer.result);
    base::FailPoint("commit.answered");
  }
}

}  // namespace sop::txn
