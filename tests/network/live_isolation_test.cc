// Isolation of a live server, as clients on the network see it: lists over SIGKILLs, a bank read by
// scans, a counter, and first commits into empty stores. SOP_SEED replays the choices,
// SOP_TRANSACTIONS and SOP_ROUNDS set the size.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <atomic>
#include <memory>
#include <numeric>
#include <string>
#include <thread>
#include <vector>

#include "tests/e2e/live_server.h"
#include "tests/history/append_checker.h"
#include "tests/history/list_load.h"
#include "tests/network/client.h"

namespace sop::network {
namespace {

using history::Intent;
using history::Outcome;

constexpr uint32_t kClients = 6;
constexpr size_t kWriters = 8;

bool IsAway(const grpc::Status& status) {
  return status.error_code() == grpc::StatusCode::UNAVAILABLE;
}

// One transaction in unary calls.
class LiveTransaction : public history::ListTransaction {
 public:
  // Nothing while the server is away.
  static std::unique_ptr<LiveTransaction> Begin(Client& client, Intent intent) {
    v1::BeginRequest request;
    v1::BeginResponse response;
    if (intent == Intent::kReads) request.set_mode(v1::TRANSACTION_MODE_READ_ONLY);
    const grpc::Status status = client.Call(request, &response);
    if (!status.ok()) {
      EXPECT_TRUE(IsAway(status)) << status.error_message();
      return nullptr;
    }
    return std::make_unique<LiveTransaction>(client, response.transaction_id());
  }
  LiveTransaction(Client& client, std::string id) : client_(client), id_(std::move(id)) {}

  std::optional<std::string> Get(const std::string& key) override {
    v1::GetRequest request;
    v1::GetResponse response;
    request.set_store("lists");
    request.set_transaction_id(id_);
    request.add_keys()->set_string_value(key);
    if (!Went(client_.Call(request, &response))) return std::nullopt;
    return response.items_size() == 0 ? std::string() : response.items(0).value().content();
  }
  bool Put(const std::string& key, const std::string& bytes) override {
    v1::UpsertRequest request;
    v1::UpsertResponse response;
    request.set_store("lists");
    request.set_transaction_id(id_);
    v1::WriteItem* item = request.add_items();
    item->mutable_key()->set_string_value(key);
    item->mutable_value()->set_content(bytes);
    return Went(client_.Call(request, &response));
  }
  // Asks until there is an answer: after a restart too the server knows what became of it.
  Outcome Commit() override {
    v1::CommitRequest request;
    v1::CommitResponse response;
    request.set_transaction_id(id_);
    for (int i = 0; i < 1000; ++i) {
      const grpc::Status status = client_.Call(request, &response);
      if (status.ok()) return Outcome::kOk;
      if (!IsAway(status)) {
        EXPECT_EQ(status.error_code(), grpc::StatusCode::ABORTED) << status.error_message();
        return Outcome::kFailed;
      }
      absl::SleepFor(absl::Milliseconds(20));
    }
    return Outcome::kUnknown;
  }

 private:
  // The server may be gone, and the transaction with it; nothing else may happen.
  static bool Went(const grpc::Status& status) {
    EXPECT_TRUE(status.ok() || IsAway(status) || ReasonIn(status) == "TRANSACTION_LOST")
        << status.error_message();
    return status.ok();
  }

  Client& client_;
  const std::string id_;
};

class LiveIsolationTest : public testing::Test {
 protected:
  void SetUp() override {
    auto server = e2e::LiveServer::Start(SOP_SOPD);
    ASSERT_TRUE(server.ok()) << server.status();
    server_ = *std::move(server);
    for (size_t i = 0; i < kWriters; ++i) {
      channels_.push_back(e2e::LiveServer::Connect(server_->address()));
      clients_.push_back(std::make_unique<Client>(channels_.back()));
    }
    Create("lists");
  }

  void Create(const std::string& store) {
    v1::CreateBtreeRequest request;
    v1::CreateBtreeResponse response;
    request.set_store(store);
    const grpc::Status status = clients_[0]->Call(request, &response);
    ASSERT_TRUE(status.ok()) << status.error_message();
  }

  // Runs `body(i)` in threads of their own, `meanwhile` on this one.
  template <typename Body, typename Meanwhile>
  static void InThreads(size_t count, Body body, Meanwhile meanwhile) {
    std::vector<std::thread> threads;
    for (size_t i = 0; i < count; ++i) threads.emplace_back([&body, i] { body(i); });
    meanwhile();
    for (std::thread& thread : threads) thread.join();
  }

  const uint64_t seed_ = NumberFrom("SOP_SEED", 1);
  base::SeededRandom random_{seed_};
  std::unique_ptr<e2e::LiveServer> server_;
  std::vector<std::shared_ptr<grpc::Channel>> channels_;
  std::vector<std::unique_ptr<Client>> clients_;
};

TEST_F(LiveIsolationTest, ListsAreStrictlySerialisableOverKills) {
  SCOPED_TRACE(fmt::format("SOP_SEED={}", seed_));
  const uint64_t transactions = NumberFrom("SOP_TRANSACTIONS", 2000);
  history::ListLoad load(seed_, kClients);
  std::atomic<uint64_t> begun_count = 0;
  int kills = 0;
  InThreads(
      kClients,
      [&](size_t i) {
        // Tries while the server is away are not counted: a slow start takes none of the load. A
        // channel comes back only while somebody waits for it.
        const auto begin = [&](Intent intent) {
          auto begun = LiveTransaction::Begin(*clients_[i], intent);
          if (begun != nullptr) {
            ++begun_count;
          } else {
            channels_[i]->WaitForConnected(absl::ToChronoTime(absl::Now() + absl::Seconds(1)));
          }
          return begun;
        };
        while (begun_count < transactions && !HasFailure()) {
          load.RunOne(static_cast<uint32_t>(i), begin);
        }
      },
      [&] {
        while (begun_count < transactions && !HasFailure()) {
          const uint64_t next = begun_count + 50 + random_.Next64() % 100;
          while (begun_count < next && begun_count < transactions && !HasFailure()) {
            absl::SleepFor(absl::Milliseconds(1));
          }
          ASSERT_TRUE(server_->KillAndRestart().ok());
          ++kills;
        }
      });
  Client closing(server_->channel());
  const auto reader = LiveTransaction::Begin(closing, Intent::kReads);
  ASSERT_NE(reader, nullptr);
  const auto history =
      load.Gather([&](const std::string& key) { return reader->Get(key).value_or(""); });
  const history::Verdict verdict = history::CheckHistory(history);
  EXPECT_EQ(verdict.Words(), "");
  EXPECT_GT(verdict.transactions, transactions / 4);
  fmt::print("{} transactions, {} happened, {} kills, {} anomalies\n",
             history.transactions().size(), verdict.transactions, kills, verdict.anomalies.size());
  fmt::print("counter live_history_transactions {}\n", verdict.transactions);
}

// Writers with keys of their own, all committing at once into a store without a node; in every
// other round they also create it.
TEST_F(LiveIsolationTest, FirstCommitsIntoAnEmptyStoreAllSucceed) {
  const uint64_t rounds = NumberFrom("SOP_ROUNDS", 50);
  for (uint64_t round = 0; round < rounds && !HasFailure(); ++round) {
    SCOPED_TRACE(fmt::format("round {}", round));
    const std::string store = fmt::format("race{}", round);
    const bool creates = round % 2 != 0;
    if (!creates) Create(store);
    std::atomic<size_t> ready = 0;
    std::array<grpc::Status, kWriters> statuses;
    const auto write = [&](size_t i) {
      Client& client = *clients_[i];
      v1::BeginResponse begun;
      v1::CommitRequest commit;
      v1::CommitResponse committed;
      v1::AddRequest add;
      v1::AddResponse added;
      statuses[i] = client.Call(v1::BeginRequest(), &begun);
      add.set_store(store);
      add.set_transaction_id(begun.transaction_id());
      add.add_items()->mutable_key()->set_int64_value(static_cast<int64_t>(i));
      commit.set_transaction_id(begun.transaction_id());
      if (creates && statuses[i].ok()) {
        v1::CreateBtreeRequest create;
        v1::CreateBtreeResponse created;
        create.set_store(store);
        create.set_transaction_id(begun.transaction_id());
        statuses[i] = client.Call(create, &created);
      }
      if (statuses[i].ok()) statuses[i] = client.Call(add, &added);
      ++ready;
      while (ready < kWriters) std::this_thread::yield();
      if (statuses[i].ok()) statuses[i] = client.Call(commit, &committed);
    };
    InThreads(kWriters, write, [] {});
    for (const grpc::Status& status : statuses) {
      EXPECT_TRUE(status.ok()) << ReasonIn(status) << ": " << status.error_message();
    }
    v1::CountRequest count;
    v1::CountResponse counted;
    count.set_store(store);
    EXPECT_TRUE(clients_[0]->Call(count, &counted).ok());
    EXPECT_EQ(counted.count(), kWriters);
  }
}

// Money moves between accounts and from a counter; every scan sees all of it, and the counter's
// values are taken once each.
TEST_F(LiveIsolationTest, BankByScanAndContiguousCounter) {
  constexpr int64_t kAccounts = 12;
  constexpr int64_t kStart = 100;
  const uint64_t times = NumberFrom("SOP_TRANSACTIONS", 2000) / 20;
  Create("accounts");
  const auto put = [](Client& client, const std::string& transaction, int64_t key, int64_t amount) {
    v1::UpsertRequest request;
    v1::UpsertResponse response;
    request.set_store("accounts");
    request.set_transaction_id(transaction);
    v1::WriteItem* item = request.add_items();
    item->mutable_key()->set_int64_value(key);
    item->mutable_value()->set_content(fmt::format("{}", amount));
    const grpc::Status status = client.Call(request, &response);
    EXPECT_TRUE(status.ok()) << status.error_message();
  };
  for (int64_t i = 0; i < kAccounts; ++i) put(*clients_[0], "", i, kStart);
  put(*clients_[0], "", kAccounts, 0);  // the counter
  std::array<std::vector<int64_t>, kClients> taken;
  InThreads(
      kClients,
      [&](size_t i) {
        base::SeededRandom random(seed_ * 100 + i);
        for (uint64_t time = 0; time < times && !HasFailure(); ++time) {
          v1::BeginResponse begun;
          ASSERT_TRUE(clients_[i]->Call(v1::BeginRequest(), &begun).ok());
          v1::ReadPageRequest scan;
          v1::ReadPageResponse page;
          scan.set_store("accounts");
          scan.set_transaction_id(begun.transaction_id());
          ASSERT_TRUE(clients_[i]->Call(scan, &page).ok());
          ASSERT_EQ(page.items_size(), kAccounts + 1);
          std::vector<int64_t> amounts;
          for (const v1::Item& item : page.items()) {
            amounts.push_back(std::stoll(item.value().content()));
          }
          EXPECT_EQ(std::accumulate(amounts.begin(), amounts.end() - 1, int64_t{0}),
                    kAccounts * kStart);
          const auto from = static_cast<size_t>(random.Next64() % kAccounts);
          const size_t to = (from + 1) % kAccounts;
          const auto key = [](size_t at) { return static_cast<int64_t>(at); };
          put(*clients_[i], begun.transaction_id(), key(from), amounts[from] - 1);
          put(*clients_[i], begun.transaction_id(), key(to), amounts[to] + 1);
          put(*clients_[i], begun.transaction_id(), kAccounts, amounts.back() + 1);
          v1::CommitRequest commit;
          v1::CommitResponse committed;
          commit.set_transaction_id(begun.transaction_id());
          if (clients_[i]->Call(commit, &committed).ok()) taken[i].push_back(amounts.back() + 1);
        }
      },
      [] {});
  std::vector<int64_t> all;
  for (const auto& own : taken) all.insert(all.end(), own.begin(), own.end());
  std::sort(all.begin(), all.end());
  ASSERT_FALSE(all.empty());
  for (size_t i = 0; i < all.size(); ++i) ASSERT_EQ(all[i], static_cast<int64_t>(i) + 1);
}

}  // namespace
}  // namespace sop::network
