#include "server/rpc/dispatcher.h"

#include <memory>
#include <string_view>
#include <utility>

#include "core/base/bytes.h"
#include "core/base/error.h"
#include "core/base/status_macros.h"
#include "fmt/format.h"
#include "server/observe/log.h"
#include "server/session/open_database.h"
#include "server/status/wire_status.h"

namespace sop::rpc {
namespace {

constexpr absl::Duration kSlowCall = absl::Seconds(2);

// The deadline of the call on the monotonic time of `clock`.
absl::Duration DeadlineOf(const grpc::CallbackServerContext& context, base::Clock& clock) {
  const auto deadline = context.deadline();
  if (deadline == std::chrono::system_clock::time_point::max()) return absl::InfiniteDuration();
  return clock.Monotonic() + absl::FromChrono(deadline - std::chrono::system_clock::now());
}

// The trace id of a W3C `traceparent`: 00-<32 digits>-<16 digits>-<2 digits>.
std::string TraceIdOf(const grpc::CallbackServerContext& context) {
  const auto found = context.client_metadata().find("traceparent");
  if (found == context.client_metadata().end()) return "";
  const std::string_view text(found->second.data(), found->second.size());
  if (text.size() != 55 || text[2] != '-' || text[35] != '-') return "";
  const std::string_view id = text.substr(3, 32);
  if (id.find_first_not_of("0123456789abcdef") != std::string_view::npos) return "";
  return std::string(id);
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
  dispatcher_.metrics().requests_in_flight().Increment();
}

CallScope::~CallScope() { dispatcher_.metrics().requests_in_flight().Decrement(); }

absl::Status CallScope::AdmitMessage(const google::protobuf::Message& request) {
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
  SOP_RETURN_IF_ERROR(admitted_.Enter(size));
  SOP_RETURN_IF_ERROR(context_.CheckWanted());
  return dispatcher_.authorizer().Check(context_, context_.method().permission);
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
  auto level = config::LogLevel::kDebug;
  if (took > kSlowCall) level = config::LogLevel::kInfo;
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
