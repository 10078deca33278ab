#include "server/rpc/grpc_face.h"

#include "absl/time/clock.h"
#include "core/base/error.h"
#include "core/base/status_macros.h"
#include "grpc/support/log.h"
#include "grpcpp/ext/channelz_service_plugin.h"
#include "grpcpp/ext/proto_server_reflection_plugin.h"
#include "grpcpp/health_check_service_interface.h"
#include "grpcpp/resource_quota.h"
#include "grpcpp/security/server_credentials.h"
#include "grpcpp/server_builder.h"
#include "server/observe/log.h"

namespace sop::rpc {
namespace {

// What the transport accepts: above our own limit, so that our check can answer.
constexpr int kTransportMessageBytes = 16 << 20;
constexpr int kUnreadBytes = 64 << 10;
// A connection that says nothing is probed, so that dead ones are found.
constexpr int kKeepaliveMillis = 60'000;
constexpr int kLeastPingIntervalMillis = 10'000;

// gRPC's own lines become lines of our log: what it calls an error is often a client's.
void LogFromGrpc(gpr_log_func_args* line) {
  const auto level = line->severity == GPR_LOG_SEVERITY_ERROR ? config::LogLevel::kWarning
                                                              : config::LogLevel::kDebug;
  observe::Log(level, "grpc", {{"message", line->message}, {"file", line->file}});
}

}  // namespace

absl::StatusOr<std::unique_ptr<GrpcFace>> GrpcFace::Open(const Options& options) {
  gpr_set_log_function(&LogFromGrpc);
  grpc::EnableDefaultHealthCheckService(true);
  grpc::reflection::InitProtoReflectionServerBuilderPlugin();
  grpc::channelz::experimental::InitChannelzService();

  auto face = std::unique_ptr<GrpcFace>(new GrpcFace);
  grpc::ServerBuilder builder;
  builder.SetMaxReceiveMessageSize(kTransportMessageBytes);
  builder.SetMaxSendMessageSize(kTransportMessageBytes);
  builder.AddChannelArgument(GRPC_ARG_KEEPALIVE_TIME_MS, kKeepaliveMillis);
  builder.AddChannelArgument(GRPC_ARG_HTTP2_MIN_RECV_PING_INTERVAL_WITHOUT_DATA_MS,
                             kLeastPingIntervalMillis);
  builder.AddChannelArgument(GRPC_ARG_ENABLE_CHANNELZ, 1);
  // What a stream may send before it is read from: gRPC would let it grow to megabytes on a fast
  // connection. A message that is read has room of its own, so that this slows nobody down.
  builder.AddChannelArgument(GRPC_ARG_HTTP2_BDP_PROBE, 0);
  builder.AddChannelArgument(GRPC_ARG_HTTP2_STREAM_LOOKAHEAD_BYTES, kUnreadBytes);
  grpc::ResourceQuota quota("sopd");
  quota.Resize(static_cast<size_t>(options.memory_bytes));
  builder.SetResourceQuota(quota);
  using Connections = grpc::ServerBuilder::experimental_type::ExternalConnectionType;
  face->acceptor_ = builder.experimental().AddExternalConnectionAcceptor(
      Connections::FROM_FD, grpc::InsecureServerCredentials());
  for (grpc::Service* service : options.services) builder.RegisterService(service);
  SOP_ASSIGN_OR_RETURN(
      face->listener_,
      load::Listener::Open(
          {.address = options.address,
           .connections = options.connections,
           .hand_over = [acceptor = face->acceptor_.get()](int connection) {
             grpc::experimental::ExternalConnectionAcceptor::NewConnectionParameters parameters;
             parameters.fd = connection;
             acceptor->HandleNewConnection(&parameters);
           }}));
  face->server_ = builder.BuildAndStart();
  if (face->server_ == nullptr) {
    return Error(Reason::kInternal, "gRPC does not start; its lines in the log say why");
  }
  face->listener_->Start();
  return face;
}

void GrpcFace::Drain(absl::Duration patience) {
  server_->GetHealthCheckService()->Shutdown();
  listener_->Stop();
  server_->Shutdown(absl::ToChronoTime(absl::Now() + patience));
  server_->Wait();
}

GrpcFace::~GrpcFace() {
  if (server_ == nullptr) return;
  listener_->Stop();
  server_->Shutdown(std::chrono::system_clock::now());
  server_->Wait();
}

}  // namespace sop::rpc
