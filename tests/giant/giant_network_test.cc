// One transaction of a million writes (SOP_ITEMS says how many), about 100 bytes each, sent to a
// live sopd while others commit: what sopd takes for it in memory, and what the others feel of it.

#include <fmt/format.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <atomic>
#include <memory>
#include <string>
#include <thread>
#include <vector>

#include "core/base/bytes.h"
#include "tests/e2e/live_server.h"
#include "tests/giant/resident.h"
#include "tests/network/client.h"

namespace sop::network {
namespace {

constexpr uint64_t kMiB = uint64_t{1} << 20;
// What a transaction may add to the process, however much it writes.
constexpr uint64_t kGrowth = 256 * kMiB;
// With its 9-byte key: 10 M writes are just below 1 GiB.
constexpr uint64_t kValueBytes = 97;
constexpr int kSenders = 2;
constexpr int kOthers = 4;
constexpr uint64_t kBatch = 10'000;
// What is there before: multiples of kSpacing.
constexpr uint64_t kBaseItems = 200'000;
constexpr uint64_t kSpacing = 64;
constexpr absl::Duration kLongest = absl::Minutes(20);
const uint64_t kItems = NumberFrom("SOP_ITEMS", 1'000'000);

std::string ValueOf(uint64_t number) {
  std::string value;
  while (value.size() < kValueBytes) base::AppendLittle64(&value, ++number * 0x9e3779b97f4a7c15);
  value.resize(kValueBytes);
  return value;
}

// Half updates and inserts among the base's items, half behind them, none in order.
uint64_t KeyOf(uint64_t i) {
  return i % 2 == 0 ? (i / 2 * 7919 % kBaseItems) * kSpacing + i / 2 / kBaseItems
                    : kBaseItems * kSpacing + (i * 48'271 % kItems);
}

void AddItem(uint64_t key, uint64_t value, v1::UpsertRequest* request) {
  v1::WriteItem* const item = request->add_items();
  item->mutable_key()->set_int64_value(static_cast<int64_t>(key));
  item->mutable_value()->set_content(ValueOf(value));
}

class GiantNetworkTest : public testing::Test {
 protected:
  void SetUp() override {
    auto server = e2e::LiveServer::Start(SOP_SOPD);
    ASSERT_TRUE(server.ok()) << server.status();
    server_ = *std::move(server);
    client_ = std::make_unique<Client>(server_->channel());
    v1::CreateBtreeRequest create;
    v1::CreateBtreeResponse created;
    create.set_store("giant");
    ASSERT_TRUE(client_->Call(create, &created).ok());
    for (uint64_t i = 0; i < kBaseItems;) {
      v1::UpsertRequest request;
      v1::UpsertResponse response;
      request.set_store("giant");
      for (uint64_t n = 0; n < kBatch; ++n, ++i) AddItem(i * kSpacing, i, &request);
      const grpc::Status status = client_->Call(request, &response);
      ASSERT_TRUE(status.ok()) << status.error_message();
    }
  }

  static grpc::Status Upsert(Client& client, const v1::UpsertRequest& request,
                             v1::UpsertResponse* response) {
    return Client::Call(*client.btrees, &v1::BtreeService::Stub::Upsert, request, response,
                        kLongest);
  }

  // Durable commits of one item each, on keys of their own, until told to stop.
  void CommitOthers(int number, std::vector<double>* milliseconds) {
    Client client(e2e::LiveServer::Connect(server_->address()));
    for (uint64_t i = 0; !stop_; ++i) {
      v1::UpsertRequest request;
      v1::UpsertResponse response;
      request.set_store("giant");
      AddItem((i * 7919 % kBaseItems) * kSpacing + kSpacing - 1 - static_cast<uint64_t>(number), i,
              &request);
      const absl::Time start = absl::Now();
      const grpc::Status status = Upsert(client, request, &response);
      ASSERT_TRUE(status.ok()) << status.error_message();
      milliseconds->push_back(absl::ToDoubleMilliseconds(absl::Now() - start));
    }
  }
  // Percentiles of the others while `work` runs.
  template <typename Work>
  std::string WithOthers(Work work) {
    std::vector<std::vector<double>> taken(kOthers);
    std::vector<std::thread> threads;
    stop_ = false;
    for (int i = 0; i < kOthers; ++i) {
      threads.emplace_back([this, i, &taken] { CommitOthers(i, &taken[static_cast<size_t>(i)]); });
    }
    work();
    stop_ = true;
    for (std::thread& thread : threads) thread.join();
    std::vector<double> all;
    for (const auto& part : taken) all.insert(all.end(), part.begin(), part.end());
    std::sort(all.begin(), all.end());
    if (all.empty()) return "none";
    return fmt::format("{} commits, p50 {:.1f} ms, p99 {:.1f} ms, longest {:.1f} ms", all.size(),
                       all[all.size() / 2], all[all.size() * 99 / 100], all.back());
  }

  // Sends every kSenders-th batch of the transaction's writes.
  void Send(uint64_t first, const std::string& transaction) {
    Client client(e2e::LiveServer::Connect(server_->address()));
    for (uint64_t begin = first * kBatch; begin < kItems; begin += kSenders * kBatch) {
      v1::UpsertRequest request;
      v1::UpsertResponse response;
      request.set_store("giant");
      request.set_transaction_id(transaction);
      const uint64_t end = std::min(begin + kBatch, kItems);
      for (uint64_t i = begin; i < end; ++i) AddItem(KeyOf(i), i, &request);
      const grpc::Status status = Upsert(client, request, &response);
      ASSERT_TRUE(status.ok()) << status.error_message();
    }
  }

  void ExpectThere() {
    for (uint64_t i = kItems - 1; i > kItems / 2; i -= std::max<uint64_t>(1, kItems / 100)) {
      if (i % 2 == 0) continue;
      v1::GetRequest request;
      v1::GetResponse response;
      request.set_store("giant");
      request.add_keys()->set_int64_value(static_cast<int64_t>(KeyOf(i)));
      const grpc::Status status = client_->Call(request, &response);
      ASSERT_TRUE(status.ok()) << status.error_message();
      ASSERT_EQ(response.items_size(), 1) << i;
    }
  }

  std::unique_ptr<e2e::LiveServer> server_;
  std::unique_ptr<Client> client_;
  std::atomic<bool> stop_ = false;
};

TEST_F(GiantNetworkTest, CommitsWithinItsMemoryWhileOthersCommit) {
  const std::string alone = WithOthers([] { absl::SleepFor(absl::Seconds(3)); });
  v1::BeginRequest begin;
  v1::BeginResponse begun;
  begin.mutable_max_duration()->set_seconds(3600);
  // An upsert reads whether its key is there. What a million of them read is remembered by leaves,
  // in which the others write: only the writes are to be held against theirs.
  begin.set_isolation(v1::ISOLATION_SNAPSHOT);
  ASSERT_TRUE(client_->Call(begin, &begun).ok());
  ResetPeakResident(server_->process());
  const uint64_t before = Resident(server_->process());
  absl::Duration gathered;
  absl::Duration committed;
  const std::string beside = WithOthers([&] {
    const absl::Time start = absl::Now();
    std::vector<std::thread> senders;
    for (uint64_t i = 0; i < kSenders; ++i) {
      senders.emplace_back([this, i, &begun] { Send(i, begun.transaction_id()); });
    }
    for (std::thread& sender : senders) sender.join();
    gathered = absl::Now() - start;
    v1::CommitRequest commit;
    v1::CommitResponse response;
    commit.set_transaction_id(begun.transaction_id());
    const grpc::Status status = Client::Call(
        *client_->transactions, &v1::TransactionService::Stub::Commit, commit, &response, kLongest);
    ASSERT_TRUE(status.ok()) << status.error_message();
    committed = absl::Now() - start - gathered;
  });
  const uint64_t peak = PeakResident(server_->process());
  const uint64_t growth = peak - std::min(before, peak);
  fmt::print("counter giant_network_writes {}\n", kItems);
  fmt::print("giant: {} writes sent in {:.1f} s, committed in {:.1f} s, {} MiB before, {} more\n",
             kItems, absl::ToDoubleSeconds(gathered), absl::ToDoubleSeconds(committed),
             before / kMiB, growth / kMiB);
  fmt::print("others alone: {}\nothers beside: {}\n", alone, beside);
  EXPECT_LE(growth, kGrowth);
  ExpectThere();
  ASSERT_TRUE(server_->KillAndRestart().ok());
  client_ = std::make_unique<Client>(server_->channel());
  ExpectThere();
}

}  // namespace
}  // namespace sop::network
