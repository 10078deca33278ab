#pragma once

#include <sys/types.h>

#include <memory>
#include <string>

#include "grpcpp/channel.h"

namespace sop::bench {

// A daemon of the build, started on a free port with its data below a folder, killed by the
// destructor. Confined to one thread.
class SopdProcess {
 public:
  struct Options {
    std::string program;
    std::string folder;
    uint64_t memory_bytes = uint64_t{512} << 20;
  };

  // Returns once it listens.
  explicit SopdProcess(const Options& options);
  ~SopdProcess();
  SopdProcess(const SopdProcess&) = delete;
  SopdProcess& operator=(const SopdProcess&) = delete;

  // Where it listens.
  const std::string& address() const { return address_; }
  // A connection of its own.
  std::shared_ptr<grpc::Channel> Connect() const;
  // Processor seconds it has used, system calls included.
  double CpuSeconds() const;
  uint64_t ResidentBytes() const;
  uint64_t Threads() const;
  uint64_t OpenFiles() const;

 private:
  // A line of proc(5)'s status file, as a number.
  uint64_t StatusNumber(const std::string& name) const;

  pid_t process_ = -1;
  int output_ = -1;
  std::string address_;
};

}  // namespace sop::bench
