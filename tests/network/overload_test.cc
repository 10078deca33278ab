// A server with a budget of 256 MiB under ten times the load it is sized for, readers that do not
// read, and a storm of connections: it refuses with a typed error, keeps to its memory,
// and serves those it admits. SOP_SECONDS sets how long, SOP_SLOW and SOP_LARGE how many readers
// and callers of some MiB there are; at night 200 and 100 of each.
#include <arpa/inet.h>
#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

#include <atomic>
#include <fstream>
#include <memory>
#include <string>
#include <thread>
#include <vector>

#include "tests/e2e/live_server.h"
#include "tests/network/caller.h"
#include "tests/network/client.h"

namespace sop::network {
namespace {

constexpr int64_t kBudgetBytes = int64_t{256} << 20;
const int kSlowReaders = static_cast<int>(NumberFrom("SOP_SLOW", 100));
constexpr int kConnectionsPerSecond = 2000;
// Small calls under way before and during the overload.
constexpr uint32_t kCallers = 100;
constexpr uint32_t kTimes = 10;
// Calls of some MiB under way, reading as many as writing.
const uint32_t kLargeCallers = static_cast<uint32_t>(NumberFrom("SOP_LARGE", 0));

class OverloadTest : public testing::Test {
 protected:
  void SetUp() override {
    auto server = e2e::LiveServer::Start(SOP_SOPD, {"--memory", "256MiB"});
    ASSERT_TRUE(server.ok()) << server.status();
    server_ = *std::move(server);
    using e2e::LiveServer;
    for (int i = 0; i < 8; ++i) {
      channels_.push_back(LiveServer::Connect(server_->address()));
      large_channels_.push_back(LiveServer::Connect(server_->address()));
      const auto window = i % 2 == 0 ? LiveServer::Window::kGrowing : LiveServer::Window::kSmall;
      slow_channels_.push_back(LiveServer::Connect(server_->address(), window));
    }
    client_ = std::make_unique<Client>(server_->channel());
    for (const char* store : {"small", "large", "read"}) {
      v1::CreateBtreeRequest request;
      v1::CreateBtreeResponse response;
      request.set_store(store);
      ASSERT_TRUE(client_->Call(request, &response).ok());
    }
    for (int64_t page = 0; page < 32; ++page) Fill(page);
  }

  void Fill(int64_t page) {
    v1::AddRequest request;
    v1::AddResponse response;
    request.set_store("read");
    for (int64_t i = 0; i < 1000; ++i) {
      v1::WriteItem* item = request.add_items();
      item->mutable_key()->set_int64_value(page * 1000 + i);
      item->mutable_value()->set_content(std::string(1000, 'r'));
    }
    const grpc::Status status = client_->Call(request, &response);
    ASSERT_TRUE(status.ok()) << status.error_message();
  }

  // Resident bytes of the server.
  int64_t Resident() const {
    std::ifstream file(fmt::format("/proc/{}/statm", server_->process()));
    int64_t size = 0;
    int64_t pages = 0;
    file >> size >> pages;
    return pages * sysconf(_SC_PAGESIZE);
  }

  void AddCallers(CallKind kind, uint32_t count, LoadRecord& record) {
    const bool is_large = kind == CallKind::kLargePage || kind == CallKind::kLargeUpsert;
    const auto& channels = is_large ? large_channels_ : channels_;
    for (uint32_t i = 0; i < count; ++i) {
      const auto number = static_cast<uint32_t>(callers_.size());
      callers_.push_back(
          std::make_unique<Caller>(channels[number % channels.size()], kind, number, record));
      callers_.back()->Start();
    }
  }

  void StopCallers() {
    for (const auto& caller : callers_) caller->Stop();
    for (const auto& caller : callers_) {
      while (!caller->stopped()) absl::SleepFor(absl::Milliseconds(1));
    }
    callers_.clear();
  }

  // Watches the server's memory for a time.
  void Watch(absl::Duration time) {
    const absl::Time end = absl::Now() + time;
    while (absl::Now() < end) {
      most_resident_ = std::max(most_resident_, Resident());
      ASSERT_TRUE(server_->Runs()) << "the server is gone";
      absl::SleepFor(absl::Milliseconds(20));
    }
  }

  // Connections that say hello and are gone.
  void Storm() {
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    const std::string& text = server_->address();
    address.sin_port = htons(static_cast<uint16_t>(std::stoi(text.substr(text.rfind(':') + 1))));
    const absl::Time begin = absl::Now();
    while (!storm_over_) {
      const double due = absl::ToDoubleSeconds(absl::Now() - begin) * kConnectionsPerSecond;
      if (connections_ > due) {
        absl::SleepFor(absl::Microseconds(200));
        continue;
      }
      const int descriptor = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
      if (connect(descriptor, reinterpret_cast<sockaddr*>(&address), sizeof(address)) == 0) {
        constexpr std::string_view kHello = "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";
        (void)!write(descriptor, kHello.data(), kHello.size());
      }
      // With a reset, or the ports of this machine are used up.
      const linger now{1, 0};
      setsockopt(descriptor, SOL_SOCKET, SO_LINGER, &now, sizeof(now));
      close(descriptor);
      ++connections_;
    }
  }

  std::unique_ptr<e2e::LiveServer> server_;
  std::vector<std::shared_ptr<grpc::Channel>> channels_;
  // Those of large callers and slow readers: on one connection answers wait behind whatever was
  // sent before.
  std::vector<std::shared_ptr<grpc::Channel>> large_channels_;
  std::vector<std::shared_ptr<grpc::Channel>> slow_channels_;
  std::unique_ptr<Client> client_;
  std::vector<std::unique_ptr<Caller>> callers_;
  int64_t most_resident_ = 0;
  std::atomic<bool> storm_over_ = false;
  std::atomic<int> connections_ = 0;
};

// Streams that were begun and are not read.
class SlowReaders {
 public:
  SlowReaders(const std::vector<std::shared_ptr<grpc::Channel>>& channels, int count) {
    v1::ScanRequest request;
    request.set_store("read");
    for (int i = 0; i < count; ++i) {
      contexts_.push_back(std::make_unique<grpc::ClientContext>());
      const auto stub =
          v1::BtreeService::NewStub(channels[static_cast<size_t>(i) % channels.size()]);
      streams_.push_back(stub->Scan(contexts_.back().get(), request));
    }
  }
  // How many got the first page, and how many were refused as they should be.
  void Begin() {
    for (auto& stream : streams_) {
      v1::ScanResponse response;
      if (stream->Read(&response)) {
        ++served_;
        continue;
      }
      const grpc::Status status = stream->Finish();
      EXPECT_EQ(ReasonIn(status), "OVERLOADED") << status.error_message();
      EXPECT_GT(RetryDelay(status), absl::ZeroDuration());
      stream = nullptr;
    }
  }
  void End() {
    for (size_t i = 0; i < streams_.size(); ++i) {
      if (streams_[i] == nullptr) continue;
      contexts_[i]->TryCancel();
      (void)streams_[i]->Finish();
    }
  }
  int served() const { return served_; }

 private:
  std::vector<std::unique_ptr<grpc::ClientContext>> contexts_;
  std::vector<std::unique_ptr<grpc::ClientReader<v1::ScanResponse>>> streams_;
  int served_ = 0;
};

void ExpectTyped(const LoadRecord& record) {
  EXPECT_EQ(record.failed(), 0u) << record.first_failure();
  EXPECT_GT(record.admitted(), 0u);
}

TEST_F(OverloadTest, RefusesKeepsToItsMemoryAndServesWhatItAdmits) {
  const absl::Duration time = absl::Seconds(NumberFrom("SOP_SECONDS", 12));
  LoadRecord before;
  LoadRecord large_before;
  AddCallers(CallKind::kLargePage, kLargeCallers / kTimes, large_before);
  AddCallers(CallKind::kLargeUpsert, kLargeCallers / kTimes, large_before);
  AddCallers(CallKind::kUpsert, kCallers / 2, before);
  AddCallers(CallKind::kGet, kCallers / 2, before);
  Watch(time / 4);
  StopCallers();

  SlowReaders readers(slow_channels_, kSlowReaders);
  readers.Begin();
  std::thread storm([this] { Storm(); });
  LoadRecord small;
  LoadRecord large;
  AddCallers(CallKind::kLargePage, kLargeCallers, large);
  AddCallers(CallKind::kLargeUpsert, kLargeCallers, large);
  AddCallers(CallKind::kUpsert, kCallers * kTimes / 2, small);
  AddCallers(CallKind::kGet, kCallers * kTimes / 2, small);
  fmt::print("{} MiB before\n", most_resident_ >> 20);
  Watch(time * 3 / 4);
  storm_over_ = true;
  storm.join();
  StopCallers();
  readers.End();

  const absl::Duration usual = before.Percentile(0.99);
  const absl::Duration loaded = small.Percentile(0.99);
  fmt::print(
      "before: {} calls, p99 {:.1f} ms; overloaded: {} small admitted, {} refused, p99 {:.1f} ms "
      "({:.1f} times); {} large admitted, {} refused; {} slow readers served, {} connections; "
      "at most {} MiB resident\n",
      before.admitted(), absl::ToDoubleMilliseconds(usual), small.admitted(), small.refused(),
      absl::ToDoubleMilliseconds(loaded), absl::FDivDuration(loaded, usual), large.admitted(),
      large.refused(), readers.served(), connections_.load(), most_resident_ >> 20);
  ExpectTyped(before);
  ExpectTyped(small);
  if (kLargeCallers > 0) ExpectTyped(large);
  EXPECT_GT(small.refused() + large.refused(), 0u) << "this was no overload";
  EXPECT_LE(most_resident_, kBudgetBytes * 12 / 10);
  // Shorter runs say little, and share the machine with other tests.
  if (time >= absl::Seconds(60)) EXPECT_LE(absl::FDivDuration(loaded, usual), 3);
  // Afterwards it serves as if nothing had been.
  v1::CountRequest count;
  v1::CountResponse counted;
  count.set_store("read");
  const grpc::Status status = client_->Call(count, &counted);
  EXPECT_TRUE(status.ok()) << status.error_message();
  EXPECT_EQ(counted.count(), 32'000u);
}

}  // namespace
}  // namespace sop::network
