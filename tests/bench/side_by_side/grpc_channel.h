#pragma once

#include <fmt/format.h>
#include <grpcpp/create_channel.h>

#include <chrono>
#include <memory>

#include "tests/bench/ordered_map.h"
#include "tests/bench/side_by_side/rival_client.h"

namespace sop::bench {

// A connection of its own, connected. gRPC sometimes fails to connect at the first try.
inline std::shared_ptr<grpc::Channel> OpenChannel(const RivalAddress& address) {
  grpc::ChannelArguments arguments;
  arguments.SetInt(GRPC_ARG_USE_LOCAL_SUBCHANNEL_POOL, 1);
  arguments.SetInt(GRPC_ARG_ENABLE_HTTP_PROXY, 0);
  arguments.SetInt(GRPC_ARG_INITIAL_RECONNECT_BACKOFF_MS, 100);
  auto channel = grpc::CreateCustomChannel(fmt::format("{}:{}", address.host, address.port),
                                           grpc::InsecureChannelCredentials(), arguments);
  const auto end = std::chrono::system_clock::now() + std::chrono::seconds(20);
  Require(channel->WaitForConnected(end), "cannot connect");
  return channel;
}

}  // namespace sop::bench
