// Transactions and snapshots of a live sopd that stay open for SOP_SECONDS of the real clock (a
// night an hour, which is the most that a transaction may ask for) while others write without
// pause: what the snapshots see, which transactions may commit after all, and the memory behind.

#include <fmt/format.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <map>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "core/base/random.h"
#include "tests/e2e/live_server.h"
#include "tests/giant/resident.h"
#include "tests/network/client.h"

namespace sop::network {
namespace {

constexpr uint64_t kMiB = uint64_t{1} << 20;
constexpr uint64_t kMemoryBudget = 256 * kMiB;
// What sopd may grow by after the first tenth, in which caches and write buffers fill.
constexpr uint64_t kGrowth = 64 * kMiB;
constexpr int64_t kKeys = 20'000;
// The transactions keep to keys above, which only they write.
constexpr int64_t kOwnKeys = 1'000'000;
constexpr size_t kSnapshots = 4;
// A commit on its way at the end of its hour is not to be too late.
const absl::Duration kLongestOpen = absl::Hours(1) - absl::Seconds(20);
const absl::Duration kTime = absl::Seconds(NumberFrom("SOP_SECONDS", 8));
const absl::Duration kPause = absl::Milliseconds(NumberFrom("SOP_PAUSE_MS", 1));

using Model = std::map<int64_t, std::string>;

struct Snapshot {
  std::string transaction;
  Model model;
};

class OpenLongTest : public testing::Test {
 protected:
  void SetUp() override {
    auto server =
        e2e::LiveServer::Start(SOP_SOPD, {"--memory", fmt::format("{}MiB", kMemoryBudget / kMiB)});
    ASSERT_TRUE(server.ok()) << server.status();
    server_ = *std::move(server);
    client_ = std::make_unique<Client>(server_->channel());
    v1::CreateBtreeRequest create;
    v1::CreateBtreeResponse created;
    create.set_store("held");
    Expect(client_->Call(create, &created));
    for (int64_t key = 0; key < kKeys; key += 100) {
      v1::UpsertRequest request;
      for (int64_t k = key; k < key + 100; ++k) Put(k, 0, &request);
      Write(request, "");
    }
  }

  static void Expect(const grpc::Status& status) {
    ASSERT_TRUE(status.ok()) << status.error_message();
  }
  int64_t AnyKey() { return static_cast<int64_t>(random_.Next64() % kKeys); }

  // Adds an item of this round to a request, and to the model.
  void Put(int64_t key, uint64_t round, v1::UpsertRequest* request) {
    v1::WriteItem* const item = request->add_items();
    const std::string value = fmt::format("{:<100}", round);
    item->mutable_key()->set_int64_value(key);
    item->mutable_value()->set_content(value);
    if (key < kOwnKeys) model_[key] = value;
  }
  void Write(v1::UpsertRequest& request, const std::string& transaction) {
    v1::UpsertResponse response;
    request.set_store("held");
    request.set_transaction_id(transaction);
    Expect(client_->Call(request, &response));
  }

  // Three changes, made in the model too.
  void Change(uint64_t round) {
    if (round % 4 != 0) {
      v1::UpsertRequest request;
      for (int i = 0; i < 3; ++i) Put(AnyKey(), round, &request);
      return Write(request, "");
    }
    v1::RemoveRequest request;
    v1::RemoveResponse response;
    request.set_store("held");
    for (int i = 0; i < 3; ++i) {
      const int64_t key = AnyKey();
      request.add_items()->mutable_key()->set_int64_value(key);
      model_.erase(key);
    }
    Expect(client_->Call(request, &response));
  }

  std::string Begin(v1::TransactionMode mode, absl::Duration longest) {
    v1::BeginRequest request;
    v1::BeginResponse response;
    request.set_mode(mode);
    request.mutable_max_duration()->set_seconds(absl::ToInt64Seconds(longest));
    request.mutable_idle_limit()->set_seconds(3600);
    Expect(client_->Call(request, &response));
    return response.transaction_id();
  }
  std::string BeginWriter() { return Begin(v1::TRANSACTION_MODE_READ_WRITE, absl::Hours(1)); }

  size_t ReadIn(const std::string& transaction, int64_t key) {
    v1::GetRequest request;
    v1::GetResponse response;
    request.set_store("held");
    request.set_transaction_id(transaction);
    request.add_keys()->set_int64_value(key);
    Expect(client_->Call(request, &response));
    return static_cast<size_t>(response.items_size());
  }
  grpc::Status Commit(const std::string& transaction) {
    v1::CommitRequest request;
    v1::CommitResponse response;
    request.set_transaction_id(transaction);
    return client_->Call(request, &response);
  }

  // A count, and a page of a thousand, somewhere in the snapshot.
  void Check(const Snapshot& snapshot) {
    const int64_t begin = AnyKey();
    const int64_t end = begin + AnyKey();
    v1::CountRequest count;
    v1::CountResponse counted;
    count.set_store("held");
    count.set_transaction_id(snapshot.transaction);
    count.mutable_range()->mutable_begin()->set_int64_value(begin);
    count.mutable_range()->mutable_end()->set_int64_value(end);
    Expect(client_->Call(count, &counted));
    auto at = snapshot.model.lower_bound(begin);
    ASSERT_EQ(counted.count(), std::distance(at, snapshot.model.lower_bound(end)));
    v1::ReadPageRequest read;
    v1::ReadPageResponse page;
    read.set_store("held");
    read.set_transaction_id(snapshot.transaction);
    *read.mutable_range() = count.range();
    read.set_page_size(1'000);
    Expect(client_->Call(read, &page));
    ASSERT_EQ(page.items_size(), std::min<int64_t>(1'000, static_cast<int64_t>(counted.count())));
    for (const v1::Item& item : page.items()) {
      ASSERT_EQ(item.key().int64_value(), at->first);
      ASSERT_EQ(item.value().content(), at->second) << at->first;
      ++at;
    }
  }

  std::unique_ptr<e2e::LiveServer> server_;
  std::unique_ptr<Client> client_;
  base::SeededRandom random_{NumberFrom("SOP_SEED", 1)};
  Model model_;
};

// The transactions that are open all the while.
struct Writers {
  // Read what nobody changes, so may commit; and what somebody changes, so may not.
  std::string unconcerned;
  std::string overtaken;
  // May stay open for a second only.
  std::string brief;
};

TEST_F(OpenLongTest, WhatIsOpenForLongSeesItsSnapshotInBoundedMemory) {
  const absl::Time start = absl::Now();
  const auto part = [](double of_all) { return kTime * of_all; };
  const Writers writers = {BeginWriter(), BeginWriter(),
                           Begin(v1::TRANSACTION_MODE_READ_WRITE, absl::Seconds(1))};
  ASSERT_EQ(ReadIn(writers.unconcerned, kOwnKeys), 0U);
  ASSERT_EQ(ReadIn(writers.overtaken, 7), 1U);
  bool committed = false;
  std::vector<Snapshot> snapshots;
  uint64_t round = 0;
  uint64_t checks = 0;
  uint64_t warm = 0;
  uint64_t most = 0;
  uint64_t own_writes = 0;
  absl::Time next_check = start;
  for (absl::Duration passed; passed < kTime; passed = absl::Now() - start) {
    ASSERT_NO_FATAL_FAILURE(Change(++round));
    absl::SleepFor(kPause);
    if (snapshots.size() < kSnapshots && passed >= part(0.02) * snapshots.size()) {
      snapshots.push_back({Begin(v1::TRANSACTION_MODE_READ_ONLY, absl::Hours(24)), model_});
    }
    if (!committed && passed > std::min(part(0.9), kLongestOpen)) {
      committed = true;
      v1::UpsertRequest change;
      Put(7, round, &change);
      ASSERT_NO_FATAL_FAILURE(Write(change, ""));
      const grpc::Status done = Commit(writers.unconcerned);
      EXPECT_TRUE(done.ok()) << done.error_message();
      EXPECT_EQ(ReasonIn(Commit(writers.overtaken)), "CONFLICT");
      EXPECT_EQ(ReasonIn(Commit(writers.brief)), "TRANSACTION_EXPIRED");
      fmt::print("transactions were open for {}\n", absl::FormatDuration(passed));
    }
    if (absl::Now() < next_check) continue;
    next_check += std::max(absl::Milliseconds(200), part(0.001));
    for (const Snapshot& snapshot : snapshots) ASSERT_NO_FATAL_FAILURE(Check(snapshot));
    ++checks;
    if (!committed) {
      for (const std::string& writer : {writers.unconcerned, writers.overtaken}) {
        v1::UpsertRequest write;
        const int64_t base = writer == writers.overtaken ? 2 * kOwnKeys : kOwnKeys;
        for (int i = 0; i < 10; ++i) Put(base + static_cast<int64_t>(own_writes++), round, &write);
        ASSERT_NO_FATAL_FAILURE(Write(write, writer));
      }
    }
    const uint64_t resident = Resident(server_->process());
    if (passed < part(0.1)) warm = std::max(warm, resident);
    most = std::max(most, resident);
  }
  fmt::print("counter open_long_seconds {}\n", absl::ToInt64Seconds(absl::Now() - start));
  fmt::print(
      "open: {} snapshots, {} changes behind them, {} looks at each; {} MiB when warm, at "
      "most {} MiB\n",
      snapshots.size(), round, checks, warm / kMiB, most / kMiB);
  EXPECT_TRUE(committed);
  EXPECT_EQ(snapshots.size(), kSnapshots);
  EXPECT_LE(most, warm + kGrowth);
  EXPECT_LE(most, kMemoryBudget * 12 / 10);
  EXPECT_EQ(ReadIn("", kOwnKeys), 1U);
  EXPECT_EQ(ReadIn("", 2 * kOwnKeys + 10), 0U);
  const Snapshot now = {Begin(v1::TRANSACTION_MODE_READ_ONLY, absl::Hours(1)), model_};
  for (int i = 0; i < 50; ++i) ASSERT_NO_FATAL_FAILURE(Check(now));
}

}  // namespace
}  // namespace sop::network
