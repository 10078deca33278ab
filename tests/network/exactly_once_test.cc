// Connections cut between commit and answer: the client repeats its call with the same token, and
// whatever it did is done once. SOP_SEED replays the choices of a run, SOP_CUTS sets how many cuts
// there are.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <fmt/format.h>

#include <array>
#include <map>
#include <memory>
#include <string>
#include <thread>
#include <vector>

#include "core/base/random.h"
#include "tests/e2e/live_server.h"
#include "tests/network/client.h"
#include "tests/network/cutting_proxy.h"

namespace sop::network {
namespace {

constexpr int kClients = 4;
constexpr absl::Duration kBetweenTries = absl::Milliseconds(10);
constexpr const char* kEvents = "events";      // not unique: what is done twice is there twice
constexpr const char* kEntries = "entries";    // unique, added with require_all: twice is an error
constexpr const char* kCounters = "counters";  // one of each client, by expected version

v1::AddRequest Event(const std::string& key) {
  v1::AddRequest request;
  request.set_store(kEvents);
  request.add_items()->mutable_key()->set_string_value(key);
  return request;
}

v1::AddRequest Entry(const std::string& key) {
  v1::AddRequest request = Event(key);
  request.set_store(kEntries);
  request.set_require_all(true);
  return request;
}

// The calls that carried one token.
struct Tries {
  int calls = 0;
  grpc::Status first;
  grpc::Status last;
};

class ExactlyOnceTest : public testing::Test {
 protected:
  // One client: a channel through a proxy of its own.
  struct Line {
    std::unique_ptr<CuttingProxy> proxy;
    std::unique_ptr<Client> client;
    std::unique_ptr<base::SeededRandom> random;
    int number = 0;
    uint64_t counted = 0;
  };

  void SetUp() override {
    auto server = e2e::LiveServer::Start(SOP_SOPD);
    ASSERT_TRUE(server.ok()) << server.status();
    server_ = *std::move(server);
    direct_ = std::make_unique<Client>(server_->channel());
    CreateStore(kEvents, false);
    CreateStore(kEntries, true);
    CreateStore(kCounters, true);
    for (int i = 0; i < kClients; ++i) lines_.push_back(OpenLine(i));
  }

  void CreateStore(const char* name, bool unique) {
    v1::CreateBtreeRequest request;
    v1::CreateBtreeResponse response;
    request.set_store(name);
    request.mutable_options()->set_unique(unique);
    const grpc::Status status = direct_->Call(request, &response);
    ASSERT_TRUE(status.ok()) << status.error_message();
  }

  Line OpenLine(int number) {
    Line line;
    auto proxy = CuttingProxy::Open(server_->address());
    EXPECT_TRUE(proxy.ok()) << proxy.status();
    line.proxy = *std::move(proxy);
    line.client = std::make_unique<Client>(e2e::LiveServer::Connect(line.proxy->address()));
    line.random = std::make_unique<base::SeededRandom>(seed_ * 100 + static_cast<uint64_t>(number));
    line.number = number;
    return line;
  }

  // Calls until there is an answer; the first call is cut, and perhaps the second.
  template <typename Request, typename Response>
  Tries CallThroughCuts(Line& line, const Request& request, Response* response,
                        std::function<void()> when_cut = nullptr) {
    Tries tries;
    const uint64_t choice = line.random->Next64();
    line.proxy->CutNext(choice % 4 == 0 ? Cut::kAfterRequest : Cut::kBeforeAnswer);
    tries.first = line.client->Call(request, response);
    tries.last = tries.first;
    tries.calls = 1;
    if (choice % 16 < 4) line.proxy->CutNext(Cut::kBeforeAnswer);
    while (tries.last.error_code() == grpc::StatusCode::UNAVAILABLE && tries.calls < 200) {
      absl::SleepFor(kBetweenTries);
      tries.last = line.client->Call(request, response);
      ++tries.calls;
    }
    line.proxy->CutNext(Cut::kNever);
    EXPECT_EQ(tries.first.error_code(), grpc::StatusCode::UNAVAILABLE)
        << "not cut: " << tries.first.error_message();
    EXPECT_TRUE(tries.last.ok()) << ReasonIn(tries.last) << ": " << tries.last.error_message();
    return tries;
  }

  void AddAlone(Line& line, const std::string& key) {
    v1::AddRequest request = Event(key);
    v1::AddResponse response;
    request.set_request_id(MakeRequestId());
    CallThroughCuts(line, request, &response);
    ASSERT_EQ(response.report().outcomes_size(), 1);
    EXPECT_EQ(response.report().outcomes(0), v1::WRITE_OUTCOME_ADDED);
    const std::string first_id = response.report().item_ids(0);
    // Long after the answer a repetition still says the same.
    ASSERT_TRUE(line.client->Call(request, &response).ok());
    EXPECT_EQ(response.report().item_ids(0), first_id);
  }

  void AddRequired(Line& line, const std::string& key) {
    v1::AddRequest request = Entry(key);
    v1::AddResponse response;
    request.set_request_id(MakeRequestId());
    CallThroughCuts(line, request, &response);
    ASSERT_EQ(response.report().outcomes_size(), 1);
    EXPECT_EQ(response.report().outcomes(0), v1::WRITE_OUTCOME_ADDED);
    // The same bytes with another id are another request.
    request.set_request_id(MakeRequestId());
    EXPECT_EQ(ReasonIn(line.client->Call(request, &response)), "KEY_EXISTS");
    Count(line, key);
  }

  // Until the line reaches the server again.
  static void Reconnect(Line& line) {
    v1::CountRequest request;
    v1::CountResponse response;
    request.set_store(kEvents);
    for (int i = 0; i < 200 && !line.client->Call(request, &response).ok(); ++i) {
      absl::SleepFor(kBetweenTries);
    }
  }

  // Puts the event that every trial leaves, without any cut.
  void Count(Line& line, const std::string& key) {
    v1::AddResponse response;
    ASSERT_TRUE(line.client->Call(Event(key), &response).ok());
  }

  void ExecuteBoth(Line& line, const std::string& key) {
    v1::ExecuteRequest request;
    v1::ExecuteResponse response;
    request.set_request_id(MakeRequestId());
    v1::Precondition* absent = request.add_preconditions();
    absent->set_store(kEntries);
    absent->mutable_key()->set_string_value(key);
    absent->set_exists(false);
    *request.add_operations()->mutable_add() = Entry(key);
    *request.add_operations()->mutable_add() = Event(key);
    CallThroughCuts(line, request, &response);
    ASSERT_EQ(response.results_size(), 2);
    EXPECT_EQ(response.results(0).add().report().outcomes(0), v1::WRITE_OUTCOME_ADDED);
    EXPECT_FALSE(response.commit_version().empty());
  }

  std::string BeginWithWrites(Line& line, const std::string& key) {
    v1::BeginRequest begin;
    v1::BeginResponse begun;
    EXPECT_TRUE(line.client->Call(begin, &begun).ok());
    v1::AddRequest event = Event(key);
    v1::AddRequest entry = Entry(key);
    v1::AddResponse response;
    event.set_transaction_id(begun.transaction_id());
    entry.set_transaction_id(begun.transaction_id());
    EXPECT_TRUE(line.client->Call(event, &response).ok());
    EXPECT_TRUE(line.client->Call(entry, &response).ok());
    return begun.transaction_id();
  }

  void CommitTransaction(Line& line, const std::string& key) {
    v1::CommitRequest request;
    v1::CommitResponse response;
    request.set_transaction_id(BeginWithWrites(line, key));
    CallThroughCuts(line, request, &response);
    const std::string version = response.commit_version();
    ASSERT_TRUE(line.client->Call(request, &response).ok());
    EXPECT_EQ(response.commit_version(), version);
  }

  // Read, add one, write if unchanged: done twice it would find its own version changed.
  void CountUp(Line& line, const std::string& key) {
    const std::string mine = fmt::format("counter{}", line.number);
    v1::GetRequest get;
    v1::GetResponse got;
    get.set_store(kCounters);
    get.add_keys()->set_string_value(mine);
    ASSERT_TRUE(line.client->Call(get, &got).ok());
    v1::UpsertRequest request;
    v1::UpsertResponse response;
    request.set_store(kCounters);
    request.set_request_id(MakeRequestId());
    v1::WriteItem* item = request.add_items();
    item->mutable_key()->set_string_value(mine);
    item->mutable_value()->set_content(fmt::format("{}", ++line.counted));
    if (line.counted > 1) {
      ASSERT_EQ(got.items_size(), 1);
      EXPECT_EQ(got.items(0).value().content(), fmt::format("{}", line.counted - 1));
      item->set_expected_version(got.items(0).version());
    }
    CallThroughCuts(line, request, &response);
    Count(line, key);
  }

  void RunTrial(Line& line, int trial) {
    const std::string key = fmt::format("{}-{:06}", line.number, trial);
    SCOPED_TRACE(fmt::format("SOP_SEED={} client {} trial {}", seed_, line.number, trial));
    switch (trial % 5) {
      case 0:
        return AddAlone(line, key);
      case 1:
        return AddRequired(line, key);
      case 2:
        return ExecuteBoth(line, key);
      case 3:
        return CommitTransaction(line, key);
      default:
        return CountUp(line, key);
    }
  }

  // The events by key, all of them read in pages.
  std::map<std::string, int> ReadEvents() {
    std::map<std::string, int> events;
    v1::ReadPageRequest request;
    v1::ReadPageResponse response;
    request.set_store(kEvents);
    request.set_content(v1::ITEM_CONTENT_KEYS);
    do {
      const grpc::Status status = direct_->Call(request, &response);
      EXPECT_TRUE(status.ok()) << status.error_message();
      for (const v1::Item& item : response.items()) ++events[item.key().string_value()];
      request.set_page_token(response.next_page_token());
    } while (!response.next_page_token().empty());
    return events;
  }

  void ExpectEachOnce(size_t trials) {
    const std::map<std::string, int> events = ReadEvents();
    EXPECT_EQ(events.size(), trials);
    for (const auto& [key, times] : events) EXPECT_EQ(times, 1) << key;
  }

  const uint64_t seed_ = NumberFrom("SOP_SEED", 1);
  std::unique_ptr<e2e::LiveServer> server_;
  std::unique_ptr<Client> direct_;
  std::vector<Line> lines_;
};

TEST_F(ExactlyOnceTest, ACallThatWasCutIsRepeatedAndAppliedOnce) {
  const int trials = static_cast<int>(NumberFrom("SOP_CUTS", 100)) / kClients;
  std::vector<std::thread> threads;
  for (Line& line : lines_) {
    threads.emplace_back([&] {
      for (int trial = 0; trial < trials && !HasFailure(); ++trial) RunTrial(line, trial);
    });
  }
  for (std::thread& thread : threads) thread.join();
  ExpectEachOnce(static_cast<size_t>(trials) * kClients);
  int cuts = 0;
  for (const Line& line : lines_) cuts += line.proxy->cuts();
  fmt::print("{} calls cut {} times, each applied once\n", trials * kClients, cuts);
  EXPECT_GE(cuts, trials * kClients);
}

// The server is killed when it has committed and is about to answer; the outcome survives it.
TEST_F(ExactlyOnceTest, TheServerIsKilledBetweenCommitAndAnswer) {
  const int kills = static_cast<int>(NumberFrom("SOP_CUTS", 100)) / 20;
  for (int kill = 0; kill < kills && !HasFailure(); ++kill) {
    SCOPED_TRACE(fmt::format("SOP_SEED={} kill {}", seed_, kill));
    Line& line = lines_[0];
    const std::string key = fmt::format("k-{:06}", kill);
    v1::CommitRequest commit;
    v1::ExecuteRequest execute;
    Reconnect(line);
    if (kill % 2 == 0) commit.set_transaction_id(BeginWithWrites(line, key));
    const int cuts = line.proxy->cuts();
    line.proxy->CutNext(Cut::kBeforeAnswer);
    execute.set_request_id(MakeRequestId());
    *execute.add_operations()->mutable_add() = Entry(key);
    *execute.add_operations()->mutable_add() = Event(key);
    v1::CommitResponse committed;
    v1::ExecuteResponse executed;
    const auto call = [&] {
      return kill % 2 == 0 ? line.client->Call(commit, &committed)
                           : line.client->Call(execute, &executed);
    };
    EXPECT_EQ(call().error_code(), grpc::StatusCode::UNAVAILABLE);
    EXPECT_EQ(line.proxy->cuts(), cuts + 1);
    ASSERT_TRUE(server_->KillAndRestart().ok());
    direct_ = std::make_unique<Client>(server_->channel());
    grpc::Status status = call();
    for (int i = 0; i < 200 && status.error_code() == grpc::StatusCode::UNAVAILABLE; ++i) {
      absl::SleepFor(kBetweenTries);
      status = call();
    }
    EXPECT_TRUE(status.ok()) << ReasonIn(status) << ": " << status.error_message();
    EXPECT_EQ(executed.repeated_request(), kill % 2 != 0);
  }
  ExpectEachOnce(static_cast<size_t>(kills));
}

// The repetition comes while the first try is still under way, on another connection.
TEST_F(ExactlyOnceTest, TwoTriesAtOnceAreOne) {
  const int rounds = static_cast<int>(NumberFrom("SOP_CUTS", 100)) * 2;
  for (int round = 0; round < rounds && !HasFailure(); ++round) {
    SCOPED_TRACE(fmt::format("round {}", round));
    const std::string key = fmt::format("t-{:06}", round);
    v1::ExecuteRequest execute;
    execute.set_request_id(MakeRequestId());
    *execute.add_operations()->mutable_add() = Entry(key);
    *execute.add_operations()->mutable_add() = Event(key);
    v1::AddRequest add = Entry(key);
    add.set_request_id(MakeRequestId());
    std::array<grpc::Status, kClients> statuses;
    std::vector<std::thread> threads;
    for (size_t i = 0; i < kClients; ++i) {
      threads.emplace_back([&, i] {
        v1::ExecuteResponse executed;
        v1::AddResponse added;
        statuses[i] = round % 2 == 0 ? lines_[i].client->Call(execute, &executed)
                                     : lines_[i].client->Call(add, &added);
      });
    }
    for (std::thread& thread : threads) thread.join();
    for (const grpc::Status& status : statuses) {
      EXPECT_TRUE(status.ok()) << ReasonIn(status) << ": " << status.error_message();
    }
    if (round % 2 != 0) Count(lines_[0], key);
  }
  ExpectEachOnce(static_cast<size_t>(rounds));
}

}  // namespace
}  // namespace sop::network
