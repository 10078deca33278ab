#include "server/rpc/dispatcher.h"

#include <memory>
#include <string_view>
#include <utility>

#include "core/base/bytes.h"
#include "core/base/error.h"
#include "core/base/status_macros.h"
#include "fmt/format.h"
#include "server/convert/id.h"
#include "server/observe/log.h"
#include "server/observe/trace_parent.h"
#include "server/session/open_database.h"
#include "server/status/wire_status.h"

namespace sop::rpc {
namespace {

// The deadline of the call on the monotonic time of `clock`.
absl::Duration DeadlineOf(const grpc::CallbackServerContext& context, base::Clock& clock) {
  const auto deadline = context.deadline();
  if (deadline == std::chrono::system_clock::time_point::max()) return absl::InfiniteDuration();
  return clock.Monotonic() + absl::FromChrono(deadline - std::chrono::system_clock::now());
}

std::string TraceIdOf(const grpc::CallbackServerContext& context) {
  const auto found = context.client_metadata().find("traceparent");
  if (found == context.client_metadata().end()) return "";
  return observe::TraceIdOf({found->second.data(), found->second.size()});
}

// Whether operators, not only the caller, should hear of it.
bool IsOurs(absl::StatusCode code) {
  return code == absl::StatusCode::kInternal || code == absl::StatusCode::kDataLoss ||
         code == absl::StatusCode::kUnknown;
}

load::Admission::Shape ShapeOf(const Method& method, const Arrival& arrival) {
  if (arrival.part == Arrival::Part::kOfStream) return load::Admission::Shape::kPartOfStream;
  return method.streams ? load::Admission::Shape::kStream : load::Admission::Shape::kRequest;
}

}  // namespace

Arrival ArrivalOf(const grpc::CallbackServerContext& context, base::Clock& clock) {
  return {.deadline = DeadlineOf(context, clock), .trace_id = TraceIdOf(context)};
}

CallScope::CallScope(Dispatcher& dispatcher, const Method& method, Arrival arrival)
    : dispatcher_(dispatcher),
      context_(method, dispatcher.clock(), arrival.deadline),
      admitted_(dispatcher.parts_.admission, ShapeOf(method, arrival)) {
  context_.trace_id = std::move(arrival.trace_id);
  context_.place = &admitted_;
  dispatcher_.metrics().requests_in_flight().Increment();
}

CallScope::~CallScope() { dispatcher_.metrics().requests_in_flight().Decrement(); }

absl::Status CallScope::AdmitMessage(const google::protobuf::Message& request) {
  SOP_RETURN_IF_ERROR(CheckPart(request));
  SOP_RETURN_IF_ERROR(admitted_.Enter(static_cast<int64_t>(request.ByteSizeLong())));
  SOP_RETURN_IF_ERROR(context_.CheckWanted());
  return dispatcher_.authorizer().Check(context_, context_.method().permission);
}

absl::Status CallScope::CheckPart(const google::protobuf::Message& request) {
  const auto size = static_cast<int64_t>(request.ByteSizeLong());
  request_bytes_ += size;
  if (size > Dispatcher::kMaxMessageBytes) {
    const std::string& twin = context_.method().streaming_call;
    return Error(
        Reason::kMessageTooLarge,
        fmt::format("message of {} has {} bytes, limit {}; {}", context_.method().name, size,
                    Dispatcher::kMaxMessageBytes,
                    twin.empty() ? "send it in several messages" : "use the stream " + twin),
        {{"limit", fmt::format("{}", Dispatcher::kMaxMessageBytes)},
         {"size", fmt::format("{}", size)},
         {"use", twin.empty() ? "several messages" : twin}});
  }
  return absl::OkStatus();
}

void CallScope::Note(const absl::Status& status) {
  outcome_ = status;
  // Until it is sent, which may take a slow reader long.
  const int64_t answer = Dispatcher::kMaxMessageBytes - context_.response_budget_bytes;
  if (answer > 0) admitted_.HoldAnswer(answer);
  admitted_.Answered();
}

grpc::Status CallScope::Conclude(const absl::Status& status) {
  Note(status);
  return status::ToGrpcStatus(status);
}

void CallScope::Record(int64_t response_bytes) {
  const absl::Duration took = context_.age();
  if (context_.counted != nullptr) {
    context_.counted->metrics.bytes->Increment(
        static_cast<double>(request_bytes_ + response_bytes));
  }
  context_.method().metrics->Finished({.code = outcome_.code(),
                                       .took = took,
                                       .request_bytes = request_bytes_,
                                       .response_bytes = response_bytes});
  if (took >= dispatcher_.parts_.slow_operation && !context_.method().streams) LogSlow(took);
  auto level = config::LogLevel::kDebug;
  if (IsOurs(outcome_.code())) level = config::LogLevel::kError;
  if (!observe::LogEnabled(level)) return;
  observe::Log(level, "call finished",
               {{"method", context_.method().name},
                {"database", base::Printable(context_.database)},
                {"store", base::Printable(context_.store)},
                {"code", absl::StatusCodeToString(outcome_.code())},
                {"reason", std::string(ReasonName(ReasonOf(outcome_)))},
                {"message", std::string(outcome_.message())},
                {"ms", fmt::format("{:.3f}", absl::ToDoubleMilliseconds(took))},
                {"trace", context_.trace_id}});
}

void CallScope::NoteCommit(const txn::CommitResult& result) {
  context_.commit_times = result.times;
  if (ReasonOf(result.status) != Reason::kConflict || context_.counted == nullptr) return;
  for (const auto& detail : DetailsOf(result.status)) {
    if (detail.first != "store") continue;
    dispatcher_.metrics().CountConflict(context_.counted->name, detail.second);
  }
}

void CallScope::LogSlow(absl::Duration took) const {
  dispatcher_.metrics().slow_operations().Increment();
  if (!observe::LogEnabled(config::LogLevel::kWarning)) return;
  const auto millis = [](int64_t nanos) {
    return fmt::format("{:.3f}", static_cast<double>(nanos) / 1e6);
  };
  const auto stage = [&](txn::CommitStage at) {
    return millis(context_.commit_times[static_cast<size_t>(at)]);
  };
  const auto request_id = convert::RequestIdFromProto(context_.request_id);
  const bool has_id = request_id.ok() && !request_id->IsZero();
  observe::Log(config::LogLevel::kWarning, "slow operation",
               {{"method", context_.method().name},
                {"database", base::Printable(context_.database)},
                {"store", base::Printable(context_.store)},
                {"keys", fmt::format("{}", context_.keys)},
                {"bytes", fmt::format("{}", request_bytes_)},
                {"ms", millis(absl::ToInt64Nanoseconds(took))},
                {"queue_ms", stage(txn::CommitStage::kQueue)},
                {"validate_ms", stage(txn::CommitStage::kValidate)},
                {"apply_ms", stage(txn::CommitStage::kApply)},
                {"write_ms", stage(txn::CommitStage::kWrite)},
                {"publish_ms", stage(txn::CommitStage::kPublish)},
                {"code", absl::StatusCodeToString(outcome_.code())},
                {"reason", std::string(ReasonName(ReasonOf(outcome_)))},
                {"request_id", has_id ? request_id->ToString() : std::string()},
                {"trace", context_.trace_id}});
}

absl::Status Call::NoRequest() {
  return Error(Reason::kInvalidArgument, "the call has no message that can be read");
}

void Call::RunOnWorker(absl::AnyInvocable<absl::Status()> work) {
  if (thread_ == Thread::kMayBlock) {
    const absl::Status wanted = context().CheckWanted();
    return Complete(wanted.ok() ? work() : wanted);
  }
  scope_.dispatcher().workers().Schedule([this, work = std::move(work)]() mutable {
    const absl::Status wanted = context().CheckWanted();
    Complete(wanted.ok() ? work() : wanted);
  });
}

void UnaryCall::OnDone() {
  // The answer was serialised by now, so its size is known without another walk.
  scope().Record(response_.GetCachedSize());
  delete this;
}

}  // namespace sop::rpc
