// Clients that are killed with open transactions, in the middle of calls: all they held is free
// within the idle limit and two seconds. SOP_SEED replays the moments, SOP_KILLS sets how many
// clients there are.
#include <fcntl.h>
#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <csignal>
#include <filesystem>
#include <fstream>
#include <memory>
#include <string>
#include <vector>

#include "httplib.h"
#include "tests/e2e/live_server.h"
#include "tests/network/client.h"

namespace sop::network {
namespace {

constexpr absl::Duration kIdleLimit = absl::Seconds(1);
constexpr absl::Duration kAllowance = absl::Seconds(2);
constexpr uint64_t kClientsAtOnce = 25;
constexpr const char* kHabits[] = {"write", "commit", "read", "write", "spill"};

// A client process. Confined to one thread.
class Process {
 public:
  Process(const std::string& address, const std::string& habit) {
    std::array<int, 2> ends{};
    EXPECT_EQ(pipe2(ends.data(), O_CLOEXEC), 0);
    output_ = ends[0];
    const std::string idle = fmt::format("{}", absl::ToInt64Milliseconds(kIdleLimit));
    process_ = fork();
    if (process_ == 0) {
      dup2(ends[1], STDOUT_FILENO);
      execl(SOP_CLIENT, SOP_CLIENT, address.c_str(), habit.c_str(), idle.c_str(), nullptr);
      _exit(127);
    }
    close(ends[1]);
  }
  ~Process() {
    if (process_ > 0) Kill();
    close(output_);
  }
  Process(const Process&) = delete;
  Process& operator=(const Process&) = delete;

  // The first line that it says; empty if it ended.
  std::string FirstLine() {
    std::string line;
    char byte = 0;
    while (read(output_, &byte, 1) == 1 && byte != '\n') line.push_back(byte);
    return line;
  }
  void Kill() {
    kill(process_, SIGKILL);
    int status = 0;
    waitpid(process_, &status, 0);
    EXPECT_TRUE(WIFSIGNALED(status)) << "ended by itself: " << FirstLine();
    process_ = 0;
  }

 private:
  pid_t process_ = 0;
  int output_ = -1;
};

class AbandonedTest : public testing::Test {
 protected:
  void SetUp() override {
    auto server = e2e::LiveServer::Start(SOP_SOPD);
    ASSERT_TRUE(server.ok()) << server.status();
    server_ = *std::move(server);
    client_ = std::make_unique<Client>(server_->channel());
    for (const char* store : {"abandoned", "read", "left", "right"}) {
      v1::CreateBtreeRequest request;
      v1::CreateBtreeResponse response;
      request.set_store(store);
      ASSERT_TRUE(client_->Call(request, &response).ok());
    }
    // Enough that a scan nobody reads is stuck.
    for (int page = 0; page < 8; ++page) {
      v1::AddRequest request;
      v1::AddResponse response;
      request.set_store("read");
      for (int i = 0; i < 1000; ++i) {
        v1::WriteItem* item = request.add_items();
        item->mutable_key()->set_int64_value(page * 1000 + i);
        item->mutable_value()->set_content(std::string(1000, 'r'));
      }
      ASSERT_TRUE(client_->Call(request, &response).ok());
    }
  }

  // One number of /metrics.
  double Metric(const std::string& name) {
    httplib::Client http("http://" + server_->http_address());
    const auto answer = http.Get("/metrics");
    EXPECT_TRUE(answer) << "no metrics";
    const std::string& text = answer->body;
    const size_t at = text.find("\n" + name + " ");
    EXPECT_NE(at, std::string::npos) << name;
    return at == std::string::npos ? -1 : std::stod(text.substr(at + name.size() + 2));
  }

  int OpenTransactions() {
    v1::ListTransactionsRequest request;
    v1::ListTransactionsResponse response;
    request.set_page_size(1000);
    EXPECT_TRUE(client_->Call(request, &response).ok());
    return response.transactions_size();
  }

  int TemporaryFiles() {
    int files = 0;
    for (const auto& entry :
         std::filesystem::recursive_directory_iterator(server_->folder() + "/data")) {
      if (entry.path().extension() == ".spill") ++files;
    }
    return files;
  }

  // What is still held, in words; empty if nothing.
  std::string Held() {
    std::string held;
    if (const int open = OpenTransactions(); open > 0) held += fmt::format(" {} listed,", open);
    const double gauge = Metric("sop_database_open_transactions{database=\"default\"}");
    if (gauge != 0) held += fmt::format(" {} counted,", gauge);
    const double calls = Metric("sop_requests_in_flight");
    if (calls != 0) held += fmt::format(" {} calls,", calls);
    if (const int files = TemporaryFiles(); files > 0) held += fmt::format(" {} files", files);
    return held;
  }

  uint64_t Count(const char* store) {
    v1::CountRequest request;
    v1::CountResponse response;
    request.set_store(store);
    EXPECT_TRUE(client_->Call(request, &response).ok());
    return response.count();
  }

  // Starts clients, kills each at some moment, waits until what they held is free.
  void AbandonOnce(uint64_t clients) {
    std::vector<std::unique_ptr<Process>> processes;
    for (uint64_t i = 0; i < clients; ++i) {
      const char* habit = kHabits[i % std::size(kHabits)];
      processes.push_back(std::make_unique<Process>(server_->address(), habit));
    }
    for (const auto& process : processes) {
      ASSERT_EQ(process->FirstLine(), "ready");
    }
    most_open_ = std::max(most_open_, OpenTransactions());
    most_files_ = std::max(most_files_, TemporaryFiles());
    for (const auto& process : processes) {
      absl::SleepFor(absl::Microseconds(random_.Next64() % 5000));
      process->Kill();
    }
    const absl::Time killed = absl::Now();
    std::string held = Held();
    while (!held.empty() && absl::Now() < killed + kIdleLimit + kAllowance) {
      absl::SleepFor(absl::Milliseconds(50));
      held = Held();
    }
    longest_ = std::max(longest_, absl::Now() - killed);
    EXPECT_EQ(held, "") << "after " << absl::FormatDuration(absl::Now() - killed);
    // Of what they wrote nothing is seen but whole commits.
    EXPECT_EQ(Count("abandoned"), 0u);
    EXPECT_EQ(Count("left"), Count("right"));
  }

  const uint64_t seed_ = NumberFrom("SOP_SEED", 1);
  base::SeededRandom random_{seed_};
  std::unique_ptr<e2e::LiveServer> server_;
  std::unique_ptr<Client> client_;
  int most_open_ = 0;
  int most_files_ = 0;
  absl::Duration longest_;
};

TEST_F(AbandonedTest, WhatKilledClientsHeldIsFreeAfterTheIdleLimit) {
  const uint64_t kills = NumberFrom("SOP_KILLS", 50);
  for (uint64_t done = 0; done < kills && !HasFailure();) {
    const uint64_t clients = std::min(kills - done, kClientsAtOnce);
    SCOPED_TRACE(fmt::format("SOP_SEED={} clients from {}", seed_, done));
    AbandonOnce(clients);
    done += clients;
  }
  EXPECT_GT(most_open_, 0);
  EXPECT_GT(most_files_, 0) << "no transaction was large enough for temporary files";
  EXPECT_GT(Count("left"), 0u);
  fmt::print(
      "{} clients killed, at most {} transactions open and {} temporary files; free after at "
      "most {} s\n",
      kills, most_open_, most_files_, absl::ToDoubleSeconds(longest_));
}

}  // namespace
}  // namespace sop::network
