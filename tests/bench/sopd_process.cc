#include "tests/bench/sopd_process.h"

#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <csignal>
#include <filesystem>
#include <fstream>
#include <sstream>
#include <utility>

#include <fmt/format.h>

#include "clients/cpp/channel.h"
#include "tests/bench/ordered_map.h"

namespace sop::bench {
namespace {

// The address in the greeting's line "  gRPC   HOST:PORT"; empty if it is not complete yet.
std::string AddressIn(const std::string& greeting) {
  std::istringstream lines(greeting);
  std::string line;
  while (std::getline(lines, line) && !lines.eof()) {
    std::istringstream words(line);
    std::string name;
    std::string address;
    words >> name >> address;
    if (name == "gRPC") return address;
  }
  return "";
}

}  // namespace

SopdProcess::SopdProcess(const Options& options) {
  std::array<int, 2> pipe_ends{};
  Require(pipe(pipe_ends.data()) == 0, "pipe failed");
  const std::string memory = fmt::format("{}", options.memory_bytes);
  process_ = fork();
  Require(process_ >= 0, "fork failed");
  if (process_ == 0) {
    dup2(pipe_ends[1], STDOUT_FILENO);
    close(pipe_ends[0]);
    execl(options.program.c_str(), options.program.c_str(), "--data", options.folder.c_str(),
          "--listen", "127.0.0.1:0", "--http", "off", "--memory", memory.c_str(), "--log-level",
          "error", nullptr);
    _exit(127);
  }
  close(pipe_ends[1]);
  output_ = pipe_ends[0];
  std::string greeting;
  std::array<char, 1024> buffer{};
  while (address_.empty()) {
    const ssize_t size = read(output_, buffer.data(), buffer.size());
    Require(size > 0, "sopd ended before it listened");
    greeting.append(buffer.data(), static_cast<size_t>(size));
    address_ = AddressIn(greeting);
  }
}

SopdProcess::~SopdProcess() {
  kill(process_, SIGKILL);
  waitpid(process_, nullptr, 0);
  close(output_);
}

std::shared_ptr<grpc::Channel> SopdProcess::Connect() const {
  return client::OpenChannel({.address = address_, .sharing = client::ChannelSharing::kOwn});
}

double SopdProcess::CpuSeconds() const {
  std::ifstream file(fmt::format("/proc/{}/stat", process_));
  std::string line;
  std::getline(file, line);
  // Fields 14 and 15 of proc(5), counted behind the name, which may hold blanks.
  std::istringstream fields(line.substr(line.rfind(')') + 1));
  std::string skipped;
  for (int field = 3; field < 14; ++field) fields >> skipped;
  uint64_t user = 0;
  uint64_t system = 0;
  fields >> user >> system;
  return static_cast<double>(user + system) / static_cast<double>(sysconf(_SC_CLK_TCK));
}

uint64_t SopdProcess::ResidentBytes() const { return StatusNumber("VmRSS:") * 1024; }

uint64_t SopdProcess::Threads() const { return StatusNumber("Threads:"); }

uint64_t SopdProcess::OpenFiles() const {
  const std::filesystem::directory_iterator files(fmt::format("/proc/{}/fd", process_));
  return static_cast<uint64_t>(std::distance(begin(files), end(files)));
}

uint64_t SopdProcess::StatusNumber(const std::string& name) const {
  std::ifstream file(fmt::format("/proc/{}/status", process_));
  std::string line;
  while (std::getline(file, line)) {
    if (line.starts_with(name)) return std::stoull(line.substr(name.size()));
  }
  return 0;
}

}  // namespace sop::bench
