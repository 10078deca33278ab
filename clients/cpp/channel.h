#pragma once

#include <memory>
#include <string>

#include "grpcpp/channel.h"

namespace sop::client {

// Whether channels of one process to one address go over the same TCP connection.
enum class ChannelSharing { kShared, kOwn };

struct ChannelOptions {
  // HOST:PORT.
  std::string address;
  ChannelSharing sharing = ChannelSharing::kShared;
};

// A channel with the settings that calls to a server want: messages as large as the server sends,
// and so much under way on a stream that a scan does not wait for its reader's permission. Connects
// with the first call.
std::shared_ptr<grpc::Channel> OpenChannel(const ChannelOptions& options);

// Turns off what Debian's Abseil does for developers at every lock that gRPC takes: looking for
// cycles in the order of locks. For the whole process, so for programs to call, before they open a
// channel; a library leaves it to its program.
void PrepareProcess();

}  // namespace sop::client
