#pragma once

#include <algorithm>
#include <cstdint>
#include <string>
#include <utility>

#include "absl/functional/any_invocable.h"
#include "absl/status/status.h"
#include "core/base/clock.h"
#include "core/base/thread_pool.h"
#include "core/txn/engine.h"
#include "google/protobuf/message.h"
#include "grpcpp/support/server_callback.h"
#include "server/load/admission.h"
#include "server/observe/metrics.h"
#include "server/rpc/authorizer.h"
#include "server/rpc/method_table.h"
#include "server/rpc/operation/request_context.h"

namespace sop::rpc {

class Call;

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
    load::Admission& admission;
    // What takes longer is logged; streams are not, which take as long as their readers.
    absl::Duration slow_operation = absl::Seconds(1);
  };
  explicit Dispatcher(const Parts& parts) : parts_(parts) {}

  // Answers a unary call. `handler(Call&, request, response)` runs on the calling thread, must not
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
  load::Admission& admission() const { return parts_.admission; }
  // Whose thread commits: a request that is alone in the server spares itself two hand-offs. Among
  // others it must not keep one of gRPC's few threads waiting for the disk.
  txn::CommitTurn commit_turn() const {
    return parts_.admission.requests() <= 1 ? txn::CommitTurn::kCaller : txn::CommitTurn::kPool;
  }

 private:
  friend class CallScope;

  const Parts parts_;
};

// How long a caller waits, on the dispatcher's monotonic time, and what it is traced by.
struct Arrival {
  absl::Duration deadline = absl::InfiniteDuration();
  // As RequestContext::trace_id.
  std::string trace_id;
  enum class Part { kWhole, kOfStream };
  Part part = Part::kWhole;
};
Arrival ArrivalOf(const grpc::CallbackServerContext& context, base::Clock& clock);

// One call of any shape, or one request of a stream, from its arrival until it is finished: the
// context, and what the dispatcher does before and after. Confined to its reactor.
class CallScope {
 public:
  CallScope(Dispatcher& dispatcher, const Method& method, Arrival arrival);
  CallScope(Dispatcher& dispatcher, const Method& method,
            const grpc::CallbackServerContext& grpc_context)
      : CallScope(dispatcher, method, ArrivalOf(grpc_context, dispatcher.clock())) {}
  ~CallScope();
  CallScope(const CallScope&) = delete;
  CallScope& operator=(const CallScope&) = delete;

  RequestContext& context() { return context_; }
  Dispatcher& dispatcher() { return dispatcher_; }

  // OVERLOADED, MESSAGE_TOO_LARGE, or what the authorizer says. Fills in database and store; a
  // request that names no database is for the one that is filled in already.
  template <typename Request>
  absl::Status Admit(const Request& request) {
    if constexpr (requires { request.database(); }) {
      if (!request.database().empty()) context_.database = request.database();
    }
    if constexpr (requires { request.store(); }) context_.store = request.store();
    if constexpr (requires { request.request_id(); }) context_.request_id = request.request_id();
    if constexpr (requires { request.keys(); }) context_.keys = request.keys_size();
    if constexpr (requires { request.items(); }) context_.keys = request.items_size();
    if constexpr (requires { request.operations(); }) context_.keys = request.operations_size();
    return AdmitMessage(request);
  }

  // A further message of a stream that was admitted: MESSAGE_TOO_LARGE.
  absl::Status CheckPart(const google::protobuf::Message& message);

  // Notes how a commit for the call went, a lost one too.
  void NoteCommit(const txn::CommitResult& result);
  // Notes how the call ends. Call once, right before the answer is sent.
  void Note(const absl::Status& status);
  // Notes it and returns the status to finish the call with.
  grpc::Status Conclude(const absl::Status& status);
  // Bytes that the request and its answer move, as far as that is known before. Nothing for a
  // request of a transaction: they run in order of arrival, one at a time, so that none may wait
  // for others.
  template <typename Request>
  int64_t BytesToMove(const Request& request) const {
    if constexpr (requires { request.transaction_id(); }) {
      if (!request.transaction_id().empty()) return 0;
    }
    int64_t answer = 0;
    if constexpr (
        requires { request.page_size(); } && requires { request.page_bytes(); }) {
      answer = std::min<int64_t>(request.page_bytes() == 0 ? kUsualPageBytes : request.page_bytes(),
                                 int64_t{request.page_size()} * kUsualItemBytes);
    }
    return request_bytes_ + answer;
  }

  // As load::Admitted has them.
  bool IsHeavy(int64_t bytes) const { return admitted_.IsHeavy(bytes); }
  absl::Status WaitForTurn(int64_t bytes, absl::AnyInvocable<void()> work) {
    return admitted_.WaitForTurn(bytes, std::move(work));
  }
  void HoldAnswer(int64_t bytes) { admitted_.HoldAnswer(bytes); }
  absl::Status CheckCount() { return admitted_.CheckCount(); }
  absl::Status RefuseIntake() { return admitted_.RefuseIntake(); }
  bool GrowAnswer(int64_t bytes) { return admitted_.GrowAnswer(bytes); }
  absl::Status RefuseAnswer() { return admitted_.RefuseAnswer(); }
  // Counts and logs the call. Call once, after it is finished.
  void Record(int64_t response_bytes);

 private:
  // What a page is taken to hold before it is made.
  static constexpr int64_t kUsualPageBytes = 1 << 20;
  static constexpr int64_t kUsualItemBytes = 1 << 10;

  void LogSlow(absl::Duration took) const;
  absl::Status AdmitMessage(const google::protobuf::Message& request);

  Dispatcher& dispatcher_;
  RequestContext context_;
  load::Admitted admitted_;
  absl::Status outcome_;
  int64_t request_bytes_ = 0;
};

// A request under way that will be answered once: a unary call, or one of the requests of a stream.
// What handlers see of it. Confined to the dispatcher but for Complete, which may come from any
// thread.
class Call {
 public:
  // Which threads the handler runs on.
  enum class Thread { kMustNotBlock, kMayBlock };

  Call(Dispatcher& dispatcher, const Method& method, Arrival arrival)
      : scope_(dispatcher, method, std::move(arrival)) {}
  virtual ~Call() = default;
  Call(const Call&) = delete;
  Call& operator=(const Call&) = delete;

  RequestContext& context() { return scope_.context(); }
  CallScope& scope() { return scope_; }
  Thread thread() const { return thread_; }

  // Answers the caller. The call, its request and its response must not be touched afterwards.
  virtual void Complete(const absl::Status& status) = 0;

  // Runs `work`, which is the handler's: now, or on a worker when it is its turn if it moves many
  // `bytes`. Completes the call if too many wait.
  template <typename Work>
  void RunInTurn(int64_t bytes, Work work) {
    if (!scope_.IsHeavy(bytes)) return work();
    const absl::Status waits = scope_.WaitForTurn(bytes, [this, work = std::move(work)]() mutable {
      scope_.dispatcher().workers().Schedule(std::move(work));
    });
    if (!waits.ok()) Complete(waits);
  }

  // INVALID_ARGUMENT for a call that has ended before its request.
  static absl::Status NoRequest();

  // Runs `work` on a thread that may block, and completes the call with what it returns, unless
  // nobody waits for the answer any more.
  void RunOnWorker(absl::AnyInvocable<absl::Status()> work);

 protected:
  void set_thread(Thread thread) { thread_ = thread; }

 private:
  CallScope scope_;
  Thread thread_ = Thread::kMustNotBlock;
};

// A unary call under way. Deletes itself when gRPC is done with it. Confined to the dispatcher.
class UnaryCall : public grpc::ServerUnaryReactor, public Call {
 public:
  UnaryCall(Dispatcher& dispatcher, const Method& method,
            const grpc::CallbackServerContext& grpc_context,
            const google::protobuf::Message& response)
      : Call(dispatcher, method, ArrivalOf(grpc_context, dispatcher.clock())),
        response_(response) {}

  void Complete(const absl::Status& status) override { Finish(scope().Conclude(status)); }

  void OnCancel() override { context().Cancel(); }
  void OnDone() override;
  // Neither waits for anything: gRPC need not wake another thread for them.
  bool InternalInlineable() override { return true; }

 private:
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
    call->RunInTurn(call->scope().BytesToMove(*request),
                    [call, request, response, handler = std::forward<Handler>(handler)]() mutable {
                      handler(*call, *request, *response);
                    });
  }
  return call;
}

}  // namespace sop::rpc
