#pragma once

#include <grpcpp/grpcpp.h>
#include <sys/types.h>

#include <memory>
#include <string>
#include <vector>

#include "absl/status/statusor.h"

namespace sop::e2e {

// A sopd of our own on free ports, with its data in a folder that goes with it. Confined to one
// thread.
class LiveServer {
 public:
  // Starts `program` with more arguments than those for folders and ports, and waits until it
  // answers. INTERNAL with the end of its log if it does not.
  static absl::StatusOr<std::unique_ptr<LiveServer>> Start(const std::string& program,
                                                           std::vector<std::string> arguments = {});
  // Kills it.
  ~LiveServer();
  LiveServer(const LiveServer&) = delete;
  LiveServer& operator=(const LiveServer&) = delete;

  std::shared_ptr<grpc::Channel> channel() const { return channel_; }
  // Databases may be kept in folders below this one.
  std::string stores_root() const { return folder_ + "/stores"; }
  const std::string& folder() const { return folder_; }
  // HOST:PORT of its gRPC and of its HTTP face.
  const std::string& address() const { return address_; }
  const std::string& http_address() const { return http_address_; }
  // How much of a stream that is not read its client takes in: more and more as gRPC measures the
  // connection, or 64 KiB.
  enum class Window { kGrowing, kSmall };
  // A channel that shares nothing with others, to `address`: ours, or of something in between.
  static std::shared_ptr<grpc::Channel> Connect(const std::string& address,
                                                Window window = Window::kGrowing);
  pid_t process() const { return process_; }
  // Whether it still runs; if not, it ended by itself.
  bool Runs() const;
  // SIGKILL, then a start on the same data.
  absl::Status KillAndRestart();

 private:
  LiveServer(std::string program, std::vector<std::string> arguments)
      : program_(std::move(program)), arguments_(std::move(arguments)) {}

  absl::Status Launch();
  void Kill();

  const std::string program_;
  const std::vector<std::string> arguments_;
  std::string folder_;
  std::string address_;
  std::string http_address_;
  pid_t process_ = 0;
  std::shared_ptr<grpc::Channel> channel_;
};

}  // namespace sop::e2e
