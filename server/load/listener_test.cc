#include "server/load/listener.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cerrno>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "absl/time/clock.h"
#include "core/base/error.h"
#include "core/base/mutex.h"
#include "gtest/gtest.h"

namespace sop::load {
namespace {

const std::string kHello(40, 'h');

class ListenerTest : public testing::Test {
 protected:
  void Open(Listener::Options options) {
    options.address = "127.0.0.1:0";
    options.hand_over = [this](int connection) {
      base::MutexLock lock(mu_);
      taken_.push_back(connection);
    };
    auto listener = Listener::Open(std::move(options));
    ASSERT_TRUE(listener.ok()) << listener.status();
    listener_ = *std::move(listener);
    listener_->Start();
  }
  void TearDown() override {
    listener_.reset();
    CloseTaken();
    for (const int client : clients_) close(client);
  }

  int Connect(const std::string& hello) {
    const int client = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    address.sin_port = htons(static_cast<uint16_t>(listener_->port()));
    EXPECT_EQ(connect(client, reinterpret_cast<sockaddr*>(&address), sizeof(address)), 0);
    EXPECT_EQ(send(client, hello.data(), hello.size(), MSG_NOSIGNAL),
              static_cast<ssize_t>(hello.size()));
    clients_.push_back(client);
    return client;
  }
  // Whether the server closes it within some seconds.
  static bool IsClosed(int client) {
    const timeval limit = {.tv_sec = 5, .tv_usec = 0};
    setsockopt(client, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof(limit));
    char byte = 0;
    const ssize_t size = recv(client, &byte, 1, 0);
    return size == 0 || (size < 0 && errno == ECONNRESET);
  }
  size_t Taken() {
    base::MutexLock lock(mu_);
    return taken_.size();
  }
  bool Takes(size_t count) {
    for (int i = 0; i < 500 && Taken() < count; ++i) absl::SleepFor(absl::Milliseconds(10));
    return Taken() == count;
  }
  void CloseTaken() {
    base::MutexLock lock(mu_);
    for (int& connection : taken_) {
      if (connection >= 0) close(std::exchange(connection, -1));
    }
  }

  std::unique_ptr<Listener> listener_;
  std::vector<int> clients_;
  base::Mutex mu_;
  std::vector<int> taken_ SOP_GUARDED_BY(mu_);
};

TEST_F(ListenerTest, HandsOverThoseWhoSpeakWithAllTheySaid) {
  Open({});
  Connect("too short");
  const int half = Connect(kHello.substr(0, 20));
  Connect(kHello);
  ASSERT_TRUE(Takes(1));
  char said[64];
  {
    base::MutexLock lock(mu_);
    EXPECT_EQ(recv(taken_[0], said, sizeof(said), 0), static_cast<ssize_t>(kHello.size()));
  }
  ASSERT_EQ(send(half, kHello.data(), 20, MSG_NOSIGNAL), 20);
  EXPECT_TRUE(Takes(2));
}

TEST_F(ListenerTest, SilentOnesAreClosedInTheEndOrWhenTooMany) {
  Open({.silent = 2, .patience = absl::Seconds(1)});
  const int first = Connect("");
  Connect("");
  const absl::Time begin = absl::Now();
  Connect("");
  EXPECT_TRUE(IsClosed(first));
  EXPECT_LT(absl::Now() - begin, absl::Milliseconds(900)) << "the oldest goes at once";
  EXPECT_TRUE(IsClosed(clients_[1]));
  EXPECT_TRUE(IsClosed(clients_[2]));
  EXPECT_EQ(Taken(), 0u);
}

TEST_F(ListenerTest, ThoseWhoAreGoneAreNotHandedOver) {
  Open({});
  for (int i = 0; i < 200; ++i) {
    const int client = Connect(kHello.substr(0, 24));
    const linger now{1, 0};
    setsockopt(client, SOL_SOCKET, SO_LINGER, &now, sizeof(now));
    close(client);
    clients_.pop_back();
  }
  Connect(kHello);
  EXPECT_TRUE(Takes(1));
}

TEST_F(ListenerTest, SoManyAreOpen) {
  Open({.connections = 2});
  Connect(kHello);
  ASSERT_TRUE(Takes(1)) << "one below the limit";
  Connect(kHello);
  ASSERT_TRUE(Takes(2)) << "at the limit";
  EXPECT_TRUE(IsClosed(Connect(kHello))) << "beyond it";
  EXPECT_EQ(listener_->refused(), 1u);
  CloseTaken();
  absl::SleepFor(absl::Milliseconds(200));
  Connect(kHello);
  EXPECT_TRUE(Takes(3));
}

TEST_F(ListenerTest, TakenAddressesAreUnavailable) {
  Open({});
  const auto second = Listener::Open(
      {.address = "127.0.0.1:" + std::to_string(listener_->port()), .hand_over = [](int) {}});
  EXPECT_EQ(ReasonOf(second.status()), Reason::kUnavailable);
  EXPECT_EQ(ReasonOf(Listener::Open({.address = "host.invalid:1"}).status()), Reason::kUnavailable);
  const auto all = Listener::Open({.address = "localhost:0", .hand_over = [](int) {}});
  EXPECT_TRUE(all.ok()) << all.status();
}

}  // namespace
}  // namespace sop::load
