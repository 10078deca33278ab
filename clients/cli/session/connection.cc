#include "clients/cli/session/connection.h"

#include <utility>

#include "clients/cpp/large_value.h"
#include "core/base/clock.h"
#include "core/base/random.h"

namespace sop::cli {

namespace {

// A server that was started just now may not listen yet, and one attempt to connect may fail for
// reasons that pass: trying this long spares scripts a loop of their own.
constexpr absl::Duration kConnectLimit = absl::Milliseconds(700);

std::shared_ptr<grpc::Channel> MakeChannel(const Connection::Options& options) {
  auto channel = client::OpenChannel({.address = options.address, .sharing = options.sharing});
  // Without success the first call says what is wrong.
  channel->WaitForConnected(absl::ToChronoTime(absl::Now() + kConnectLimit));
  return channel;
}

}  // namespace

Connection::Connection(Options options) : Connection(options, MakeChannel(options)) {}

Connection::Connection(Options options, std::shared_ptr<grpc::Channel> channel)
    : options_(std::move(options)),
      channel_(std::move(channel)),
      admin_(v1::AdminService::NewStub(channel_)),
      btree_(v1::BtreeService::NewStub(channel_)),
      databases_(v1::DatabaseService::NewStub(channel_)),
      transactions_(v1::TransactionService::NewStub(channel_)) {}

absl::Status Connection::Run(absl::FunctionRef<grpc::Status(grpc::ClientContext*)> call) {
  grpc::ClientContext context;
  context.set_deadline(absl::ToChronoTime(absl::Now() + options_.timeout));
  const Interruption::Scope scope(options_.interruption, [&context] { context.TryCancel(); });
  return StatusFromGrpc(call(&context));
}

absl::StatusOr<v1::PutValueResponse> Connection::PutValue(v1::PutValueRequest header,
                                                          std::string_view value) {
  Place(&header);
  v1::PutValueResponse response;
  SOP_RETURN_IF_ERROR(Run([&](grpc::ClientContext* context) {
    return client::PutValue(*btree_, context, header, value, &response);
  }));
  return response;
}

absl::StatusOr<v1::ReadValueResponse> Connection::ReadValue(v1::ReadValueRequest request) {
  Place(&request);
  v1::ReadValueResponse response;
  SOP_RETURN_IF_ERROR(Run([&](grpc::ClientContext* context) {
    return client::ReadValue(*btree_, context, request, &response);
  }));
  return response;
}

void Connection::WaitForServer(absl::Duration limit) {
  channel_->WaitForConnected(absl::ToChronoTime(absl::Now() + limit));
}

std::string Connection::MakeRequestId() {
  return base::MakeUuid7(base::SystemClock(), base::SystemRandom()).Bytes();
}

}  // namespace sop::cli
