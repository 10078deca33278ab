#include "server/rpc/wire/wire_call.h"

#include <utility>

#include "core/base/check.h"

namespace sop::rpc {

thread_local int WireCall::depth_ = 0;

WireCall::WireCall(const Arrived& arrived)
    : context_(static_cast<const grpc::CallbackServerContext&>(*arrived.server_context)),
      call_(*arrived.call),
      request_next_(arrived.call_requester) {
  close_.call = this;
  close_.inlineable = 1;
  close_.functor_run = [](grpc_completion_queue_functor* event, int) {
    auto* const close = static_cast<Close*>(event);
    if (close->cancelled != 0) close->call->OnCancel();
    close->call->Release();
  };
}

void WireCall::AwaitCancel() {
  awaits_cancel_ = true;
  Hold();
  grpc_op operation = {};
  operation.op = GRPC_OP_RECV_CLOSE_ON_SERVER;
  operation.data.recv_close_on_server.cancelled = &close_.cancelled;
  const grpc_call_error error =
      grpc_call_start_batch(call_.call(), &operation, 1, &close_, nullptr);
  SOP_CHECK(error == GRPC_CALL_OK);
}

void WireCall::Release() {
  if (held_.fetch_sub(1, std::memory_order_acq_rel) > 1) return;
  OnDone();
  const std::function<void()> request_next = request_next_;
  delete this;
  // Lets go of the context and with it of the call.
  request_next();
}

void WireCall::GoOn(grpc_completion_queue* queue) {
  void* tag = nullptr;
  int ok = 0;
  if (grpc_completion_queue_thread_local_cache_flush(queue, &tag, &ok) == 0) return;
  // As gRPC's own threads do with the events of its callback interface.
  auto* const event = static_cast<grpc_completion_queue_functor*>(tag);
  event->internal_success = ok;
  ++depth_;
  event->functor_run(event, ok);
  --depth_;
}

}  // namespace sop::rpc
