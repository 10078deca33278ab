#pragma once

#include <atomic>
#include <cstdint>
#include <string>
#include <utility>

#include "absl/functional/any_invocable.h"
#include "absl/status/status.h"
#include "core/base/clock.h"
#include "core/base/thread_pool.h"
#include "google/protobuf/message.h"
#include "grpcpp/support/server_callback.h"
#include "server/observe/metrics.h"
#include "server/rpc/authorizer.h"
#include "server/rpc/method_table.h"
#include "server/rpc/operation/request_context.h"

namespace sop::rpc {

class UnaryCall;

// What every call passes through, once: context, size, load and permission before the handler,
// status, metrics and log after it. Everything named in Parts must outlive it, and it every call.
// Thread-safe.
class Dispatcher {
 public:
  // Our message limit; the transport accepts more, so that this check can answer.
  static constexpr int64_t kMaxMessageBytes = 4 << 20;

  struct Parts {
    const MethodTable& methods;
    Authorizer& authorizer;
    observe::Metrics& metrics;
    // Runs long work.
    base::ThreadPool& workers;
    base::Clock& clock;
    int64_t max_requests_in_flight = 10'000;
  };
  explicit Dispatcher(const Parts& parts) : parts_(parts) {}

  // Answers a unary call. `handler(call, request, response)` runs on the calling thread, must not
  // block, and sees to it that call.Complete is called once, from any thread; `request` and
  // `response` live until then.
  template <typename Request, typename Response, typename Handler>
  grpc::ServerUnaryReactor* Unary(grpc::CallbackServerContext* context, const Request* request,
                                  Response* response, Handler&& handler);

  const MethodTable& methods() const { return parts_.methods; }
  base::ThreadPool& workers() const { return parts_.workers; }
  base::Clock& clock() const { return parts_.clock; }
  observe::Metrics& metrics() const { return parts_.metrics; }
  Authorizer& authorizer() const { return parts_.authorizer; }

 private:
  friend class CallScope;

  const Parts parts_;
  std::atomic<int64_t> in_flight_ = 0;
};

// One call of any shape, from its arrival until it is finished: the context, and what the
// dispatcher does before and after. Confined to its reactor.
class CallScope {
 public:
  CallScope(Dispatcher& dispatcher, const Method& method,
            const grpc::CallbackServerContext& grpc_context);
  ~CallScope();
  CallScope(const CallScope&) = delete;
  CallScope& operator=(const CallScope&) = delete;

  RequestContext& context() { return context_; }
  Dispatcher& dispatcher() { return dispatcher_; }

  // OVERLOADED, MESSAGE_TOO_LARGE, or what the authorizer says. Fills in database and store.
  template <typename Request>
  absl::Status Admit(const Request& request) {
    if constexpr (requires { request.database(); }) context_.database = request.database();
    if constexpr (requires { request.store(); }) context_.store = request.store();
    return AdmitMessage(request);
  }

  // The status to finish the call with. Call once, right before Finish.
  grpc::Status Conclude(const absl::Status& status);
  // Counts and logs the call. Call once, after it is finished.
  void Record(int64_t response_bytes);

 private:
  absl::Status AdmitMessage(const google::protobuf::Message& request);

  Dispatcher& dispatcher_;
  RequestContext context_;
  absl::Status outcome_;
  int64_t request_bytes_ = 0;
};

// A unary call under way. Deletes itself when gRPC is done with it. Confined to the dispatcher but
// for Complete, which may come from any thread.
class UnaryCall : public grpc::ServerUnaryReactor {
 public:
  UnaryCall(Dispatcher& dispatcher, const Method& method,
            const grpc::CallbackServerContext& grpc_context,
            const google::protobuf::Message& response)
      : scope_(dispatcher, method, grpc_context), response_(response) {}

  RequestContext& context() { return scope_.context(); }
  CallScope& scope() { return scope_; }

  // Answers the caller. The call, its request and its response must not be touched afterwards.
  void Complete(const absl::Status& status) { Finish(scope_.Conclude(status)); }

  // Runs `work` on a thread that may block, unless nobody waits for the answer any more.
  void RunOnWorker(absl::AnyInvocable<absl::Status()> work);

  void OnCancel() override { scope_.context().Cancel(); }
  void OnDone() override;

 private:
  CallScope scope_;
  const google::protobuf::Message& response_;
};

template <typename Request, typename Response, typename Handler>
grpc::ServerUnaryReactor* Dispatcher::Unary(grpc::CallbackServerContext* context,
                                            const Request* request, Response* response,
                                            Handler&& handler) {
  auto* call =
      new UnaryCall(*this, parts_.methods.ForRequest(Request::descriptor()), *context, *response);
  const absl::Status admitted = call->scope().Admit(*request);
  if (!admitted.ok()) {
    call->Complete(admitted);
  } else {
    std::forward<Handler>(handler)(*call, *request, *response);
  }
  return call;
}

}  // namespace sop::rpc
