#pragma once

#include <grpcpp/grpcpp.h>
#include <sys/types.h>

#include <memory>
#include <string>

#include "absl/status/statusor.h"

namespace sop::e2e {

// A sopd of our own on free ports, with its data in a folder that goes with it. Confined to one
// thread.
class LiveServer {
 public:
  // Starts `program` and waits until it answers. INTERNAL with the end of its log if it does not.
  static absl::StatusOr<std::unique_ptr<LiveServer>> Start(const std::string& program);
  // Kills it.
  ~LiveServer();
  LiveServer(const LiveServer&) = delete;
  LiveServer& operator=(const LiveServer&) = delete;

  std::shared_ptr<grpc::Channel> channel() const { return channel_; }
  // Databases may be kept in folders below this one.
  std::string stores_root() const { return folder_ + "/stores"; }
  const std::string& folder() const { return folder_; }
  // SIGKILL, then a start on the same data.
  absl::Status KillAndRestart();

 private:
  explicit LiveServer(std::string program) : program_(std::move(program)) {}

  absl::Status Launch();
  void Kill();

  const std::string program_;
  std::string folder_;
  std::string address_;
  pid_t process_ = 0;
  std::shared_ptr<grpc::Channel> channel_;
};

}  // namespace sop::e2e
