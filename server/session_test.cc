#include <algorithm>
#include <chrono>
#include <future>
#include <map>
#include <set>
#include <string>
#include <thread>
#include <vector>

#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "httplib.h"
#include "server/server_fixture_test.h"

namespace sop {
namespace {

using ::testing::HasSubstr;

// A client's end of a Session: sends without waiting, reads answers by id. Confined to the test
// but for Send, which may run beside Await.
class Stream {
 public:
  explicit Stream(TestServer& server) {
    context.set_deadline(std::chrono::system_clock::now() + std::chrono::seconds(30));
    stream_ = server.transaction->Session(&context);
  }
  ~Stream() { context.TryCancel(); }

  uint64_t Send(v1::SessionRequest request) {
    if (request.id() == 0) request.set_id(++last_id_);
    stream_->Write(request);
    return request.id();
  }
  uint64_t Begin(const v1::BeginRequest& begin = {}) {
    v1::SessionRequest request;
    *request.mutable_begin() = begin;
    return Send(request);
  }
  uint64_t Commit(uint64_t transaction) {
    v1::SessionRequest request;
    request.set_transaction(transaction);
    request.mutable_commit();
    return Send(request);
  }
  uint64_t Rollback(uint64_t transaction) {
    v1::SessionRequest request;
    request.set_transaction(transaction);
    request.mutable_rollback();
    return Send(request);
  }
  uint64_t Upsert(uint64_t transaction, const std::string& key, const std::string& value,
                  const std::string& store = "words") {
    v1::SessionRequest request;
    request.set_transaction(transaction);
    v1::UpsertRequest* upsert = request.mutable_operation()->mutable_upsert();
    upsert->set_store(store);
    upsert->add_items()->mutable_key()->set_string_value(key);
    upsert->mutable_items(0)->mutable_value()->set_content(value);
    return Send(request);
  }
  uint64_t Get(uint64_t transaction, const std::string& key) {
    v1::SessionRequest request;
    request.set_transaction(transaction);
    v1::GetRequest* get = request.mutable_operation()->mutable_get();
    get->set_store("words");
    get->add_keys()->set_string_value(key);
    return Send(request);
  }
  uint64_t Count(uint64_t transaction, const std::string& store = "words") {
    v1::SessionRequest request;
    request.set_transaction(transaction);
    request.mutable_operation()->mutable_count()->set_store(store);
    return Send(request);
  }

  // The answer to the request, read as far as need be; fails the test if there is none.
  const v1::SessionResponse& Await(uint64_t id) {
    while (!answers_.contains(id)) {
      v1::SessionResponse response;
      if (!stream_->Read(&response)) {
        ADD_FAILURE() << "the stream ended before request " << id << " was answered";
        break;
      }
      order.push_back(response.id());
      answers_[response.id()] = std::move(response);
    }
    return answers_[id];
  }
  // "OK" or the reason of the failure.
  std::string ReasonFor(uint64_t id) {
    const v1::SessionResponse& response = Await(id);
    if (response.response_case() != v1::SessionResponse::kStatus) return "OK";
    return ErrorIn(response.status()).reason();
  }
  static google::rpc::ErrorInfo ErrorIn(const google::rpc::Status& status) {
    google::rpc::ErrorInfo error;
    EXPECT_GT(status.details_size(), 0);
    if (status.details_size() > 0) EXPECT_TRUE(status.details(0).UnpackTo(&error));
    return error;
  }
  // The value found by Get, "-" for none, or the reason.
  std::string ValueOf(uint64_t id) {
    const v1::SessionResponse& response = Await(id);
    if (response.response_case() == v1::SessionResponse::kStatus) return ReasonFor(id);
    const auto& get = response.result().get();
    return get.items().empty() ? "-" : get.items(0).value().content();
  }
  uint64_t CountOf(uint64_t id) { return Await(id).result().count().count(); }
  void HalfClose() { stream_->WritesDone(); }
  grpc::Status Finish() {
    v1::SessionResponse response;
    while (stream_->Read(&response)) answers_[response.id()] = response;
    return stream_->Finish();
  }

  grpc::ClientContext context;
  // Ids of answers as they came.
  std::vector<uint64_t> order;

 private:
  std::unique_ptr<grpc::ClientReaderWriter<v1::SessionRequest, v1::SessionResponse>> stream_;
  uint64_t last_id_ = 0;
  std::map<uint64_t, v1::SessionResponse> answers_;
};

// A server with the unique store "words".
class SessionTest : public ::testing::Test {
 protected:
  void SetUp() override {
    v1::CreateBtreeRequest request;
    request.set_store("words");
    v1::CreateBtreeResponse response;
    ASSERT_TRUE(
        Call(*server_.btree, &v1::BtreeService::Stub::CreateBtree, request, &response).ok());
  }
  uint64_t Count() {
    v1::CountRequest request;
    request.set_store("words");
    v1::CountResponse response;
    EXPECT_TRUE(Call(*server_.btree, &v1::BtreeService::Stub::Count, request, &response).ok());
    return response.count();
  }
  int OpenTransactions() {
    v1::ListTransactionsResponse response;
    EXPECT_TRUE(
        Call(*server_.transaction, &v1::TransactionService::Stub::List, {}, &response).ok());
    return response.transactions_size();
  }
  // The value of a metric of the server.
  double Metric(const std::string& name) {
    httplib::Client client("127.0.0.1", server_.daemon().http_port());
    const auto answer = client.Get("/metrics");
    EXPECT_TRUE(answer) << "no metrics";
    const size_t at = answer ? answer->body.find("\n" + name + " ") : std::string::npos;
    if (at == std::string::npos) return 0;
    return std::stod(answer->body.substr(at + name.size() + 2));
  }
  // Waits at most a few seconds for no transaction to be open.
  bool AllAreEnded() {
    for (int i = 0; i < 300; ++i) {
      if (OpenTransactions() == 0) return true;
      std::this_thread::sleep_for(std::chrono::milliseconds(10));
    }
    return false;
  }

  TestServer server_;
};

TEST_F(SessionTest, ATransactionIsPipelinedWithoutWaitingForItsBegin) {
  Stream stream(server_);
  const uint64_t t = stream.Begin();
  std::vector<uint64_t> sent = {t};
  for (int i = 0; i < 20; ++i) sent.push_back(stream.Upsert(t, fmt::format("k{}", i), "v"));
  sent.push_back(stream.Get(t, "k7"));
  const uint64_t got = sent.back();
  sent.push_back(stream.Commit(t));
  EXPECT_EQ(stream.ReasonFor(sent.back()), "OK");
  EXPECT_EQ(stream.order, sent);
  EXPECT_EQ(stream.ValueOf(got), "v");
  EXPECT_FALSE(stream.Await(sent.back()).commit().commit_version().empty());
  EXPECT_EQ(stream.Await(t).begin().transaction_id().size(), 16u);
  EXPECT_EQ(Count(), 20u);
}

TEST_F(SessionTest, TransactionsOfAStreamAreIsolatedFromEachOther) {
  Stream stream(server_);
  const uint64_t a = stream.Begin();
  const uint64_t b = stream.Begin();
  stream.Upsert(a, "k", "of a");
  EXPECT_EQ(stream.ValueOf(stream.Get(a, "k")), "of a");
  EXPECT_EQ(stream.ValueOf(stream.Get(b, "k")), "-");
  stream.Upsert(b, "k", "of b");
  EXPECT_EQ(stream.ReasonFor(stream.Commit(a)), "OK");
  const uint64_t lost = stream.Commit(b);
  EXPECT_EQ(stream.ReasonFor(lost), "CONFLICT");
  EXPECT_EQ(Stream::ErrorIn(stream.Await(lost).status()).metadata().at("store"), "words");
  EXPECT_EQ(stream.Await(lost).status().code(), grpc::StatusCode::ABORTED);
  // It has ended; a repeated Commit is answered like the first.
  EXPECT_EQ(stream.ReasonFor(stream.Get(b, "k")), "TRANSACTION_ENDED");
  EXPECT_EQ(stream.ReasonFor(stream.Commit(b)), "CONFLICT");
  EXPECT_EQ(stream.ReasonFor(stream.Commit(a)), "OK");
  EXPECT_EQ(stream.ValueOf(stream.Get(0, "k")), "of a");
}

TEST_F(SessionTest, OperationsOnTheirOwnCommitThemselves) {
  Stream stream(server_);
  EXPECT_EQ(stream.ReasonFor(stream.Upsert(0, "k", "v")), "OK");
  EXPECT_EQ(stream.ValueOf(stream.Get(0, "k")), "v");
  EXPECT_EQ(stream.ReasonFor(stream.Count(0, "nowhere")), "STORE_NOT_FOUND");
  EXPECT_EQ(stream.CountOf(stream.Count(0)), 1u);
  v1::SessionRequest request;
  request.mutable_operation()->mutable_count()->set_store("words");
  request.mutable_operation()->mutable_count()->set_transaction_id(std::string(16, 'x'));
  EXPECT_EQ(stream.ReasonFor(stream.Send(request)), "INVALID_ARGUMENT");
  request.Clear();
  EXPECT_EQ(stream.ReasonFor(stream.Send(request)), "INVALID_ARGUMENT");
  request.mutable_operation();
  EXPECT_EQ(stream.ReasonFor(stream.Send(request)), "INVALID_ARGUMENT");
  // The stream goes on after failures.
  EXPECT_EQ(stream.CountOf(stream.Count(0)), 1u);
}

TEST_F(SessionTest, ARequestIdMakesAnOperationOnItsOwnHappenOnce) {
  base::SeededRandom random(1);
  v1::SessionRequest request;
  v1::AddRequest* add = request.mutable_operation()->mutable_add();
  add->set_store("words");
  add->set_request_id(base::MakeUuid7(base::SystemClock(), random).Bytes());
  add->add_items()->mutable_key()->set_string_value("k");
  Stream stream(server_);
  const uint64_t first = stream.Send(request);
  const uint64_t second = stream.Send(request);
  const auto& version = stream.Await(first).result().add().commit_version();
  EXPECT_FALSE(version.empty());
  EXPECT_EQ(stream.Await(second).result().add().commit_version(), version);
  EXPECT_EQ(stream.Await(second).result().add().report().outcomes(0), v1::WRITE_OUTCOME_ADDED);
}

TEST_F(SessionTest, AFailedRequestPoisonsItsTransactionUntilRollback) {
  Stream stream(server_);
  const uint64_t t = stream.Begin();
  const uint64_t other = stream.Begin();
  const uint64_t before = stream.Upsert(t, "k", "v");
  const uint64_t failed = stream.Count(t, "nowhere");
  const uint64_t after = stream.Upsert(t, "l", "v");
  const uint64_t commit = stream.Commit(t);
  EXPECT_EQ(stream.ReasonFor(before), "OK");
  EXPECT_EQ(stream.ReasonFor(failed), "STORE_NOT_FOUND");
  EXPECT_EQ(stream.ReasonFor(after), "TRANSACTION_POISONED");
  EXPECT_EQ(stream.ReasonFor(commit), "TRANSACTION_POISONED");
  const auto& status = stream.Await(commit).status();
  EXPECT_EQ(status.code(), grpc::StatusCode::FAILED_PRECONDITION);
  EXPECT_THAT(status.message(), HasSubstr("nowhere"));
  const auto info = Stream::ErrorIn(status);
  EXPECT_EQ(info.metadata().at("first_reason"), "STORE_NOT_FOUND");
  EXPECT_EQ(info.metadata().at("first_request"), fmt::format("{}", failed));
  EXPECT_EQ(info.metadata().at("store"), "nowhere");
  EXPECT_EQ(stream.ReasonFor(stream.Rollback(t)), "OK");
  EXPECT_EQ(stream.ReasonFor(stream.Upsert(t, "l", "v")), "TRANSACTION_ENDED");
  EXPECT_EQ(stream.ReasonFor(stream.Upsert(other, "m", "v")), "OK");
  EXPECT_EQ(stream.ReasonFor(stream.Commit(other)), "OK");
  EXPECT_EQ(Count(), 1u);
}

TEST_F(SessionTest, OutcomesOfItemsDoNotPoison) {
  Stream stream(server_);
  const uint64_t t = stream.Begin();
  v1::SessionRequest request;
  request.set_transaction(t);
  v1::AddRequest* add = request.mutable_operation()->mutable_add();
  add->set_store("words");
  add->add_items()->mutable_key()->set_string_value("k");
  *add->add_items() = add->items(0);
  const uint64_t twice = stream.Send(request);
  EXPECT_EQ(stream.Await(twice).result().add().report().outcomes(1),
            v1::WRITE_OUTCOME_ALREADY_THERE);
  EXPECT_EQ(stream.ValueOf(stream.Get(t, "missing")), "-");
  EXPECT_EQ(stream.ReasonFor(stream.Commit(t)), "OK");
}

TEST_F(SessionTest, AFailedBeginPoisonsItsName) {
  Stream stream(server_);
  v1::BeginRequest begin;
  begin.set_database("nowhere");
  const uint64_t t = stream.Begin(begin);
  const uint64_t write = stream.Upsert(t, "k", "v");
  const uint64_t commit = stream.Commit(t);
  EXPECT_EQ(stream.ReasonFor(t), "DATABASE_NOT_FOUND");
  EXPECT_EQ(stream.ReasonFor(write), "TRANSACTION_POISONED");
  EXPECT_EQ(stream.ReasonFor(commit), "TRANSACTION_POISONED");
  EXPECT_EQ(stream.ReasonFor(stream.Rollback(t)), "OK");
  EXPECT_EQ(stream.ReasonFor(stream.Commit(77)), "TRANSACTION_NOT_FOUND");
}

TEST_F(SessionTest, TheTransactionOfAnotherDatabaseIsRefused) {
  v1::CreateDatabaseRequest create;
  create.set_name("other");
  v1::CreateDatabaseResponse created;
  ASSERT_TRUE(
      Call(*server_.database, &v1::DatabaseService::Stub::CreateDatabase, create, &created).ok());
  Stream stream(server_);
  v1::BeginRequest begin;
  begin.set_database("other");
  const uint64_t t = stream.Begin(begin);
  v1::SessionRequest request;
  request.set_transaction(t);
  request.mutable_operation()->mutable_create_btree()->set_store("own");
  // The database need not be said again.
  EXPECT_EQ(stream.ReasonFor(stream.Send(request)), "OK");
  request.Clear();
  request.set_transaction(t);
  request.mutable_operation()->mutable_list_stores()->set_database("default");
  EXPECT_EQ(stream.ReasonFor(stream.Send(request)), "INVALID_ARGUMENT");
}

TEST_F(SessionTest, ATimeoutFailsWhatHasNotBegun) {
  Stream stream(server_);
  const uint64_t t = stream.Begin();
  v1::SessionRequest request;
  request.set_transaction(t);
  request.mutable_operation()->mutable_count()->set_store("words");
  request.mutable_timeout()->set_seconds(20);
  EXPECT_EQ(stream.CountOf(stream.Send(request)), 0u);
  request.mutable_timeout()->set_seconds(0);
  EXPECT_EQ(stream.ReasonFor(stream.Send(request)), "DEADLINE_EXCEEDED");
  EXPECT_EQ(stream.ReasonFor(stream.Commit(t)), "TRANSACTION_POISONED");
}

TEST_F(SessionTest, TransactionsExpireOnAStreamToo) {
  Stream stream(server_);
  v1::BeginRequest begin;
  begin.mutable_idle_limit()->set_nanos(30'000'000);
  const uint64_t t = stream.Begin(begin);
  EXPECT_EQ(stream.ReasonFor(t), "OK");
  std::this_thread::sleep_for(std::chrono::milliseconds(60));
  EXPECT_EQ(stream.ReasonFor(stream.Get(t, "k")), "TRANSACTION_EXPIRED");
  EXPECT_EQ(stream.ReasonFor(stream.Commit(t)), "TRANSACTION_POISONED");
  EXPECT_EQ(stream.ReasonFor(stream.Rollback(t)), "OK");
}

TEST_F(SessionTest, HalfClosingAnswersWhatWasSentAndRollsBackTheRest) {
  Stream stream(server_);
  const uint64_t open = stream.Begin();
  stream.Upsert(open, "lost", "v");
  const uint64_t t = stream.Begin();
  const uint64_t kept = stream.Upsert(t, "kept", "v");
  const uint64_t commit = stream.Commit(t);
  stream.HalfClose();
  EXPECT_TRUE(stream.Finish().ok());
  EXPECT_EQ(stream.ReasonFor(kept), "OK");
  EXPECT_EQ(stream.ReasonFor(commit), "OK");
  EXPECT_TRUE(AllAreEnded());
  EXPECT_EQ(Count(), 1u);
}

TEST_F(SessionTest, ADeadClientLeavesNothingOpen) {
  for (int round = 0; round < 20; ++round) {
    Stream stream(server_);
    const uint64_t t = stream.Begin();
    for (int i = 0; i < 50; ++i) stream.Upsert(t, fmt::format("k{}", i), "v");
    if (round % 2 == 0) stream.ReasonFor(t);
    stream.context.TryCancel();
  }
  EXPECT_TRUE(AllAreEnded());
  EXPECT_EQ(Count(), 0u);
}

TEST_F(SessionTest, TenThousandRequestsOfManyTransactionsInFlight) {
  constexpr int kTransactions = 100;
  constexpr int kWrites = 98;
  Stream stream(server_);
  std::vector<uint64_t> commits;
  std::thread sender([&] {
    std::vector<uint64_t> open;
    for (int t = 0; t < kTransactions; ++t) open.push_back(stream.Begin());
    for (int i = 0; i < kWrites; ++i) {
      for (int t = 0; t < kTransactions; ++t) {
        stream.Upsert(open[static_cast<size_t>(t)], fmt::format("k{}-{}", t, i), "v");
      }
    }
    for (const uint64_t t : open) commits.push_back(stream.Commit(t));
    stream.HalfClose();
  });
  constexpr uint64_t kLast = kTransactions * (kWrites + 2);
  for (uint64_t id = 1; id <= kLast; ++id) ASSERT_EQ(stream.ReasonFor(id), "OK") << id;
  sender.join();
  EXPECT_EQ(std::set<uint64_t>(stream.order.begin(), stream.order.end()).size(), kLast);
  EXPECT_TRUE(stream.Finish().ok());
  EXPECT_EQ(Count(), uint64_t{kTransactions} * kWrites);
}

TEST_F(SessionTest, AClientThatDoesNotReadIsReadNoFurther) {
  Stream stream(server_);
  EXPECT_EQ(stream.ReasonFor(stream.Upsert(0, "large", std::string(60'000, 'v'))), "OK");
  constexpr uint64_t kGets = 3'000;
  std::thread sender([&] {
    for (uint64_t i = 0; i < kGets; ++i) stream.Get(0, "large");
  });
  // Until the server stands still.
  double finished = 0;
  for (double before = -1; finished != before;) {
    before = finished;
    std::this_thread::sleep_for(std::chrono::milliseconds(300));
    finished = Metric("sop_requests_total{code=\"OK\",method=\"sop.v1.BtreeService/Get\"}");
  }
  // What the transport holds, of 180 MB of answers, and what the server does.
  EXPECT_LT(finished, 1'500);
  EXPECT_LE(Metric("sop_requests_in_flight"), 1'001);
  // Ids follow the write's.
  for (uint64_t i = 0; i < kGets; ++i) ASSERT_EQ(stream.ValueOf(i + 2).size(), 60'000u);
  sender.join();
}

TEST_F(SessionTest, ASlowReaderThatDiesFreesEverything) {
  {
    Stream stream(server_);
    EXPECT_EQ(stream.ReasonFor(stream.Upsert(0, "large", std::string(60'000, 'v'))), "OK");
    const uint64_t t = stream.Begin();
    for (int i = 0; i < 900; ++i) stream.Get(t, "large");
    std::this_thread::sleep_for(std::chrono::milliseconds(200));
    EXPECT_EQ(OpenTransactions(), 1);
  }
  EXPECT_TRUE(AllAreEnded());
}

TEST_F(SessionTest, DrainingEndsIdleStreamsAndLetsTransactionsFinish) {
  // Streams are told in the order in which they were opened: when the idle one ends, the busy one
  // knows.
  Stream busy(server_);
  const uint64_t t = busy.Begin();
  EXPECT_EQ(busy.ReasonFor(t), "OK");
  Stream idle(server_);
  EXPECT_EQ(idle.CountOf(idle.Count(0)), 0u);
  auto drained = std::async(std::launch::async, [&] { server_.daemon().Drain(); });
  const grpc::Status ended = idle.Finish();
  EXPECT_EQ(ended.error_code(), grpc::StatusCode::UNAVAILABLE);
  EXPECT_EQ(ReasonIn(ended), "UNAVAILABLE");
  EXPECT_EQ(busy.ReasonFor(busy.Begin()), "UNAVAILABLE");
  EXPECT_EQ(busy.ReasonFor(busy.Upsert(t, "k", "v")), "OK");
  EXPECT_EQ(busy.ReasonFor(busy.Commit(t)), "OK");
  EXPECT_EQ(busy.Finish().error_code(), grpc::StatusCode::UNAVAILABLE);
  drained.wait();
  server_.Restart();
  EXPECT_EQ(Count(), 1u);
}

TEST_F(SessionTest, DrainingDoesNotWaitForeverForAnOpenTransaction) {
  Stream stream(server_);
  EXPECT_EQ(stream.ReasonFor(stream.Begin()), "OK");
  const auto begin = std::chrono::steady_clock::now();
  server_.daemon().Drain();
  EXPECT_LT(std::chrono::steady_clock::now() - begin, std::chrono::seconds(15));
  EXPECT_FALSE(stream.Finish().ok());
}

}  // namespace
}  // namespace sop
