#include "server/rpc/admin_service.h"

#include <string>

#include "core/base/error.h"
#include "core/base/status_macros.h"
#include "fmt/format.h"

namespace sop::rpc {
namespace {

constexpr uint32_t kMaxParts = 65'536;
constexpr uint32_t kMaxMessages = 1'000'000;

absl::Status OverLimit(std::string_view field, int64_t value, int64_t limit) {
  return Error(Reason::kInvalidArgument, fmt::format("{} is {}, limit {}", field, value, limit),
               {{"field", std::string(field)}, {"limit", fmt::format("{}", limit)}});
}

// Makes `response` what `request` asks for.
template <typename Request, typename Response>
absl::Status Fill(const Request& request, Response* response) {
  const uint32_t parts = request.has_response_parts() ? request.response_parts() : 1;
  if (parts > kMaxParts) return OverLimit("response_parts", parts, kMaxParts);
  const int64_t part_bytes = request.has_response_bytes()
                                 ? request.response_bytes()
                                 : static_cast<int64_t>(request.payload().size());
  if (parts * part_bytes > Dispatcher::kMaxMessageBytes) {
    return OverLimit("response_bytes", parts * part_bytes, Dispatcher::kMaxMessageBytes);
  }
  for (uint32_t i = 0; i < parts; ++i) {
    if (request.has_response_bytes()) {
      response->add_parts()->assign(static_cast<size_t>(part_bytes), 'e');
    } else {
      response->add_parts(request.payload());
    }
  }
  return absl::OkStatus();
}

// Writes the same message again and again. Deletes itself when gRPC is done with it.
class EchoStreamCall : public grpc::ServerWriteReactor<v1::EchoStreamResponse> {
 public:
  EchoStreamCall(Dispatcher& dispatcher, const grpc::CallbackServerContext& context,
                 const v1::EchoStreamRequest& request)
      : scope_(dispatcher, dispatcher.methods().ForRequest(request.GetDescriptor()), context) {
    const absl::Status ready = Prepare(request);
    if (!ready.ok() || left_ == 0) {
      Finish(scope_.Conclude(ready));
    } else {
      WriteNext();
    }
  }

  void OnWriteDone(bool ok) override {
    const absl::Status wanted =
        ok ? scope_.context().CheckWanted() : Error(Reason::kCancelled, "the stream is broken");
    if (!wanted.ok() || left_ == 0) {
      Finish(scope_.Conclude(wanted));
    } else {
      WriteNext();
    }
  }
  void OnCancel() override { scope_.context().Cancel(); }
  void OnDone() override {
    scope_.Record(written_bytes_);
    delete this;
  }

 private:
  absl::Status Prepare(const v1::EchoStreamRequest& request) {
    SOP_RETURN_IF_ERROR(scope_.Admit(request));
    left_ = request.has_messages() ? request.messages() : 1;
    if (left_ > kMaxMessages) return OverLimit("messages", left_, kMaxMessages);
    return Fill(request, &message_);
  }
  void WriteNext() {
    --left_;
    StartWrite(&message_);
    written_bytes_ += message_.GetCachedSize();
  }

  CallScope scope_;
  v1::EchoStreamResponse message_;
  uint32_t left_ = 0;
  int64_t written_bytes_ = 0;
};

// Answers message by message. Deletes itself when gRPC is done with it.
class EchoSessionCall
    : public grpc::ServerBidiReactor<v1::EchoSessionRequest, v1::EchoSessionResponse> {
 public:
  EchoSessionCall(Dispatcher& dispatcher, const grpc::CallbackServerContext& context)
      : scope_(dispatcher, dispatcher.methods().ForRequest(v1::EchoSessionRequest::descriptor()),
               context) {
    StartRead(&request_);
  }

  void OnReadDone(bool ok) override {
    if (!ok) {
      Finish(scope_.Conclude(absl::OkStatus()));
      return;
    }
    absl::Status status = scope_.Admit(request_);
    response_.Clear();
    if (status.ok()) status = Fill(request_, &response_);
    if (!status.ok()) {
      Finish(scope_.Conclude(status));
      return;
    }
    StartWrite(&response_);
    written_bytes_ += response_.GetCachedSize();
  }
  void OnWriteDone(bool ok) override {
    if (ok) {
      StartRead(&request_);
    } else {
      Finish(scope_.Conclude(Error(Reason::kCancelled, "the stream is broken")));
    }
  }
  void OnCancel() override { scope_.context().Cancel(); }
  void OnDone() override {
    scope_.Record(written_bytes_);
    delete this;
  }

 private:
  CallScope scope_;
  v1::EchoSessionRequest request_;
  v1::EchoSessionResponse response_;
  int64_t written_bytes_ = 0;
};

}  // namespace

grpc::ServerUnaryReactor* AdminService::Echo(grpc::CallbackServerContext* context,
                                             const v1::EchoRequest* request,
                                             v1::EchoResponse* response) {
  return dispatcher_.Unary(context, request, response,
                           [](Call& call, const v1::EchoRequest& asked, v1::EchoResponse& answer) {
                             call.Complete(Fill(asked, &answer));
                           });
}

grpc::ServerWriteReactor<v1::EchoStreamResponse>* AdminService::EchoStream(
    grpc::CallbackServerContext* context, const v1::EchoStreamRequest* request) {
  return new EchoStreamCall(dispatcher_, *context, *request);
}

grpc::ServerBidiReactor<v1::EchoSessionRequest, v1::EchoSessionResponse>* AdminService::EchoSession(
    grpc::CallbackServerContext* context) {
  return new EchoSessionCall(dispatcher_, *context);
}

grpc::ServerUnaryReactor* AdminService::Check(grpc::CallbackServerContext* context,
                                              const v1::CheckRequest* request,
                                              v1::CheckResponse* response) {
  return dispatcher_.Unary(
      context, request, response,
      [this](UnaryCall& call, const v1::CheckRequest&, v1::CheckResponse& answer) {
        call.RunOnWorker([this, &call, &answer] {
          return CheckOpenDatabase(databases_, upkeep_, call.context(), &answer);
        });
      });
}

grpc::ServerWriteReactor<v1::BackupResponse>* AdminService::Backup(
    grpc::CallbackServerContext* context, const v1::BackupRequest* request) {
  return new BackupCall(dispatcher_, databases_, upkeep_, *context, *request);
}

grpc::ServerUnaryReactor* AdminService::ListBackups(grpc::CallbackServerContext* context,
                                                    const v1::ListBackupsRequest* request,
                                                    v1::ListBackupsResponse* response) {
  return dispatcher_.Unary(context, request, response,
                           [this](UnaryCall& call, const v1::ListBackupsRequest& asked,
                                  v1::ListBackupsResponse& answer) {
                             call.RunOnWorker([this, &asked, &answer] {
                               return rpc::ListBackups(databases_, upkeep_, asked, &answer);
                             });
                           });
}

grpc::ServerUnaryReactor* AdminService::PruneBackups(grpc::CallbackServerContext* context,
                                                     const v1::PruneBackupsRequest* request,
                                                     v1::PruneBackupsResponse* response) {
  return dispatcher_.Unary(context, request, response,
                           [this](UnaryCall& call, const v1::PruneBackupsRequest& asked,
                                  v1::PruneBackupsResponse& answer) {
                             call.RunOnWorker([this, &asked, &answer] {
                               return rpc::PruneBackups(databases_, upkeep_, asked, &answer);
                             });
                           });
}

grpc::ServerUnaryReactor* AdminService::Compact(grpc::CallbackServerContext* context,
                                                const v1::CompactRequest* request,
                                                v1::CompactResponse* response) {
  return dispatcher_.Unary(
      context, request, response,
      [this](UnaryCall& call, const v1::CompactRequest& asked, v1::CompactResponse&) {
        call.RunOnWorker([this, &asked] { return CompactDatabase(databases_, asked.database()); });
      });
}

grpc::ServerUnaryReactor* AdminService::Statistics(grpc::CallbackServerContext* context,
                                                   const v1::StatisticsRequest* request,
                                                   v1::StatisticsResponse* response) {
  return dispatcher_.Unary(
      context, request, response,
      [this](UnaryCall& call, const v1::StatisticsRequest& asked, v1::StatisticsResponse& answer) {
        call.RunOnWorker([this, &asked, &answer] {
          return ReadStatistics(databases_, asked.database(), &answer);
        });
      });
}

}  // namespace sop::rpc
