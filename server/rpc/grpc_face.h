#pragma once

#include <memory>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "grpcpp/server.h"
#include "grpcpp/server_builder.h"
#include "server/load/listener.h"

namespace sop::rpc {

// The gRPC port: our services, health v1, reflection and channelz. Thread-safe.
class GrpcFace {
 public:
  struct Options {
    // HOST:PORT; port 0 takes a free one.
    std::string address;
    // Memory for connections and messages on their way, in bytes. Beyond it gRPC reads less, then
    // closes connections.
    int64_t memory_bytes = int64_t{64} << 20;
    // As load::Listener has it.
    size_t connections = 4'096;
    // Must outlive this.
    std::vector<grpc::Service*> services;
  };

  // Accepts calls when it returns. UNAVAILABLE if the address cannot be had.
  static absl::StatusOr<std::unique_ptr<GrpcFace>> Open(const Options& options);
  ~GrpcFace();
  GrpcFace(const GrpcFace&) = delete;
  GrpcFace& operator=(const GrpcFace&) = delete;

  // The port that is listened on.
  int port() const { return listener_->port(); }

  // Says "not serving" to health checks, takes no more calls, lets those in flight finish for at
  // most `patience`, then cancels them. Returns when none is left. Call at most once.
  void Drain(absl::Duration patience);

 private:
  GrpcFace() = default;

  // Before the listener, which hands connections to it.
  std::unique_ptr<grpc::experimental::ExternalConnectionAcceptor> acceptor_;
  std::unique_ptr<load::Listener> listener_;
  std::unique_ptr<grpc::Server> server_;
};

}  // namespace sop::rpc
