#pragma once

#include <functional>
#include <memory>
#include <utility>

#include "grpcpp/support/server_callback.h"
#include "server/load/intake.h"
#include "server/rpc/dispatcher.h"
#include "server/rpc/prompt_handler.h"

namespace sop::rpc {

// A unary call whose request is received under the eyes of the intake. Deletes itself when gRPC is
// done with it. Confined to the dispatcher and the intake.
template <typename Request, typename Response>
class WatchedCall : public grpc::ServerBidiReactor<Request, Response>,
                    public Call,
                    private load::Intake::Sender {
 public:
  using Handler = std::function<void(Call&, const Request&, Response&)>;
  // `handler` must outlive this.
  WatchedCall(Dispatcher& dispatcher, const grpc::CallbackServerContext& context,
              const Handler& handler)
      : Call(dispatcher, dispatcher.methods().ForRequest(Request::descriptor()),
             ArrivalOf(context, dispatcher.clock())),
        handler_(handler) {}

  // Call once.
  void Start() {
    const absl::Status room = scope().CheckCount();
    if (!room.ok()) return Complete(room);
    this->StartRead(&request_);
    intake().Enter(*this);
  }
  void Complete(const absl::Status& status) override {
    const grpc::Status end = scope().Conclude(status);
    if (!end.ok()) return this->Finish(end);
    this->StartWriteAndFinish(&response_, {}, end);
  }

  void OnReadDone(bool ok) override {
    if (!intake().Leave(*this)) return;
    if (!ok) {
      const absl::Status wanted = context().CheckWanted();
      return Complete(wanted.ok() ? NoRequest() : wanted);
    }
    const absl::Status admitted = scope().Admit(request_);
    if (!admitted.ok()) return Complete(admitted);
    RunInTurn(scope().BytesToMove(request_), [this] { handler_(*this, request_, response_); });
  }
  void OnCancel() override { context().Cancel(); }
  void OnDone() override {
    scope().Record(response_.GetCachedSize());
    delete this;
  }

 private:
  load::Intake& intake() { return scope().dispatcher().admission().intake(); }
  // OnReadDone, which follows, finds that it has left.
  void GiveUp() override { Complete(scope().RefuseIntake()); }

  const Handler& handler_;
  Request request_;
  Response response_;
};

// As Dispatcher::Unary, for methods whose requests may be large: those that are refused are not
// received, or not to their end. For gRPC it is a stream of one
// message each way, to be given to Service::MarkMethodStreamed; on the wire there is no difference.
// `dispatcher` must outlive it.
template <typename Request, typename Response>
grpc::internal::MethodHandler* Watched(Dispatcher& dispatcher,
                                       typename WatchedCall<Request, Response>::Handler handler) {
  using Streamed = grpc::internal::CallbackBidiHandler<Request, Response>;
  return new PromptHandler(std::make_unique<Streamed>(
      [&dispatcher, handler = std::move(handler)](grpc::CallbackServerContext* context) {
        auto* const call = new WatchedCall<Request, Response>(dispatcher, *context, handler);
        call->Start();
        return call;
      }));
}

}  // namespace sop::rpc
