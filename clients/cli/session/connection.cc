#include "clients/cli/session/connection.h"

#include <utility>

#include "core/base/clock.h"
#include "core/base/random.h"

namespace sop::cli {

namespace {

// Above the server's own limit, so that its typed errors are what users see.
constexpr int kMaxMessageSizeBytes = 16 << 20;

// A server that was started just now may not listen yet, and one attempt to connect may fail for
// reasons that pass: trying this long spares scripts a loop of their own.
constexpr absl::Duration kConnectLimit = absl::Milliseconds(700);
constexpr int kConnectBackoffMillis = 100;

std::shared_ptr<grpc::Channel> MakeChannel(const Connection::Options& options) {
  grpc::ChannelArguments arguments;
  arguments.SetMaxReceiveMessageSize(kMaxMessageSizeBytes);
  arguments.SetMaxSendMessageSize(kMaxMessageSizeBytes);
  // A proxy for web pages is not in the way to a database.
  arguments.SetInt(GRPC_ARG_ENABLE_HTTP_PROXY, 0);
  arguments.SetInt(GRPC_ARG_INITIAL_RECONNECT_BACKOFF_MS, kConnectBackoffMillis);
  if (options.sharing == ChannelSharing::kOwn) {
    arguments.SetInt(GRPC_ARG_USE_LOCAL_SUBCHANNEL_POOL, 1);
  }
  auto channel =
      grpc::CreateCustomChannel(options.address, grpc::InsecureChannelCredentials(), arguments);
  // Without success the first call says what is wrong.
  channel->WaitForConnected(absl::ToChronoTime(absl::Now() + kConnectLimit));
  return channel;
}

}  // namespace

Connection::Connection(Options options) : Connection(options, MakeChannel(options)) {}

Connection::Connection(Options options, const std::shared_ptr<grpc::Channel>& channel)
    : options_(std::move(options)),
      admin_(v1::AdminService::NewStub(channel)),
      btree_(v1::BtreeService::NewStub(channel)),
      databases_(v1::DatabaseService::NewStub(channel)),
      transactions_(v1::TransactionService::NewStub(channel)) {}

std::string Connection::MakeRequestId() {
  return base::MakeUuid7(base::SystemClock(), base::SystemRandom()).Bytes();
}

}  // namespace sop::cli
