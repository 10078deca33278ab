#pragma once

#include <cstdint>
#include <deque>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "absl/container/flat_hash_map.h"
#include "absl/container/flat_hash_set.h"
#include "absl/status/status.h"
#include "core/base/ids.h"
#include "core/base/mutex.h"
#include "core/base/thread_pool.h"

namespace sop::session {

struct StreamStrand;

// A request of a stream, from its arrival until its answer is written. Whoever knows what is in it
// derives from it. Confined to the pipeline that it is in.
class StreamRequest {
 public:
  enum class Step { kBegin, kOperation, kCommit, kRollback };
  struct Place {
    // Chosen by the client; a begin's names its transaction.
    uint64_t id = 0;
    // Name of the transaction that it is part of; 0 for a begin and for an operation on its own.
    uint64_t transaction = 0;
    Step step = Step::kOperation;
    // Memory that it takes while it is under way.
    int64_t size_bytes = 0;
  };

  explicit StreamRequest(const Place& place) : place_(place) {}
  virtual ~StreamRequest() = default;
  StreamRequest(const StreamRequest&) = delete;
  StreamRequest& operator=(const StreamRequest&) = delete;

  const Place& place() const { return place_; }

 private:
  friend class Pipeline;

  const Place place_;
  // The transaction that it is part of, or that it begins; null for none.
  std::shared_ptr<StreamStrand> strand_;
  // Why it is not run.
  absl::Status refusal_;
  int64_t answer_bytes_ = 0;
  // No request under way had its id when it arrived.
  bool holds_id_ = false;
};

// A transaction of a stream, as requests in it need to know it.
struct StreamTransaction {
  // Zero if there is none.
  TransactionId id;
  std::string database;
};

// What a pipeline wants of the stream that it is of. Calls come without locks. Thread-safe.
class PipelineStream {
 public:
  // Which threads Run is called on.
  enum class Thread { kMustNotBlock, kMayBlock };

  virtual ~PipelineStream() = default;
  // Runs the request in the transaction and sees to it that Pipeline::Done is called once.
  virtual void Run(StreamRequest& request, const StreamTransaction& transaction, Thread thread) = 0;
  // Answers with the failure, without running anything; Pipeline::Done follows.
  virtual void Refuse(StreamRequest& request, const absl::Status& why) = 0;
  // Sends the answer; Pipeline::Written follows.
  virtual void Send(std::unique_ptr<StreamRequest> request) = 0;
  // May read again, after Arrive said kPause.
  virtual void Resume() = 0;
  // The last call: all answers are written, no request is taken any more. `open` are the
  // transactions that the stream leaves behind.
  virtual void End(std::vector<StreamTransaction> open) = 0;
};

// The requests of one stream: which of them may run now, on which threads, and which wait.
//
// Invariants:
// 1. Requests of one transaction run one at a time, in order of arrival, and are answered in it.
//    Others run beside them, on at most `Limits::threads` threads at once.
// 2. After a failed request of a transaction (its begin, an operation, a commit that left it open)
//    nothing of that transaction runs but Rollback, after which its name is free.
// 3. Under way, from arrival to written answer, are at most `requests` requests and about
//    `request_bytes` bytes of them, beyond which Arrive says kPause; nothing is begun while
//    `answer_bytes` of answers wait to be written.
//
// Call order: Arrive any number of times, by one reader; Close; End comes. Lives as long as tasks
// of the pool need it, hence shared. Thread-safe.
class Pipeline : public std::enable_shared_from_this<Pipeline> {
 public:
  struct Limits {
    size_t requests = 1'000;
    int64_t request_bytes = 16 << 20;
    int64_t answer_bytes = 8 << 20;
    size_t transactions = 1'000;
    int threads = 4;
  };
  // Both must outlive every request; `workers` this.
  Pipeline(PipelineStream& stream, base::ThreadPool& workers, const Limits& limits)
      : stream_(stream), workers_(workers), limits_(limits) {}

  enum class Reading { kContinue, kPause };
  // What the reader does next: read or wait for Resume, and then whether to call RunHere.
  struct Next {
    Reading reading = Reading::kContinue;
    bool run_here = false;
  };
  // Takes a request in. One that comes after End is dropped.
  Next Arrive(std::unique_ptr<StreamRequest> request) SOP_EXCLUDES(mu_);
  // Runs the request that has just arrived, alone in the pipeline, without a change of threads.
  void RunHere() SOP_EXCLUDES(mu_);

  // How a request was answered.
  struct Result {
    absl::Status status;
    // A begin's, when it is OK.
    StreamTransaction begun;
    enum class Fate { kOpen, kEnded };
    // kEnded for a commit or rollback after which the transaction is no more.
    Fate fate = Fate::kOpen;
    // Memory that the answer takes.
    int64_t answer_bytes = 0;
  };
  void Done(StreamRequest& request, const Result& result) SOP_EXCLUDES(mu_);
  // Its answer was written, or will never be.
  void Written(const StreamRequest& request) SOP_EXCLUDES(mu_);

  // No more requests come; End follows when those under way are answered.
  void Close() SOP_EXCLUDES(mu_);
  // The server wants to stop: begins and operations on their own are UNAVAILABLE, transactions may
  // still be ended. End follows when none is open, without waiting for Close.
  void Drain() SOP_EXCLUDES(mu_);

 private:
  absl::Status PlaceLocked(StreamRequest& request) SOP_REQUIRES(mu_);
  absl::Status PlaceBeginLocked(StreamRequest& request) SOP_REQUIRES(mu_);
  void UpdateStrandLocked(StreamStrand& strand, const StreamRequest& request, const Result& result)
      SOP_REQUIRES(mu_);
  void EndStrandLocked(StreamStrand& strand) SOP_REQUIRES(mu_);
  // The next request that may run, or null; then the caller runs no more.
  StreamRequest* TakeLocked() SOP_REQUIRES(mu_);
  void StartRunnersLocked() SOP_REQUIRES(mu_);
  void RunReady() SOP_EXCLUDES(mu_);
  void RunOne(StreamRequest& request, PipelineStream::Thread thread) SOP_EXCLUDES(mu_);
  using Open = std::vector<StreamTransaction>;
  // What to end the stream with, once, when it must end.
  std::optional<Open> EndLocked() SOP_REQUIRES(mu_);

  // Constant after construction.
  PipelineStream& stream_;
  base::ThreadPool& workers_;
  const Limits limits_;

  base::Mutex mu_;
  size_t requests_ SOP_GUARDED_BY(mu_) = 0;
  int64_t request_bytes_ SOP_GUARDED_BY(mu_) = 0;
  int64_t answer_bytes_ SOP_GUARDED_BY(mu_) = 0;
  int runners_ SOP_GUARDED_BY(mu_) = 0;
  bool paused_ SOP_GUARDED_BY(mu_) = false;
  bool closed_ SOP_GUARDED_BY(mu_) = false;
  bool draining_ SOP_GUARDED_BY(mu_) = false;
  bool ended_ SOP_GUARDED_BY(mu_) = false;
  // Ids of requests that are not answered yet.
  absl::flat_hash_set<uint64_t> ids_ SOP_GUARDED_BY(mu_);
  // May run: the first of their transaction, or on their own.
  std::deque<StreamRequest*> ready_ SOP_GUARDED_BY(mu_);
  // By name; those that have ended lately are kept, so that late requests learn of it.
  absl::flat_hash_map<uint64_t, std::shared_ptr<StreamStrand>> strands_ SOP_GUARDED_BY(mu_);
  size_t open_strands_ SOP_GUARDED_BY(mu_) = 0;
  // Those of strands_ that have ended, oldest first.
  std::deque<std::shared_ptr<StreamStrand>> ended_strands_ SOP_GUARDED_BY(mu_);
};

}  // namespace sop::session
