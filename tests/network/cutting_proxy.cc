#include "tests/network/cutting_proxy.h"

#include <arpa/inet.h>
#include <fmt/format.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <string_view>
#include <utility>

namespace sop::network {

namespace {

constexpr int kPollMilliseconds = 20;
constexpr size_t kFrameHeaderBytes = 9;
constexpr uint8_t kDataFrame = 0;
constexpr uint8_t kHeadersFrame = 1;
constexpr uint8_t kEndStreamFlag = 1;
// What a client says before its first frame.
constexpr std::string_view kPreface = "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";

sockaddr_in AddressOf(const std::string& address) {
  const size_t colon = address.rfind(':');
  sockaddr_in out{};
  out.sin_family = AF_INET;
  inet_pton(AF_INET, address.substr(0, colon).c_str(), &out.sin_addr);
  out.sin_port = htons(static_cast<uint16_t>(std::stoi(address.substr(colon + 1))));
  return out;
}

bool SendAll(int descriptor, const char* bytes, size_t size) {
  while (size > 0) {
    const ssize_t sent = send(descriptor, bytes, size, MSG_NOSIGNAL);
    if (sent <= 0) return false;
    bytes += sent;
    size -= static_cast<size_t>(sent);
  }
  return true;
}

// A reset, so that neither side takes it for a call that ended well.
void Reset(int descriptor) {
  const linger now{1, 0};
  setsockopt(descriptor, SOL_SOCKET, SO_LINGER, &now, sizeof(now));
  close(descriptor);
}

// Frames of one direction, by their headers.
class FrameReader {
 public:
  explicit FrameReader(size_t skipped) : left_(skipped) {}

  // True if a frame that `wanted(type, flags)` begins in `bytes`.
  template <typename Wanted>
  bool Sees(std::string_view bytes, Wanted wanted) {
    bool seen = false;
    while (!bytes.empty()) {
      const size_t skipped = std::min(left_, bytes.size());
      left_ -= skipped;
      bytes.remove_prefix(skipped);
      const size_t taken = std::min(kFrameHeaderBytes - header_size_, bytes.size());
      std::copy_n(bytes.data(), taken, header_.data() + header_size_);
      header_size_ += taken;
      bytes.remove_prefix(taken);
      if (header_size_ < kFrameHeaderBytes) break;
      seen = seen || wanted(header_[3], header_[4]);
      left_ = size_t{header_[0]} << 16 | size_t{header_[1]} << 8 | header_[2];
      header_size_ = 0;
    }
    return seen;
  }

 private:
  std::array<uint8_t, kFrameHeaderBytes> header_{};
  size_t header_size_ = 0;
  size_t left_;
};

}  // namespace

struct CuttingProxy::Link {
  Link(int client_end, int server_end) : client(client_end), server(server_end) {}
  Link(const Link&) = delete;
  Link& operator=(const Link&) = delete;
  ~Link() {
    if (client >= 0) close(client);
    if (server >= 0) close(server);
  }

  int client;
  int server;
  FrameReader said_by_client{kPreface.size()};
  FrameReader said_by_server{0};
};

absl::StatusOr<std::unique_ptr<CuttingProxy>> CuttingProxy::Open(std::string server) {
  const int listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  sockaddr_in address = AddressOf("127.0.0.1:0");
  socklen_t size = sizeof(address);
  if (bind(listener, reinterpret_cast<sockaddr*>(&address), size) != 0 ||
      getsockname(listener, reinterpret_cast<sockaddr*>(&address), &size) != 0 ||
      listen(listener, 64) != 0) {
    close(listener);
    return absl::InternalError("no port to listen on");
  }
  std::unique_ptr<CuttingProxy> proxy(new CuttingProxy(
      listener, std::move(server), fmt::format("127.0.0.1:{}", ntohs(address.sin_port))));
  proxy->thread_ = std::thread([opened = proxy.get()] { opened->Serve(); });
  return proxy;
}

CuttingProxy::CuttingProxy(int listener, std::string server, std::string address)
    : listener_(listener), server_(std::move(server)), address_(std::move(address)) {}

CuttingProxy::~CuttingProxy() {
  stopping_ = true;
  thread_.join();
  links_.clear();
  close(listener_);
}

void CuttingProxy::Serve() {
  while (!stopping_) {
    std::vector<pollfd> waited = {{listener_, POLLIN, 0}};
    for (const auto& link : links_) {
      waited.push_back({link->client, POLLIN, 0});
      waited.push_back({link->server, POLLIN, 0});
    }
    if (poll(waited.data(), waited.size(), kPollMilliseconds) <= 0) continue;
    for (size_t i = 0; i < links_.size(); ++i) {
      Link& link = *links_[i];
      const bool over = (waited[1 + 2 * i].revents != 0 && !PassRequest(link)) ||
                        (waited[2 + 2 * i].revents != 0 && !PassAnswer(link));
      if (over) links_[i] = nullptr;
    }
    std::erase(links_, nullptr);
    if (waited[0].revents != 0) Accept();
  }
}

void CuttingProxy::Accept() {
  const int client = accept4(listener_, nullptr, nullptr, SOCK_CLOEXEC);
  const int server = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  auto link = std::make_unique<Link>(client, server);
  const sockaddr_in address = AddressOf(server_);
  // A server that is down refuses; so does the proxy then.
  if (client < 0 ||
      connect(server, reinterpret_cast<const sockaddr*>(&address), sizeof(address)) != 0) {
    return;
  }
  const int on = 1;
  setsockopt(client, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
  setsockopt(server, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
  links_.push_back(std::move(link));
}

bool CuttingProxy::PassRequest(Link& link) {
  std::array<char, 64 << 10> buffer;
  const ssize_t got = recv(link.client, buffer.data(), buffer.size(), 0);
  if (got <= 0) return false;
  const std::string_view bytes(buffer.data(), static_cast<size_t>(got));
  // The last frame of a unary request ends its stream.
  const bool request = link.said_by_client.Sees(bytes, [](uint8_t type, uint8_t flags) {
    return type == kDataFrame && (flags & kEndStreamFlag) != 0;
  });
  if (!SendAll(link.server, bytes.data(), bytes.size())) return false;
  if (!request || !Take(Cut::kAfterRequest)) return true;
  CutLink(link);
  return false;
}

bool CuttingProxy::PassAnswer(Link& link) {
  std::array<char, 64 << 10> buffer;
  const ssize_t got = recv(link.server, buffer.data(), buffer.size(), 0);
  if (got <= 0) return false;
  const std::string_view bytes(buffer.data(), static_cast<size_t>(got));
  const bool answer =
      link.said_by_server.Sees(bytes, [](uint8_t type, uint8_t) { return type == kHeadersFrame; });
  if (answer && Take(Cut::kBeforeAnswer)) {
    CutLink(link);
    return false;
  }
  return SendAll(link.client, bytes.data(), bytes.size());
}

void CuttingProxy::CutLink(Link& link) {
  ++cuts_;
  Reset(std::exchange(link.client, -1));
  // The server gets all that was sent before it hears of the end.
  close(std::exchange(link.server, -1));
}

}  // namespace sop::network
