#include "server/rpc/watch/watch_call.h"

#include <algorithm>
#include <utility>

#include "core/base/error.h"
#include "core/base/status_macros.h"
#include "server/convert/id.h"
#include "server/convert/key.h"
#include "server/rpc/operation/operations.h"
#include "server/rpc/operation/page_writer.h"

namespace sop::rpc {
namespace {

constexpr uint32_t kDefaultWatchBytes = 64 << 10;
constexpr uint32_t kMaxWatchBytes = 1 << 20;
// A message when memory is short.
constexpr int64_t kShortBytes = 16 << 10;
constexpr uint32_t kDefaultHeartbeatSeconds = 10;
constexpr uint32_t kMaxHeartbeatSeconds = 600;
// Feeds of a database are read together: a watch of a quiet store gives way after so much of the
// others'.
constexpr uint64_t kMostReadBytes = 8 << 20;
// What a change costs beside its bytes.
constexpr int64_t kChangeOverheadBytes = 128;

v1::ChangeKind KindToProto(txn::FeedKind kind) {
  switch (kind) {
    case txn::FeedKind::kAdded:
      return v1::CHANGE_KIND_ADDED;
    case txn::FeedKind::kUpdated:
      return v1::CHANGE_KIND_UPDATED;
    case txn::FeedKind::kRemoved:
      return v1::CHANGE_KIND_REMOVED;
    case txn::FeedKind::kKeyUpdated:
      return v1::CHANGE_KIND_KEY_UPDATED;
    case txn::FeedKind::kStoreRemoved:
      break;
  }
  return v1::CHANGE_KIND_STORE_REMOVED;
}

catalog::FeedStart StartOf(const v1::WatchRequest& request) {
  if (!request.position().empty()) return catalog::FeedFrom{request.position()};
  if (request.start() == v1::WATCH_START_OLDEST) return catalog::FeedOldest{};
  return catalog::FeedNow{};
}

}  // namespace

WatchCall::WatchCall(const OperationRunner::Parts& parts,
                     const grpc::CallbackServerContext& context, const v1::WatchRequest& request)
    : parts_(parts),
      request_(request),
      database_name_(request.database().empty() ? "default" : request.database()),
      scope_(parts.dispatcher,
             parts.dispatcher.methods().ForRequest(v1::WatchRequest::descriptor()), context) {
  absl::Status ready = Prepare();
  if (ready.ok()) ready = parts_.watches.Enter(*this);
  if (!ready.ok()) {
    End(ready);
    return;
  }
  Wake();
}

absl::Status WatchCall::Prepare() {
  SOP_RETURN_IF_ERROR(scope_.Admit(request_));
  SOP_ASSIGN_OR_RETURN(page_bytes_, CheckedSize("page_bytes", request_.page_bytes(),
                                                kDefaultWatchBytes, kMaxWatchBytes));
  SOP_ASSIGN_OR_RETURN(const uint32_t seconds,
                       CheckedSize("heartbeat_seconds", request_.heartbeat_seconds(),
                                   kDefaultHeartbeatSeconds, kMaxHeartbeatSeconds));
  heartbeat_ = absl::Seconds(seconds);
  SOP_ASSIGN_OR_RETURN(content_, ContentFromProto(request_.content()));
  if (content_ == catalog::ItemContent::kValues) {
    return Error(Reason::kInvalidArgument, "content is VALUES: changes are of keys",
                 {{"field", "content"}});
  }
  if (!v1::WatchStart_IsValid(request_.start())) {
    return Error(Reason::kInvalidArgument, "start is none that this server knows",
                 {{"field", "start"}});
  }
  return absl::OkStatus();
}

absl::Status WatchCall::Start() {
  SOP_ASSIGN_OR_RETURN(database_, parts_.databases.Acquire(request_.database()));
  scope_.context().counted = database_;
  catalog::FeedOptions options{
      .store = request_.store(), .start = StartOf(request_), .range = nullptr};
  if (request_.has_range()) {
    options.range = [this](const btree::KeySchema& schema) {
      return convert::RangeFromProto(request_.range(), schema);
    };
  }
  SOP_ASSIGN_OR_RETURN(feed_, catalog::StoreFeed::Open(*database_->engine, std::move(options)));
  listener_ = database_->engine->engine().feed_bell().Add(feed_->tree(), [this] { Wake(); });
  database_->metrics.operations->Increment();
  return absl::OkStatus();
}

void WatchCall::Wake() {
  {
    const base::MutexLock lock(mu_);
    if (ended_) return;
    rung_ = true;
    if (busy_) return;
    busy_ = true;
  }
  parts_.dispatcher.workers().Schedule([this] { MakeNext(); });
}

void WatchCall::MakeNext() {
  for (;;) {
    absl::StatusOr<Made> made = Make();
    if (!made.ok()) return End(made.status());
    if (*made == Made::kMessage) return StartWrite(&response_);
    if (*made == Made::kMore) {
      // Others' turn comes in between.
      parts_.dispatcher.workers().Schedule([this] { MakeNext(); });
      return;
    }
    const base::MutexLock lock(mu_);
    busy_ = rung_;
    if (!busy_) return;
  }
}

absl::StatusOr<WatchCall::Made> WatchCall::Make() {
  bool due = false;
  {
    const base::MutexLock lock(mu_);
    SOP_RETURN_IF_ERROR(stop_);
    rung_ = false;
    due = due_;
  }
  SOP_RETURN_IF_ERROR(scope_.context().CheckWanted());
  if (feed_ == nullptr) SOP_RETURN_IF_ERROR(Start());
  response_.Clear();
  SOP_RETURN_IF_ERROR(ReadChanges(TakeMemory()));
  if (response_.changes().empty() && !due) {
    scope_.HoldAnswer(0);
    return state_ == catalog::FeedState::kMore ? Made::kMore : Made::kNothing;
  }
  response_.set_position(feed_->position());
  response_.set_commit_version(convert::CommitVersion(feed_->reported()));
  response_.set_caught_up(state_ != catalog::FeedState::kMore);
  response_bytes_ = static_cast<int64_t>(response_.ByteSizeLong());
  scope_.HoldAnswer(response_bytes_);
  const base::MutexLock lock(mu_);
  due_ = false;
  sent_at_ = parts_.dispatcher.clock().Monotonic();
  return Made::kMessage;
}

int64_t WatchCall::TakeMemory() {
  scope_.HoldAnswer(0);
  if (scope_.GrowAnswer(page_bytes_)) return page_bytes_;
  // Nobody is told to come again in the middle of what he reads.
  const int64_t bytes = std::min(page_bytes_, kShortBytes);
  scope_.HoldAnswer(bytes);
  return bytes;
}

absl::Status WatchCall::ReadChanges(int64_t most_bytes) {
  int64_t bytes = 0;
  absl::Status failed;
  const auto sink = [&](const catalog::StoreChange& change) {
    if (bytes >= most_bytes) return false;
    const size_t value = content_ == catalog::ItemContent::kKeys ? 0 : change.item.value.size();
    bytes += kChangeOverheadBytes +
             static_cast<int64_t>(change.item.key.size() + change.item.ride_on.size() + value);
    failed = AddChange(change);
    return failed.ok();
  };
  SOP_ASSIGN_OR_RETURN(state_, feed_->Read(kMostReadBytes, sink));
  return failed;
}

absl::Status WatchCall::AddChange(const catalog::StoreChange& change) {
  v1::Change* const out = response_.add_changes();
  out->set_kind(KindToProto(change.kind));
  out->set_previous_version(change.previous.value);
  out->set_ordinal(change.ordinal);
  out->mutable_commit_time()->set_seconds(change.unix_ms / 1000);
  out->mutable_commit_time()->set_nanos(static_cast<int32_t>(change.unix_ms % 1000 * 1'000'000));
  out->set_position(change.position);
  out->mutable_item()->set_version(change.item.version);
  if (change.kind == txn::FeedKind::kStoreRemoved) return absl::OkStatus();
  out->set_value_size(change.value_size);
  const auto content =
      change.has_value == txn::FeedValue::kWhole ? content_ : catalog::ItemContent::kKeys;
  return ItemToProto(*feed_->schema(), content, change.item, out->mutable_item());
}

void WatchCall::OnWriteDone(bool ok) {
  sent_bytes_ += response_bytes_;
  if (!ok) return End(Error(Reason::kCancelled, "the stream is broken"));
  if (state_ == catalog::FeedState::kEnded) return End(absl::OkStatus());
  {
    const base::MutexLock lock(mu_);
    busy_ = rung_ || !stop_.ok() || state_ == catalog::FeedState::kMore;
    if (!busy_) {
      scope_.HoldAnswer(0);
      return;
    }
  }
  parts_.dispatcher.workers().Schedule([this] { MakeNext(); });
}

void WatchCall::OnCancel() {
  scope_.context().Cancel();
  Wake();
}

void WatchCall::Tick(absl::Duration now) {
  {
    const base::MutexLock lock(mu_);
    if (busy_ || now - sent_at_ < heartbeat_) return;
    due_ = true;
  }
  Wake();
}

void WatchCall::Stop(const absl::Status& why) {
  {
    const base::MutexLock lock(mu_);
    stop_.Update(why);
  }
  Wake();
}

void WatchCall::End(const absl::Status& status) {
  {
    const base::MutexLock lock(mu_);
    ended_ = true;
  }
  parts_.watches.Leave(*this);
  if (listener_ != 0) database_->engine->engine().feed_bell().Remove(listener_);
  feed_.reset();
  database_.reset();
  Finish(scope_.Conclude(status));
}

void WatchCall::OnDone() {
  scope_.Record(sent_bytes_);
  delete this;
}

}  // namespace sop::rpc
