#include "server/rpc/grpc_face.h"

#include "absl/time/clock.h"
#include "core/base/bytes.h"
#include "core/base/error.h"
#include "fmt/format.h"
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
  // Two servers must not share a port without a word.
  builder.AddChannelArgument(GRPC_ARG_ALLOW_REUSEPORT, 0);
  builder.AddChannelArgument(GRPC_ARG_KEEPALIVE_TIME_MS, kKeepaliveMillis);
  builder.AddChannelArgument(GRPC_ARG_HTTP2_MIN_RECV_PING_INTERVAL_WITHOUT_DATA_MS,
                             kLeastPingIntervalMillis);
  builder.AddChannelArgument(GRPC_ARG_ENABLE_CHANNELZ, 1);
  grpc::ResourceQuota quota("sopd");
  quota.Resize(static_cast<size_t>(options.memory_bytes));
  builder.SetResourceQuota(quota);
  builder.AddListeningPort(options.address, grpc::InsecureServerCredentials(), &face->port_);
  for (grpc::Service* service : options.services) builder.RegisterService(service);
  face->server_ = builder.BuildAndStart();
  if (face->server_ == nullptr || face->port_ == 0) {
    return Error(Reason::kUnavailable,
                 fmt::format("cannot listen on {} (grpc): is another server running?",
                             base::Printable(options.address)));
  }
  return face;
}

void GrpcFace::Drain(absl::Duration patience) {
  server_->GetHealthCheckService()->Shutdown();
  server_->Shutdown(absl::ToChronoTime(absl::Now() + patience));
  server_->Wait();
}

GrpcFace::~GrpcFace() {
  if (server_ == nullptr) return;
  server_->Shutdown(std::chrono::system_clock::now());
  server_->Wait();
}

}  // namespace sop::rpc
