#pragma once

#include <atomic>
#include <functional>
#include <map>
#include <string>

#include "grpc/grpc.h"
#include "grpcpp/impl/call.h"
#include "grpcpp/impl/call_op_set.h"
#include "grpcpp/impl/rpc_service_method.h"
#include "grpcpp/server_context.h"
#include "grpcpp/support/callback_common.h"

namespace sop::rpc {

// The end of a call on both sides, awaited together with what else a batch does. With gRPC's own
// operations it is a batch of its own. Confined to its CallOpSet.
class CallOpReceiveClose {
 public:
  void ReceiveClose(int* cancelled) { cancelled_ = cancelled; }

 protected:
  void AddOp(grpc_op* operations, size_t* count) {
    if (cancelled_ == nullptr) return;
    grpc_op& operation = operations[(*count)++];
    operation = {};
    operation.op = GRPC_OP_RECV_CLOSE_ON_SERVER;
    operation.data.recv_close_on_server.cancelled = cancelled_;
  }
  // For interceptors, which a close is nothing to.
  using Interceptors = grpc::internal::InterceptorBatchMethodsImpl;
  void SetInterceptionHookPoint(Interceptors*) {}
  void SetFinishInterceptionHookPoint(Interceptors*) {}
  void SetHijackingState(Interceptors*) {}
  void FinishOp(bool*) {}

 private:
  int* cancelled_ = nullptr;
};

// A call of gRPC's with one request and one answer, which deletes itself when gRPC is done with it.
// gRPC's callback interface receives a request either before anybody can refuse it, or as a stream:
// then it wakes one thread to take the request from its queue, and another to end the call. This is
// the same over the operations below that interface, with fewer batches, and each goes on in the
// thread that brings it about: what is complete at once, such as a small request that is there
// already or an answer that the socket takes, never passes through the queue. To be started by a
// handler given to Service::MarkMethodStreamed. Thread-compatible.
class WireCall {
 public:
  using Arrived = grpc::internal::MethodHandler::HandlerParameter;

  explicit WireCall(const Arrived& arrived);
  WireCall(const WireCall&) = delete;
  WireCall& operator=(const WireCall&) = delete;

 protected:
  virtual ~WireCall() = default;

  const grpc::CallbackServerContext& grpc_context() const { return context_; }

  // Call once, first: `start` may read and finish.
  template <typename Start>
  void Run(Start start) {
    start();
    Release();
  }
  // From now on OnCancel may come. Call at most once, and not while somebody may finish. A call
  // that takes no time is cheaper without.
  void AwaitCancel();
  // OnRead follows, also after Finish. Call at most once.
  template <typename Request>
  void Read(grpc::internal::CallOpSet<grpc::internal::CallOpRecvMessage<Request>>& operations,
            Request& request);
  // OnDone follows when all is over. Call once. `answer` is not sent with an error.
  template <typename Response>
  void Finish(const Response& answer, const grpc::Status& status);

  // False if there is no request that can be read.
  virtual void OnRead(bool ok) = 0;
  // The caller is gone, or does not wait any more.
  virtual void OnCancel() = 0;
  virtual void OnDone() = 0;

 private:
  using Answer =
      grpc::internal::CallOpSet<grpc::internal::CallOpSendInitialMetadata,
                                grpc::internal::CallOpSendMessage,
                                grpc::internal::CallOpServerSendStatus, CallOpReceiveClose>;
  // Comes when the call has ended on both sides, if that was not awaited with the answer.
  struct Close : grpc_completion_queue_functor {
    WireCall* call = nullptr;
    int cancelled = 0;
  };

  void Hold() { held_.fetch_add(1, std::memory_order_relaxed); }
  // Deletes this if nobody else holds it.
  void Release();

  // Starts operations, and goes on at once with the first event that this brings about, which may
  // be another call's: that one in turn no deeper than kDepth.
  template <typename Operations>
  void Perform(Operations& operations) {
    // A call reads, and finishes while it reads.
    constexpr int kDepth = 2;
    if (depth_ >= kDepth) return call_.PerformOps(&operations);
    // The queue outlives the call.
    grpc_completion_queue* const queue = call_.cq()->cq();
    grpc_completion_queue_thread_local_cache_init(queue);
    call_.PerformOps(&operations);
    GoOn(queue);
  }
  static void GoOn(grpc_completion_queue* queue);

  // Events that the calling thread is going on with.
  static thread_local int depth_;

  const grpc::CallbackServerContext& context_;
  grpc::internal::Call call_;
  const std::function<void()> request_next_;
  // By Run, and until Finish is through.
  std::atomic<int> held_{2};
  bool awaits_cancel_ = false;
  Close close_;
  grpc::internal::CallbackWithSuccessTag read_;
  Answer answer_;
  grpc::internal::CallbackWithSuccessTag answered_;
  std::multimap<std::string, std::string> no_metadata_;
};

template <typename Request>
void WireCall::Read(
    grpc::internal::CallOpSet<grpc::internal::CallOpRecvMessage<Request>>& operations,
    Request& request) {
  Hold();
  read_.Set(
      call_.call(),
      [this](bool ok) {
        OnRead(ok);
        Release();
      },
      &operations, /*can_inline=*/true);
  operations.set_core_cq_tag(&read_);
  operations.RecvMessage(&request);
  Perform(operations);
}

template <typename Response>
void WireCall::Finish(const Response& answer, const grpc::Status& status) {
  answered_.Set(
      call_.call(), [this](bool) { Release(); }, &answer_, /*can_inline=*/true);
  answer_.set_core_cq_tag(&answered_);
  if (!awaits_cancel_) answer_.ReceiveClose(&close_.cancelled);
  answer_.SendInitialMetadata(&no_metadata_, 0);
  if (status.ok()) {
    answer_.ServerSendStatus(&no_metadata_, answer_.SendMessagePtr(&answer));
  } else {
    answer_.ServerSendStatus(&no_metadata_, status);
  }
  Perform(answer_);
}

}  // namespace sop::rpc
