#pragma once

#include <atomic>
#include <deque>
#include <memory>
#include <optional>
#include <span>
#include <vector>

#include "absl/container/flat_hash_map.h"
#include "core/base/mutex.h"
#include "core/btree/key.h"
#include "core/txn/commit/commit_builder.h"
#include "core/txn/commit/conflict_window.h"
#include "core/txn/commit/meta_rows.h"
#include "core/txn/commit/recent_groups.h"
#include "core/txn/commit/staged_commit.h"
#include "core/txn/count_ledger.h"
#include "core/txn/engine.h"
#include "core/txn/feed/feed_bell.h"
#include "core/txn/feed/feed_retention.h"
#include "core/txn/node_cache.h"
#include "core/txn/snapshot.h"

namespace sop::txn {

// The group committer of one database: takes requests in order of arrival, validates them one after
// the other, writes each group as one record with one sync, publishes its snapshot and answers. The
// next group is built while the previous one syncs. Runs as tasks of a pool: at most one builds and
// one writes at a time.
//
// Invariants:
// 1. The snapshot published for group N was taken after N was written and before N + 1.
// 2. A group is built on the newest state there is, written or not; if a group is refused, or the
//    log's tail moved, whatever was built on it is taken back.
// 3. After the log failed nothing is committed any more.
// Thread-safe.
class Committer {
 public:
  Committer(persistence::Storage& storage, const EngineOptions& options);
  // Waits for everything in flight.
  ~Committer();

  // Reads meta rows and publishes the first snapshot. Call once, first.
  absl::Status Start();

  void Submit(std::unique_ptr<CommitRequest> request) SOP_EXCLUDES(mu_);

  std::shared_ptr<const Snapshot> published() const SOP_EXCLUDES(published_mu_);
  absl::Status health() const SOP_EXCLUDES(mu_);
  absl::StatusOr<std::optional<Outcome>> FindOutcome(const Uuid& token) SOP_EXCLUDES(mu_);

  // Folds all count records; returns when done.
  absl::Status Fold() SOP_EXCLUDES(mu_);
  FeedBell& feed_bell() { return feed_bell_; }
  // See Engine::feed_floor.
  Sequence feed_floor() const {
    return Sequence{feed_floor_.load(std::memory_order_acquire)};  // with WriteOnce
  }
  Engine::Statistics statistics() const SOP_EXCLUDES(mu_);

 private:
  // The newest state, unwritten groups included.
  class HeadSource : public btree::NodeSource {
   public:
    explicit HeadSource(Committer& committer) : committer_(committer) {}
    absl::StatusOr<btree::NodeRef> Read(TreeId tree, NodeId node) override;
    void FindCached(TreeId tree, std::span<const NodeId> nodes, btree::NodeRef* versions) override {
      committer_.cache_.FindAll(tree, nodes, NodeCache::kNewest, versions);
    }

   private:
    Committer& committer_;
  };
  using Requests = std::vector<std::unique_ptr<CommitRequest>>;
  struct Answer {
    std::unique_ptr<CommitRequest> request;
    CommitResult result;
  };

  // Times one stage after the other.
  class Stopwatch {
   public:
    explicit Stopwatch(Committer& committer)
        : committer_(committer), begun_(committer.options_.clock->Monotonic()) {}
    // Records what passed since the construction or the last call.
    void End(CommitStage stage, CommitTimes* times);

   private:
    Committer& committer_;
    absl::Duration begun_;
  };

  // kCaller: one group at most, what is left goes to the pool.
  void Work(CommitTurn turn) SOP_EXCLUDES(mu_);
  bool ShouldBuild() const SOP_REQUIRES(mu_);
  void Wake() SOP_REQUIRES(mu_);

  // --- The builder; state marked "builder" is its own ---
  void BuildOnce() SOP_EXCLUDES(mu_);
  void Remember(std::vector<std::shared_ptr<CommitGroup>> published);
  // Builds until a group stands; requests that cannot be in it get an answer, those that have to
  // wait are left.
  std::optional<CommitBuilder::Finished> Build(Requests requests, const CommitGroup* unpublished,
                                               std::vector<Answer>* answers, Requests* left);
  // Adds requests in order; moves those that are in, answered or left out of `requests`.
  void AddRequests(CommitBuilder& builder, Requests* requests, Requests* added,
                   std::vector<Answer>* answers, Requests* left);
  // Takes out of `requests` those that are to be staged first.
  void SetAside(Requests* requests) SOP_EXCLUDES(mu_);
  // Begins to stage the oldest that was set aside, one at a time.
  void BeginStaging(const CommitGroup* unpublished) SOP_EXCLUDES(mu_);
  // Those whose reservation was passed are staged once more.
  void StageAgain(Requests stale) SOP_EXCLUDES(mu_);
  // --- The staging task ---
  void Stage(std::unique_ptr<CommitRequest> request) SOP_EXCLUDES(mu_);
  // Frees what was staged, in storage too unless a record took it, and the reservation.
  void EndStaging(CommitRequest& request) SOP_EXCLUDES(mu_);
  void ForgetGroup(const CommitGroup& group, TreeId next_tree_id);
  // What a request id committed before, if it did.
  // kOutcomeUnknown for a token so old that its outcome may have been removed.
  absl::StatusOr<std::optional<Outcome>> EarlierOutcome(const CommitRequest& request)
      SOP_EXCLUDES(mu_);
  absl::Status CheckKept(const Uuid& token) const SOP_REQUIRES(mu_);
  std::shared_ptr<CommitGroup> Install(CommitBuilder::Finished finished);
  void AddOutcomeRows(CommitGroup& group);
  // Reads what is kept of the feeds.
  absl::Status StartFeeds(const persistence::StorageSnapshot& snapshot);
  void AddFeedRows(CommitGroup& group);
  absl::StatusOr<CommitBuilder::Finished> BuildFold();
  // An inner node as a snapshot sees it in storage; no children if it has none there.
  struct StoredInner {
    std::vector<NodeId> children;
    Sequence counts_sequence;  // as of which its counts are
  };
  absl::StatusOr<StoredInner> FindInner(const CountLedger::Node& node, const Snapshot& snapshot);
  absl::Status FoldNode(const CountLedger::Node& node, const Snapshot& snapshot,
                        persistence::CommitRecord* record);

  // --- The writer ---
  void WriteOnce(std::shared_ptr<CommitGroup> group) SOP_EXCLUDES(mu_);
  // `folding`: what the group folded, if it did.
  absl::Status Publish(Sequence tail, const std::optional<CountLedger::Folding>& folding = {})
      SOP_EXCLUDES(mu_, published_mu_);
  // Drops the expired ones of snapshots_; returns the others' sequences.
  std::vector<Sequence> SweepSnapshots() SOP_REQUIRES(published_mu_);
  void Refuse(std::shared_ptr<CommitGroup> group, const absl::Status& status) SOP_EXCLUDES(mu_);
  void Rebuild(std::shared_ptr<CommitGroup> group, const persistence::TailMoved& moved)
      SOP_EXCLUDES(mu_);
  // Stops building and returns the group that was built but not handed to the writer.
  std::shared_ptr<CommitGroup> StopBuilding() SOP_EXCLUDES(mu_);
  void TakeBack(const CommitGroup& group);
  void Adopt(const persistence::CommitRecord& record);
  // The log is broken: nothing is committed any more.
  void Fail(std::shared_ptr<CommitGroup> group, const absl::Status& status) SOP_EXCLUDES(mu_);
  void Requeue(Requests requests) SOP_REQUIRES(mu_);
  // Ends the writer's turn.
  void EndWriting() SOP_REQUIRES(mu_);
  void Send(std::vector<Answer> answers) SOP_EXCLUDES(mu_);

  persistence::Storage& storage_;
  const EngineOptions options_;
  CountLedger ledger_;
  NodeCache cache_;
  HeadSource head_;

  CommitStages stages_;

  mutable base::Mutex published_mu_;
  std::shared_ptr<const Snapshot> published_ SOP_GUARDED_BY(published_mu_);
  // Snapshots handed out, oldest first; expired ones are dropped from the front.
  std::deque<std::pair<Sequence, std::weak_ptr<const Snapshot>>> snapshots_
      SOP_GUARDED_BY(published_mu_);
  size_t sweep_snapshots_at_ SOP_GUARDED_BY(published_mu_) = 64;
  // Count records up to `second` are folded; needed until no snapshot below `first` is left.
  std::deque<std::pair<Sequence, Sequence>> folded_ SOP_GUARDED_BY(published_mu_);

  // Builder.
  ConflictWindow window_;
  RecentGroups recent_{window_};
  BuildState build_state_;
  Sequence built_tail_;
  OutcomeTotals outcome_totals_;
  FeedRetention feed_retention_;
  uint64_t groups_since_fold_ = 0;
  uint64_t groups_since_sweep_ = 0;
  Sequence folded_through_;
  std::shared_ptr<StagedCommit> reserved_;  // staging_, as of the last look
  Requests stale_;                          // to be staged once more

  // No snapshot is older; from the writer to the builder, which may see it late.
  std::atomic<uint64_t> oldest_snapshot_{0};

  // Raised before the record that trims to it is written.
  std::atomic<uint64_t> feed_floor_{0};
  std::atomic<uint64_t> feed_kept_bytes_{0};
  FeedBell feed_bell_;

  // The disk is full: removals go in groups of their own. A hint between writer and builder.
  std::atomic<bool> separate_removals_{false};

  mutable base::Mutex mu_;
  base::CondVar changed_;
  std::deque<std::unique_ptr<CommitRequest>> queue_ SOP_GUARDED_BY(mu_);
  absl::flat_hash_map<Uuid, CommitRequest*> in_flight_ SOP_GUARDED_BY(mu_);
  std::deque<std::unique_ptr<CommitRequest>> set_aside_ SOP_GUARDED_BY(mu_);  // to be staged
  std::shared_ptr<StagedCommit> staging_ SOP_GUARDED_BY(mu_);  // of the request staged or being so
  bool building_ SOP_GUARDED_BY(mu_) = false;
  bool stop_building_ SOP_GUARDED_BY(mu_) = false;
  bool writing_ SOP_GUARDED_BY(mu_) = false;
  int tasks_ SOP_GUARDED_BY(mu_) = 0;
  size_t last_group_ SOP_GUARDED_BY(mu_) = 0;
  std::shared_ptr<CommitGroup> waiting_ SOP_GUARDED_BY(mu_);  // built, not yet with the writer
  std::shared_ptr<CommitGroup> writing_group_ SOP_GUARDED_BY(mu_);
  // Published, their writes not yet among the builder's.
  std::vector<std::shared_ptr<CommitGroup>> published_groups_ SOP_GUARDED_BY(mu_);
  bool wake_pending_ SOP_GUARDED_BY(mu_) = false;
  Uuid outcomes_removed_through_ SOP_GUARDED_BY(mu_);
  bool fold_wanted_ SOP_GUARDED_BY(mu_) = false;
  bool fold_unwritten_ SOP_GUARDED_BY(mu_) = false;  // built, not yet in the log
  absl::Status fold_status_ SOP_GUARDED_BY(mu_);     // of the last one tried
  absl::Status failure_ SOP_GUARDED_BY(mu_);
  Engine::Statistics counters_ SOP_GUARDED_BY(mu_);
};

}  // namespace sop::txn
