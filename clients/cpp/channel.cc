#include "clients/cpp/channel.h"

#include "absl/synchronization/mutex.h"
#include "grpcpp/create_channel.h"
#include "grpcpp/security/credentials.h"
#include "grpcpp/support/channel_arguments.h"

namespace sop::client {
namespace {

// Above the server's own limit, so that its typed errors are what users see.
constexpr int kMaxMessageBytes = 16 << 20;
// The bytes of a stream that may be under way. gRPC would begin with 64 KiB and measure, with
// pings, how much the network holds: on a fast one that costs more than it finds out.
constexpr int kStreamBytes = 4 << 20;
constexpr int kConnectBackoffMillis = 100;
// A server that was away is found again this soon, and not after the minutes that gRPC may wait.
constexpr int kMostConnectBackoffMillis = 1'000;

}  // namespace

std::shared_ptr<grpc::Channel> OpenChannel(const ChannelOptions& options) {
  grpc::ChannelArguments arguments;
  arguments.SetMaxReceiveMessageSize(kMaxMessageBytes);
  arguments.SetMaxSendMessageSize(kMaxMessageBytes);
  arguments.SetInt(GRPC_ARG_HTTP2_STREAM_LOOKAHEAD_BYTES, kStreamBytes);
  arguments.SetInt(GRPC_ARG_HTTP2_BDP_PROBE, 0);
  // A proxy for web pages is not in the way to a database.
  arguments.SetInt(GRPC_ARG_ENABLE_HTTP_PROXY, 0);
  arguments.SetInt(GRPC_ARG_INITIAL_RECONNECT_BACKOFF_MS, kConnectBackoffMillis);
  arguments.SetInt(GRPC_ARG_MAX_RECONNECT_BACKOFF_MS, kMostConnectBackoffMillis);
  if (options.sharing == ChannelSharing::kOwn) {
    arguments.SetInt(GRPC_ARG_USE_LOCAL_SUBCHANNEL_POOL, 1);
  }
  return grpc::CreateCustomChannel(options.address, grpc::InsecureChannelCredentials(), arguments);
}

void PrepareProcess() { absl::SetMutexDeadlockDetectionMode(absl::OnDeadlockCycle::kIgnore); }

}  // namespace sop::client
