#include "server/session/pipeline.h"

#include <algorithm>
#include <utility>

#include "core/base/error.h"
#include "fmt/format.h"

namespace sop::session {

// A transaction of a stream. Confined to its pipeline, under its lock.
struct StreamStrand {
  uint64_t name = 0;
  StreamTransaction transaction;
  // One of its requests is ready or running.
  bool busy = false;
  bool ended = false;
  // What every request but Rollback gets; OK while nothing has failed.
  absl::Status poison;
  std::deque<StreamRequest*> waiting;
};

namespace {

using Step = StreamRequest::Step;

// Names of ended transactions that are remembered.
constexpr size_t kMaxEndedStrands = 1'000;
// A runner lets others have its thread after this many requests.
constexpr int kBurst = 64;

absl::Status PoisonOf(const StreamStrand& strand, const StreamRequest& request,
                      const absl::Status& first) {
  ErrorDetails details = DetailsOf(first);
  details.emplace_back("first_reason", std::string(ReasonName(ReasonOf(first))));
  details.emplace_back("first_request", fmt::format("{}", request.place().id));
  return Error(
      Reason::kTransactionPoisoned,
      fmt::format("transaction {} of the stream is poisoned since its request {} failed: {}",
                  strand.name, request.place().id, std::string(first.message())),
      std::move(details));
}

absl::Status WrongTransaction(std::string_view problem) {
  return Error(Reason::kInvalidArgument, problem, {{"field", "transaction"}});
}

}  // namespace

absl::Status Pipeline::PlaceBeginLocked(StreamRequest& request) {
  const StreamRequest::Place& place = request.place();
  if (place.transaction != 0) return WrongTransaction("begin names a transaction to be part of");
  if (place.id == 0) {
    return Error(Reason::kInvalidArgument, "begin has the id 0, by which nothing can be named",
                 {{"field", "id"}});
  }
  auto& strand = strands_[place.id];
  if (strand != nullptr && !strand->ended) {
    return Error(Reason::kInvalidArgument,
                 fmt::format("transaction {} of the stream is open already", place.id),
                 {{"field", "id"}});
  }
  if (open_strands_ >= limits_.transactions) {
    if (strand == nullptr) strands_.erase(place.id);
    return Error(Reason::kLimitExceeded,
                 fmt::format("{} transactions of the stream are open, limit {}", open_strands_,
                             limits_.transactions),
                 {{"limit", fmt::format("{}", limits_.transactions)}});
  }
  ++open_strands_;
  strand = std::make_shared<StreamStrand>();
  strand->name = place.id;
  request.strand_ = strand;
  return absl::OkStatus();
}

absl::Status Pipeline::PlaceLocked(StreamRequest& request) {
  const StreamRequest::Place& place = request.place();
  const auto found = strands_.find(place.transaction);
  const bool known = place.transaction != 0 && found != strands_.end();
  // Whatever is wrong with it, it fails in its turn and poisons what it was to be part of.
  if (known) request.strand_ = found->second;
  request.holds_id_ = ids_.insert(place.id).second;
  if (!request.holds_id_) {
    return Error(Reason::kInvalidArgument,
                 fmt::format("another request under way has the id {}", place.id),
                 {{"field", "id"}});
  }
  const bool alone = place.step == Step::kOperation && place.transaction == 0;
  if (draining_ && (alone || place.step == Step::kBegin)) {
    return Error(Reason::kUnavailable, "the server is stopping");
  }
  if (place.step == Step::kBegin) return PlaceBeginLocked(request);
  if (alone || known) return absl::OkStatus();
  if (place.transaction == 0) return WrongTransaction("commit and rollback name a transaction");
  return Error(Reason::kTransactionNotFound,
               fmt::format("the stream has no transaction {}", place.transaction),
               {{"transaction", fmt::format("{}", place.transaction)}});
}

Pipeline::Next Pipeline::Arrive(std::unique_ptr<StreamRequest> request) {
  base::MutexLock lock(mu_);
  if (ended_) return {.reading = Reading::kPause};
  StreamRequest* const arrived = request.release();
  ++requests_;
  request_bytes_ += arrived->place().size_bytes;
  arrived->refusal_ = PlaceLocked(*arrived);
  StreamStrand* const strand = arrived->strand_.get();
  if (strand != nullptr && std::exchange(strand->busy, true)) {
    strand->waiting.push_back(arrived);
  } else {
    ready_.push_back(arrived);
  }
  Next next;
  paused_ = requests_ >= limits_.requests || request_bytes_ >= limits_.request_bytes;
  if (paused_) next.reading = Reading::kPause;
  next.run_here = requests_ == 1 && runners_ == 0;
  if (next.run_here) {
    ++runners_;
  } else {
    StartRunnersLocked();
  }
  return next;
}

void Pipeline::RunHere() {
  StreamRequest* request = nullptr;
  {
    base::MutexLock lock(mu_);
    request = TakeLocked();
  }
  if (request == nullptr) return;
  const auto self = shared_from_this();
  RunOne(*request, PipelineStream::Thread::kMustNotBlock);
  base::MutexLock lock(mu_);
  --runners_;
  StartRunnersLocked();
}

StreamRequest* Pipeline::TakeLocked() {
  if (ready_.empty() || answer_bytes_ >= limits_.answer_bytes) {
    --runners_;
    return nullptr;
  }
  StreamRequest* const request = ready_.front();
  ready_.pop_front();
  return request;
}

void Pipeline::StartRunnersLocked() {
  if (answer_bytes_ >= limits_.answer_bytes) return;
  const auto wanted = std::min<size_t>(ready_.size(), static_cast<size_t>(limits_.threads));
  while (std::cmp_less(runners_, wanted)) {
    ++runners_;
    workers_.Schedule([self = shared_from_this()] { self->RunReady(); });
  }
}

void Pipeline::RunReady() {
  for (int i = 0; i < kBurst; ++i) {
    StreamRequest* request = nullptr;
    {
      base::MutexLock lock(mu_);
      request = TakeLocked();
    }
    if (request == nullptr) return;
    RunOne(*request, PipelineStream::Thread::kMayBlock);
  }
  workers_.Schedule([self = shared_from_this()] { self->RunReady(); });
}

void Pipeline::RunOne(StreamRequest& request, PipelineStream::Thread thread) {
  StreamTransaction transaction;
  absl::Status refusal = request.refusal_;
  if (request.strand_ != nullptr) {
    base::MutexLock lock(mu_);
    transaction = request.strand_->transaction;
    if (refusal.ok() && request.place().step != Step::kRollback) refusal = request.strand_->poison;
  }
  if (!refusal.ok()) return stream_.Refuse(request, refusal);
  stream_.Run(request, transaction, thread);
}

void Pipeline::EndStrandLocked(StreamStrand& strand) {
  strand.poison = absl::OkStatus();
  if (std::exchange(strand.ended, true)) return;
  --open_strands_;
  ended_strands_.push_back(strands_[strand.name]);
  if (ended_strands_.size() <= kMaxEndedStrands) return;
  const auto oldest = strands_.find(ended_strands_.front()->name);
  if (oldest != strands_.end() && oldest->second == ended_strands_.front()) strands_.erase(oldest);
  ended_strands_.pop_front();
}

void Pipeline::UpdateStrandLocked(StreamStrand& strand, const StreamRequest& request,
                                  const Result& result) {
  const Step step = request.place().step;
  if (result.status.ok() && step == Step::kBegin) strand.transaction = result.begun;
  if (result.fate == Result::Fate::kEnded) {
    EndStrandLocked(strand);
  } else if (!result.status.ok() && step != Step::kRollback && !strand.ended &&
             strand.poison.ok()) {
    strand.poison = PoisonOf(strand, request, result.status);
  }
}

void Pipeline::Done(StreamRequest& request, const Result& result) {
  const auto self = shared_from_this();
  const std::shared_ptr<StreamStrand> strand = request.strand_;
  {
    base::MutexLock lock(mu_);
    if (strand != nullptr) UpdateStrandLocked(*strand, request, result);
    // From now on the client may use it for another request.
    if (request.holds_id_) ids_.erase(request.place().id);
    request.answer_bytes_ = result.answer_bytes;
    answer_bytes_ += result.answer_bytes;
  }
  stream_.Send(std::unique_ptr<StreamRequest>(&request));
  if (strand == nullptr) return;
  // Not before, so that answers of a transaction leave in its order.
  base::MutexLock lock(mu_);
  strand->busy = !strand->waiting.empty();
  if (!strand->busy) return;
  ready_.push_back(strand->waiting.front());
  strand->waiting.pop_front();
  StartRunnersLocked();
}

void Pipeline::Written(const StreamRequest& request) {
  bool resume = false;
  std::optional<Open> left;
  {
    base::MutexLock lock(mu_);
    --requests_;
    request_bytes_ -= request.place().size_bytes;
    answer_bytes_ -= request.answer_bytes_;
    StartRunnersLocked();
    left = EndLocked();
    const bool room =
        requests_ <= limits_.requests / 2 && request_bytes_ <= limits_.request_bytes / 2;
    resume = room && !closed_ && !ended_ && std::exchange(paused_, false);
  }
  if (resume) stream_.Resume();
  if (left.has_value()) stream_.End(*std::move(left));
}

std::optional<Pipeline::Open> Pipeline::EndLocked() {
  const bool wanted = closed_ || (draining_ && open_strands_ == 0);
  if (!wanted || requests_ > 0 || std::exchange(ended_, true)) return std::nullopt;
  Open open;
  for (const auto& named : strands_) {
    if (!named.second->ended && !named.second->transaction.id.IsZero()) {
      open.push_back(named.second->transaction);
    }
  }
  return open;
}

void Pipeline::Close() {
  std::optional<Open> left;
  {
    base::MutexLock lock(mu_);
    closed_ = true;
    left = EndLocked();
  }
  if (left.has_value()) stream_.End(*std::move(left));
}

void Pipeline::Drain() {
  std::optional<Open> left;
  {
    base::MutexLock lock(mu_);
    draining_ = true;
    left = EndLocked();
  }
  if (left.has_value()) stream_.End(*std::move(left));
}

}  // namespace sop::session
