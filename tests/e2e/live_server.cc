#include "tests/e2e/live_server.h"

#include <arpa/inet.h>
#include <fcntl.h>
#include <fmt/format.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include <csignal>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <iterator>

#include "absl/time/clock.h"
#include "absl/time/time.h"
#include "core/base/status_macros.h"

namespace sop::e2e {

namespace {

constexpr absl::Duration kStartLimit = absl::Seconds(30);
// Requests over the server's own limit must reach it.
constexpr int kMaxMessageSizeBytes = 32 << 20;

// 0 if there is none.
int FreePort() {
  const int descriptor = socket(AF_INET, SOCK_STREAM, 0);
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  socklen_t size = sizeof(address);
  const bool bound = bind(descriptor, reinterpret_cast<sockaddr*>(&address), size) == 0 &&
                     getsockname(descriptor, reinterpret_cast<sockaddr*>(&address), &size) == 0;
  close(descriptor);
  return bound ? ntohs(address.sin_port) : 0;
}

std::string EndOf(const std::string& path) {
  std::ifstream file(path);
  const std::string text(std::istreambuf_iterator<char>(file), {});
  return text.size() > 2000 ? text.substr(text.size() - 2000) : text;
}

}  // namespace

absl::StatusOr<std::unique_ptr<LiveServer>> LiveServer::Start(const std::string& program,
                                                              std::vector<std::string> arguments) {
  std::unique_ptr<LiveServer> server(new LiveServer(program, std::move(arguments)));
  std::string pattern = (std::filesystem::temp_directory_path() / "sop-e2e-XXXXXX").string();
  if (mkdtemp(pattern.data()) == nullptr) {
    return absl::InternalError("no temporary folder can be made");
  }
  server->folder_ = pattern;
  std::filesystem::create_directory(server->stores_root());
  server->address_ = fmt::format("127.0.0.1:{}", FreePort());
  server->http_address_ = fmt::format("127.0.0.1:{}", FreePort());
  SOP_RETURN_IF_ERROR(server->Launch());
  return server;
}

LiveServer::~LiveServer() {
  Kill();
  std::error_code error;
  std::filesystem::remove_all(folder_, error);
}

absl::Status LiveServer::KillAndRestart() {
  Kill();
  return Launch();
}

bool LiveServer::Runs() const { return waitpid(process_, nullptr, WNOHANG) == 0; }

std::shared_ptr<grpc::Channel> LiveServer::Connect(const std::string& address, Window window) {
  grpc::ChannelArguments arguments;
  arguments.SetMaxReceiveMessageSize(kMaxMessageSizeBytes);
  arguments.SetInt(GRPC_ARG_ENABLE_HTTP_PROXY, 0);
  arguments.SetInt(GRPC_ARG_INITIAL_RECONNECT_BACKOFF_MS, 50);
  arguments.SetInt(GRPC_ARG_MAX_RECONNECT_BACKOFF_MS, 200);
  // Of its own, so that nothing is left of a server that was killed.
  arguments.SetInt(GRPC_ARG_USE_LOCAL_SUBCHANNEL_POOL, 1);
  if (window == Window::kSmall) {
    arguments.SetInt(GRPC_ARG_HTTP2_BDP_PROBE, 0);
    arguments.SetInt(GRPC_ARG_HTTP2_STREAM_LOOKAHEAD_BYTES, 64 << 10);
  }
  return grpc::CreateCustomChannel(address, grpc::InsecureChannelCredentials(), arguments);
}

absl::Status LiveServer::Launch() {
  const std::string log = folder_ + "/sopd.log";
  const std::string data = folder_ + "/data";
  std::vector<std::string> words = {program_,      "--data",        data,
                                    "--listen",    address_,        "--http",
                                    http_address_, "--stores-root", stores_root()};
  words.insert(words.end(), arguments_.begin(), arguments_.end());
  std::vector<char*> argv;
  for (std::string& word : words) argv.push_back(word.data());
  argv.push_back(nullptr);
  process_ = fork();
  if (process_ == 0) {
    const int output = open(log.c_str(), O_WRONLY | O_CREAT | O_APPEND, 0600);
    dup2(output, STDOUT_FILENO);
    dup2(output, STDERR_FILENO);
    execv(program_.c_str(), argv.data());
    _exit(127);
  }
  channel_ = Connect(address_);
  if (channel_->WaitForConnected(absl::ToChronoTime(absl::Now() + kStartLimit))) {
    return absl::OkStatus();
  }
  return absl::InternalError(fmt::format("{} does not answer: {}", program_, EndOf(log)));
}

void LiveServer::Kill() {
  if (process_ > 0) {
    kill(process_, SIGKILL);
    waitpid(process_, nullptr, 0);
    process_ = 0;
  }
}

}  // namespace sop::e2e
