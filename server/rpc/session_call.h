#pragma once

#include <atomic>
#include <deque>
#include <memory>
#include <vector>

#include "core/base/mutex.h"
#include "server/rpc/operation_runner.h"
#include "server/rpc/transaction_calls.h"
#include "server/session/pipeline.h"
#include "sop/v1/transaction.grpc.pb.h"

namespace sop::rpc {

class SessionRequestCall;

// TransactionService.Session under way: reads requests, has the pipeline say when each may run,
// runs it as the unary call of the same request is run, writes answers as they come. Deletes itself
// when gRPC is done with it. Thread-safe.
class SessionCall : public grpc::ServerBidiReactor<v1::SessionRequest, v1::SessionResponse>,
                    private session::PipelineStream {
 public:
  // All must outlive this.
  struct Parts {
    Dispatcher& dispatcher;
    session::TransactionRegistry& transactions;
    OperationRunner& runner;
    TransactionCalls& calls;
  };
  SessionCall(const Parts& parts, const grpc::CallbackServerContext& context);
  ~SessionCall() override;

  // Lives longer than this if need be.
  const std::shared_ptr<session::Pipeline>& pipeline() const { return pipeline_; }
  // Reads the first request, or refuses the stream with `status`. Call once.
  void Start(const absl::Status& status);

  void OnReadDone(bool ok) override;
  void OnWriteDone(bool ok) override;
  void OnCancel() override;
  void OnDone() override;

 private:
  friend class SessionRequestCall;
  // A message that is read into.
  struct Slot;

  void Run(session::StreamRequest& request, const session::StreamTransaction& transaction,
           Thread thread) override;
  void Refuse(session::StreamRequest& request, const absl::Status& why) override;
  void Send(std::unique_ptr<session::StreamRequest> request) override SOP_EXCLUDES(mu_);
  void Resume() override;
  void End(std::vector<session::StreamTransaction> open) override;

  void ReadNext();
  // Answers `request` and tells the pipeline.
  void Complete(SessionRequestCall& request, const absl::Status& status);
  session::Pipeline::Result ResultOf(SessionRequestCall& request, const absl::Status& status);
  // Nobody reads answers any more.
  void Break();

  const Parts parts_;
  CallScope scope_;
  const std::shared_ptr<session::Pipeline> pipeline_;
  // Nobody waits for answers any more; requests under way see it, too.
  std::atomic<bool> cancelled_ = false;
  // The client has said all that it wants to say.
  std::atomic<bool> half_closed_ = false;

  // Of the reader.
  std::unique_ptr<Slot> slot_;

  base::Mutex mu_;
  // Answered; the first is being written.
  std::deque<std::unique_ptr<SessionRequestCall>> unsent_ SOP_GUARDED_BY(mu_);
  int64_t sent_bytes_ SOP_GUARDED_BY(mu_) = 0;
};

}  // namespace sop::rpc
