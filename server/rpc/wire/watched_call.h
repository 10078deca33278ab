#pragma once

#include <functional>
#include <utility>

#include "server/load/intake.h"
#include "server/rpc/dispatcher.h"
#include "server/rpc/wire/wire_call.h"

namespace sop::rpc {

// A unary call whose request is received under the eyes of the intake. Deletes itself when gRPC is
// done with it. Confined to the dispatcher and the intake.
template <typename Request, typename Response>
class WatchedCall : public WireCall, public Call, private load::Intake::Sender {
 public:
  using Handler = std::function<void(Call&, const Request&, Response&)>;
  // `handler` must outlive this.
  WatchedCall(Dispatcher& dispatcher, const Arrived& arrived, const Handler& handler)
      : WireCall(arrived),
        Call(dispatcher, dispatcher.methods().ForRequest(Request::descriptor()),
             ArrivalOf(grpc_context(), dispatcher.clock())),
        handler_(handler) {}

  // Call once.
  void Start() {
    Run([this] {
      const absl::Status room = scope().CheckCount();
      if (!room.ok()) return Complete(room);
      intake().Enter(*this);
      Read(read_, request_);
    });
  }
  void Complete(const absl::Status& status) override {
    Finish(response_, scope().Conclude(status));
  }

 private:
  ~WatchedCall() override = default;

  void OnRead(bool ok) override {
    if (!intake().Leave(*this)) return;
    if (!ok) {
      const absl::Status wanted = context().CheckWanted();
      return Complete(wanted.ok() ? NoRequest() : wanted);
    }
    const absl::Status admitted = scope().Admit(request_);
    if (!admitted.ok()) return Complete(admitted);
    const int64_t bytes = scope().BytesToMove(request_);
    // It may wait long for its turn.
    if (scope().IsHeavy(bytes)) AwaitCancel();
    RunInTurn(bytes, [this] { handler_(*this, request_, response_); });
  }
  void OnCancel() override { context().Cancel(); }
  void OnDone() override { scope().Record(response_.GetCachedSize()); }

  load::Intake& intake() { return scope().dispatcher().admission().intake(); }
  // OnRead, which follows, finds that it has left.
  void GiveUp() override { Complete(scope().RefuseIntake()); }

  const Handler& handler_;
  grpc::internal::CallOpSet<grpc::internal::CallOpRecvMessage<Request>> read_;
  Request request_;
  Response response_;
};

// As Dispatcher::Unary, for methods whose requests may be large: those that are refused are not
// received, or not to their end. For gRPC it is a stream of one message each way, to be given to
// Service::MarkMethodStreamed; on the wire there is no difference. `dispatcher` must outlive it.
// Thread-safe.
template <typename Request, typename Response>
class WatchedHandler : public grpc::internal::MethodHandler {
 public:
  using Handler = typename WatchedCall<Request, Response>::Handler;
  WatchedHandler(Dispatcher& dispatcher, Handler handler)
      : dispatcher_(dispatcher), handler_(std::move(handler)) {}

  void RunHandler(const HandlerParameter& arrived) override {
    (new WatchedCall<Request, Response>(dispatcher_, arrived, handler_))->Start();
  }

 private:
  Dispatcher& dispatcher_;
  const Handler handler_;
};

}  // namespace sop::rpc
