#pragma once

#include <memory>
#include <utility>

#include "grpc/grpc.h"
#include "grpcpp/completion_queue.h"
#include "grpcpp/impl/call.h"
#include "grpcpp/impl/rpc_service_method.h"

namespace sop::rpc {

// A handler of gRPC's that goes on at once with what its first operation brings. The request of a
// stream is an event of its own: gRPC wakes one thread to take it from the queue, and that one
// another to run what waits for it, while this one looks for the next event. A request that is
// there already, as small ones are, is taken here instead: an Execute spares two changes of
// threads. Thread-safe.
class PromptHandler : public grpc::internal::MethodHandler {
 public:
  explicit PromptHandler(std::unique_ptr<grpc::internal::MethodHandler> handler)
      : handler_(std::move(handler)) {}

  void RunHandler(const HandlerParameter& call) override {
    // The queue outlives the call.
    grpc_completion_queue* const queue = call.call->cq()->cq();
    grpc_completion_queue_thread_local_cache_init(queue);
    handler_->RunHandler(call);
    void* tag = nullptr;
    int ok = 0;
    if (grpc_completion_queue_thread_local_cache_flush(queue, &tag, &ok) == 0) return;
    // As gRPC's own threads do with the events of its callback interface.
    auto* const event = static_cast<grpc_completion_queue_functor*>(tag);
    event->internal_success = ok;
    event->functor_run(event, ok);
  }

 private:
  const std::unique_ptr<grpc::internal::MethodHandler> handler_;
};

}  // namespace sop::rpc
