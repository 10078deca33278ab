#include "server/load/listener.h"

#include <fcntl.h>
#include <netdb.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <utility>

#include "absl/time/clock.h"
#include "core/base/bytes.h"
#include "core/base/error.h"
#include "core/base/status_macros.h"
#include "fmt/format.h"

namespace sop::load {
namespace {

// Connections taken from a port before others are looked at.
constexpr int kBurst = 64;
constexpr int kEvents = 128;
// What is looked at even if nothing happens: those that are silent for too long.
constexpr int kRoundMillis = 500;
constexpr absl::Duration kBetweenCounts = absl::Milliseconds(100);
// A peer that does not acknowledge what it is sent is gone.
constexpr int kUnacknowledgedMillis = 20'000;

bool Set(int descriptor, int level, int option, int value) {
  return setsockopt(descriptor, level, option, &value, sizeof(value)) == 0;
}

int PortOf(int descriptor) {
  sockaddr_storage address{};
  socklen_t size = sizeof(address);
  if (getsockname(descriptor, reinterpret_cast<sockaddr*>(&address), &size) != 0) return 0;
  if (address.ss_family == AF_INET) {
    return ntohs(reinterpret_cast<const sockaddr_in*>(&address)->sin_port);
  }
  return ntohs(reinterpret_cast<const sockaddr_in6*>(&address)->sin6_port);
}

// The file behind a descriptor that whoever took it over may close at any time; 0 if it has.
// Another connection may have the descriptor by then: its file is another one. With statx, as
// ThreadSanitizer takes fstat for a use that must not meet close.
uint64_t FileOf(int descriptor) {
  struct statx status {};
  const bool open = statx(descriptor, "", AT_EMPTY_PATH, STATX_INO, &status) == 0;
  return open ? status.stx_ino : 0;
}

}  // namespace

Listener::Listener(Options options)
    : options_(std::move(options)),
      events_(epoll_create1(EPOLL_CLOEXEC)),
      stop_(eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK)) {}

absl::StatusOr<std::unique_ptr<Listener>> Listener::Open(Options options) {
  auto listener = std::unique_ptr<Listener>(new Listener(std::move(options)));
  SOP_RETURN_IF_ERROR(listener->Bind());
  return listener;
}

absl::Status Listener::Bind() {
  const std::string& address = options_.address;
  const size_t colon = address.rfind(':');
  std::string host = address.substr(0, colon);
  if (host.starts_with('[') && host.ends_with(']')) host = host.substr(1, host.size() - 2);
  addrinfo hints{};
  hints.ai_socktype = SOCK_STREAM;
  hints.ai_flags = AI_PASSIVE;
  addrinfo* found = nullptr;
  if (getaddrinfo(host.c_str(), address.c_str() + colon + 1, &hints, &found) == 0) {
    for (const addrinfo* each = found; each != nullptr; each = each->ai_next) BindTo(*each);
    freeaddrinfo(found);
  }
  epoll_event event{};
  event.events = EPOLLIN;
  event.data.fd = stop_;
  if (!ports_.empty() && epoll_ctl(events_, EPOLL_CTL_ADD, stop_, &event) == 0) {
    return absl::OkStatus();
  }
  return Error(Reason::kUnavailable,
               fmt::format("cannot listen on {} (grpc): is another server running?",
                           base::Printable(address)));
}

bool Listener::BindTo(const addrinfo& address) {
  sockaddr_storage wanted{};
  std::memcpy(&wanted, address.ai_addr, address.ai_addrlen);
  // All addresses of a name share the port that the first one got.
  if (port_ != 0 && wanted.ss_family == AF_INET) {
    reinterpret_cast<sockaddr_in*>(&wanted)->sin_port = htons(static_cast<uint16_t>(port_));
  } else if (port_ != 0) {
    reinterpret_cast<sockaddr_in6*>(&wanted)->sin6_port = htons(static_cast<uint16_t>(port_));
  }
  const int port = socket(address.ai_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
  if (port < 0) return false;
  // Not SO_REUSEPORT: two servers would share the port without a word.
  epoll_event event{};
  event.events = EPOLLIN;
  event.data.fd = port;
  const bool listens =
      Set(port, SOL_SOCKET, SO_REUSEADDR, 1) &&
      bind(port, reinterpret_cast<const sockaddr*>(&wanted), address.ai_addrlen) == 0 &&
      listen(port, SOMAXCONN) == 0 && epoll_ctl(events_, EPOLL_CTL_ADD, port, &event) == 0;
  if (!listens) {
    close(port);
    return false;
  }
  ports_.push_back(port);
  port_ = PortOf(port);
  return true;
}

void Listener::Start() {
  thread_ = std::thread([this] { Run(); });
}

void Listener::Stop() {
  if (thread_.joinable()) {
    const uint64_t one = 1;
    (void)!write(stop_, &one, sizeof(one));
    thread_.join();
  }
  for (const int port : std::exchange(ports_, {})) close(port);
}

Listener::~Listener() {
  Stop();
  if (events_ >= 0) close(events_);
  if (stop_ >= 0) close(stop_);
}

void Listener::Run() {
  epoll_event events[kEvents];
  for (;;) {
    const int count = epoll_wait(events_, events, kEvents, kRoundMillis);
    for (int i = 0; i < count; ++i) {
      const int descriptor = events[i].data.fd;
      if (descriptor == stop_) {
        while (!silent_.empty()) Drop(silent_.front().connection);
        return;
      }
      if (silent_by_connection_.contains(descriptor)) {
        Look(descriptor);
      } else if (std::find(ports_.begin(), ports_.end(), descriptor) != ports_.end()) {
        Accept(descriptor);
      }
    }
    DropLate(absl::Now());
  }
}

void Listener::Accept(int port) {
  for (int i = 0; i < kBurst; ++i) {
    const int connection = accept4(port, nullptr, nullptr, SOCK_NONBLOCK | SOCK_CLOEXEC);
    if (connection < 0) {
      // Out of files, level-triggered: those who wait would be asked for without a pause.
      if (errno == EMFILE || errno == ENFILE) absl::SleepFor(absl::Milliseconds(10));
      return;
    }
    if (silent_.size() >= options_.silent) Drop(silent_.front().connection);
    Set(connection, IPPROTO_TCP, TCP_NODELAY, 1);
    Set(connection, IPPROTO_TCP, TCP_USER_TIMEOUT, kUnacknowledgedMillis);
    Set(connection, SOL_SOCKET, SO_RCVLOWAT, options_.hello_bytes);
    epoll_event event{};
    event.events = EPOLLIN | EPOLLRDHUP;
    event.data.fd = connection;
    silent_by_connection_[connection] = silent_.insert(silent_.end(), {connection, absl::Now()});
    if (epoll_ctl(events_, EPOLL_CTL_ADD, connection, &event) != 0) Drop(connection);
  }
}

void Listener::Look(int connection) {
  char hello[256];
  const ssize_t size = recv(connection, hello, sizeof(hello), MSG_PEEK | MSG_DONTWAIT);
  if (size < 0 && (errno == EAGAIN || errno == EINTR)) return;
  // An event without enough bytes: the client has gone.
  if (size < options_.hello_bytes) return Drop(connection);
  if (!HasRoom(absl::Now())) {
    refused_.fetch_add(1, std::memory_order_relaxed);
    return Drop(connection);
  }
  HandOver(connection);
}

void Listener::HandOver(int connection) {
  epoll_ctl(events_, EPOLL_CTL_DEL, connection, nullptr);
  Set(connection, SOL_SOCKET, SO_RCVLOWAT, 1);
  silent_.erase(silent_by_connection_.at(connection));
  silent_by_connection_.erase(connection);
  open_[connection] = FileOf(connection);
  options_.hand_over(connection);
}

bool Listener::HasRoom(absl::Time now) {
  if (open_.size() < options_.connections) return true;
  if (now - counted_ < kBetweenCounts) return false;
  counted_ = now;
  // Whoever took them over does not say when they are closed.
  absl::erase_if(open_, [](const auto& each) { return FileOf(each.first) != each.second; });
  return open_.size() < options_.connections;
}

void Listener::Drop(int connection) {
  silent_.erase(silent_by_connection_.at(connection));
  silent_by_connection_.erase(connection);
  // That takes it out of the events, too.
  close(connection);
}

void Listener::DropLate(absl::Time now) {
  while (!silent_.empty() && now - silent_.front().since > options_.patience) {
    Drop(silent_.front().connection);
  }
}

}  // namespace sop::load
