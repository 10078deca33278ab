#include "server/rpc/session_call.h"

#include <algorithm>
#include <utility>

#include "core/base/error.h"
#include "core/base/status_macros.h"
#include "fmt/format.h"
#include "google/protobuf/arena.h"
#include "server/convert/id.h"
#include "server/rpc/operation/operation_visitor.h"
#include "server/rpc/operation/transaction_options.h"
#include "server/status/wire_status.h"

namespace sop::rpc {
namespace {

using session::Pipeline;
using session::StreamRequest;
using Result = Pipeline::Result;

StreamRequest::Step StepOf(const v1::SessionRequest& request) {
  switch (request.request_case()) {
    case v1::SessionRequest::kBegin:
      return StreamRequest::Step::kBegin;
    case v1::SessionRequest::kCommit:
      return StreamRequest::Step::kCommit;
    case v1::SessionRequest::kRollback:
      return StreamRequest::Step::kRollback;
    default:
      return StreamRequest::Step::kOperation;
  }
}

// The rpc whose request it holds; Session itself if it holds none.
const Method& MethodOf(const MethodTable& methods, const v1::SessionRequest& request) {
  const google::protobuf::Message* message = &request;
  switch (request.request_case()) {
    case v1::SessionRequest::kBegin:
      return methods.ForRequest(v1::BeginRequest::descriptor());
    case v1::SessionRequest::kCommit:
      return methods.ForRequest(v1::CommitRequest::descriptor());
    case v1::SessionRequest::kRollback:
      return methods.ForRequest(v1::RollbackRequest::descriptor());
    case v1::SessionRequest::kOperation: {
      const v1::Operation& operation = request.operation();
      const auto* oneof = v1::Operation::descriptor()->oneof_decl(0);
      const auto* field = operation.GetReflection()->GetOneofFieldDescriptor(operation, oneof);
      if (field == nullptr) break;
      return methods.ForRequest(field->message_type());
    }
    case v1::SessionRequest::REQUEST_NOT_SET:
      break;
  }
  return methods.ForRequest(message->GetDescriptor());
}

}  // namespace

struct SessionCall::Slot {
  google::protobuf::Arena arena;
  v1::SessionRequest* request = google::protobuf::Arena::CreateMessage<v1::SessionRequest>(&arena);

  // Memory that the message takes: what is in it, and the objects around that.
  int64_t size_bytes() const {
    return static_cast<int64_t>(arena.SpaceUsed() + request->ByteSizeLong());
  }
};

// One request of a session.
class SessionRequestCall : public StreamRequest, public Call {
 public:
  SessionRequestCall(SessionCall& session, std::unique_ptr<SessionCall::Slot> slot, Arrival arrival)
      : StreamRequest({.id = slot->request->id(),
                       .transaction = slot->request->transaction(),
                       .step = StepOf(*slot->request),
                       .size_bytes = slot->size_bytes()}),
        Call(session.parts_.dispatcher,
             MethodOf(session.parts_.dispatcher.methods(), *slot->request), std::move(arrival)),
        session_(session),
        slot_(std::move(slot)),
        response_(google::protobuf::Arena::CreateMessage<v1::SessionResponse>(&slot_->arena)) {
    context().CancelWith(session.cancelled_);
  }

  void Complete(const absl::Status& status) override { session_.Complete(*this, status); }

  // In the transaction of the stream, if there is one.
  void Run(const session::StreamTransaction& transaction, Thread thread);

  v1::SessionResponse& response() { return *response_; }
  const v1::SessionRequest& request() const { return *slot_->request; }

 private:
  template <typename Request>
  bool Admit(const Request& request) {
    const absl::Status admitted = scope().Admit(request);
    if (!admitted.ok()) Complete(admitted);
    return admitted.ok();
  }
  void RunOperation();

  SessionCall& session_;
  const std::unique_ptr<SessionCall::Slot> slot_;
  v1::SessionResponse* const response_;
};

void SessionRequestCall::Run(const session::StreamTransaction& transaction, Thread thread) {
  set_thread(thread);
  context().database = transaction.database;
  context().transaction = transaction.id;
  TransactionCalls& calls = session_.parts_.calls;
  switch (request().request_case()) {
    case v1::SessionRequest::kBegin:
      if (!Admit(request().begin())) return;
      return calls.Begin(*this, request().begin(), *response_->mutable_begin());
    case v1::SessionRequest::kCommit:
      if (!Admit(request().commit())) return;
      return calls.Commit(*this, request().commit(), *response_->mutable_commit());
    case v1::SessionRequest::kRollback:
      if (!Admit(request().rollback())) return;
      // Its begin failed: there is nothing to undo.
      if (transaction.id.IsZero()) {
        response_->mutable_rollback();
        return Complete(absl::OkStatus());
      }
      return calls.Rollback(*this, request().rollback(), *response_->mutable_rollback());
    case v1::SessionRequest::kOperation:
      return RunOperation();
    case v1::SessionRequest::REQUEST_NOT_SET:
      break;
  }
  Complete(Error(Reason::kInvalidArgument, "message holds no request this server knows",
                 {{"field", "request"}}));
}

void SessionRequestCall::RunOperation() {
  const auto run = [this](const auto& operation, auto* answer) {
    if (!Admit(operation)) return absl::OkStatus();
    if (context().transaction.IsZero() && !operation.transaction_id().empty()) {
      Complete(Error(Reason::kInvalidArgument,
                     "an operation of a stream names the stream's transaction, no transaction_id",
                     {{"field", "transaction_id"}}));
    } else {
      session_.parts_.runner.Start(*this, operation, *answer);
    }
    return absl::OkStatus();
  };
  const absl::Status unknown =
      VisitOperation(request().operation(), response_->mutable_result(), run);
  if (!unknown.ok()) Complete(unknown);
}

SessionCall::SessionCall(const Parts& parts, const grpc::CallbackServerContext& context)
    : parts_(parts),
      scope_(parts.dispatcher,
             parts.dispatcher.methods().ForRequest(v1::SessionRequest::descriptor()), context),
      pipeline_(std::make_shared<Pipeline>(static_cast<session::PipelineStream&>(*this),
                                           parts.dispatcher.workers(), Pipeline::Limits{})) {}

SessionCall::~SessionCall() = default;

void SessionCall::Start(const absl::Status& status) {
  const absl::Status admitted = status.ok() ? scope_.Admit(v1::SessionRequest()) : status;
  if (!admitted.ok()) return Finish(scope_.Conclude(admitted));
  ReadNext();
}

void SessionCall::ReadNext() {
  slot_ = std::make_unique<Slot>();
  StartRead(slot_->request);
}

void SessionCall::Resume() { ReadNext(); }

void SessionCall::OnReadDone(bool ok) {
  const auto pipeline = pipeline_;
  if (!ok) {
    half_closed_.store(true, std::memory_order_relaxed);
    return pipeline->Close();
  }
  Arrival arrival = {.deadline = scope_.context().deadline(),
                     .trace_id = scope_.context().trace_id,
                     .part = Arrival::Part::kOfStream};
  if (slot_->request->has_timeout()) {
    const auto& timeout = slot_->request->timeout();
    const absl::Duration patience =
        absl::Seconds(timeout.seconds()) + absl::Nanoseconds(timeout.nanos());
    arrival.deadline = std::min(arrival.deadline, parts_.dispatcher.clock().Monotonic() + patience);
  }
  const Pipeline::Next next = pipeline->Arrive(
      std::make_unique<SessionRequestCall>(*this, std::move(slot_), std::move(arrival)));
  // What comes next arrives while this one runs.
  if (next.reading == Pipeline::Reading::kContinue) ReadNext();
  if (next.run_here) pipeline->RunHere();
}

void SessionCall::Run(StreamRequest& request, const session::StreamTransaction& transaction,
                      Thread thread) {
  static_cast<SessionRequestCall&>(request).Run(transaction, thread == Thread::kMayBlock
                                                                 ? Call::Thread::kMayBlock
                                                                 : Call::Thread::kMustNotBlock);
}

void SessionCall::Refuse(StreamRequest& request, const absl::Status& why) {
  Complete(static_cast<SessionRequestCall&>(request), why);
}

Result SessionCall::ResultOf(SessionRequestCall& request, const absl::Status& status) {
  Result result = {.status = status};
  switch (request.place().step) {
    case StreamRequest::Step::kBegin:
      if (!status.ok()) break;
      if (auto id =
              convert::UuidFromProto("transaction_id", request.response().begin().transaction_id());
          id.ok()) {
        result.begun = {.id = *id, .database = request.context().database};
      }
      break;
    case StreamRequest::Step::kCommit: {
      const TransactionId id = request.context().transaction;
      const bool ended = status.ok() || parts_.transactions.FindEnd(id).has_value();
      if (ended) result.fate = Result::Fate::kEnded;
      break;
    }
    case StreamRequest::Step::kRollback:
      result.fate = Result::Fate::kEnded;
      // One that was refused, or came too late, is done all the same: nobody else would.
      if (const TransactionId id = request.context().transaction; !status.ok() && !id.IsZero()) {
        parts_.transactions.RollBack(id);
      }
      break;
    case StreamRequest::Step::kOperation:
      break;
  }
  const TransactionId id = request.context().transaction;
  if (!status.ok() && result.fate != Result::Fate::kEnded && !id.IsZero()) {
    if (auto open = parts_.transactions.Find(id, request.context().database); open.ok()) {
      (*open)->SetPoisoned();
    }
  }
  return result;
}

void SessionCall::Complete(SessionRequestCall& request, const absl::Status& status) {
  // This may be gone when Done returns.
  const auto pipeline = pipeline_;
  Result result = ResultOf(request, status);
  v1::SessionResponse& response = request.response();
  if (!status.ok()) *response.mutable_status() = status::ToRpcStatus(status);
  response.set_id(request.place().id);
  request.scope().Note(status);
  result.answer_bytes = static_cast<int64_t>(response.ByteSizeLong());
  pipeline->Done(request, result);
}

void SessionCall::Send(std::unique_ptr<StreamRequest> request) {
  auto* const answered = static_cast<SessionRequestCall*>(request.release());
  bool write = false;
  {
    base::MutexLock lock(mu_);
    write = unsent_.empty();
    unsent_.emplace_back(answered);
  }
  if (write) StartWrite(&answered->response());
}

void SessionCall::OnWriteDone(bool ok) {
  const auto pipeline = pipeline_;
  if (!ok) Break();
  std::unique_ptr<SessionRequestCall> written;
  const v1::SessionResponse* next = nullptr;
  grpc::WriteOptions options;
  {
    base::MutexLock lock(mu_);
    written = std::move(unsent_.front());
    unsent_.pop_front();
    sent_bytes_ += written->response().GetCachedSize();
    if (!unsent_.empty()) next = &unsent_.front()->response();
    // Answers that wait leave together.
    if (unsent_.size() > 1) options.set_buffer_hint();
  }
  written->scope().Record(written->response().GetCachedSize());
  if (next != nullptr) StartWrite(next, options);
  pipeline->Written(*written);
}

void SessionCall::Break() {
  cancelled_.store(true, std::memory_order_relaxed);
  scope_.context().Cancel();
  pipeline_->Close();
}

void SessionCall::OnCancel() { Break(); }

void SessionCall::End(std::vector<session::StreamTransaction> open) {
  for (const session::StreamTransaction& transaction : open) {
    parts_.transactions.RollBack(transaction.id);
  }
  absl::Status status = scope_.context().CheckWanted();
  if (status.ok() && !half_closed_.load(std::memory_order_relaxed)) {
    status = Error(Reason::kUnavailable, "the server is stopping");
  }
  Finish(scope_.Conclude(status));
}

void SessionCall::OnDone() {
  int64_t sent_bytes = 0;
  {
    base::MutexLock lock(mu_);
    sent_bytes = sent_bytes_;
  }
  scope_.Record(sent_bytes);
  delete this;
}

}  // namespace sop::rpc
