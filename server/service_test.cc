#include <limits>
#include <string>
#include <thread>
#include <vector>

#include "absl/time/clock.h"
#include "core/btree/packed_page.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "httplib.h"
#include "server/server_fixture_test.h"

namespace sop {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using Btree = v1::BtreeService::Stub;
using Transactions = v1::TransactionService::Stub;
using Databases = v1::DatabaseService::Stub;

// A server with the unique store "words", and short ways to call it.
class ServiceTest : public ::testing::Test {
 protected:
  void SetUp() override { ASSERT_EQ(Create("words", {}), "OK"); }

  std::string Create(const std::string& store, const v1::BtreeOptions& options,
                     const std::string& transaction = "") {
    v1::CreateBtreeRequest request;
    request.set_store(store);
    request.set_transaction_id(transaction);
    *request.mutable_options() = options;
    v1::CreateBtreeResponse response;
    return ReasonIn(Call(*server_.btree, &Btree::CreateBtree, request, &response));
  }
  static v1::AddRequest AddOf(const std::string& store, const std::vector<std::string>& keys,
                              const std::string& transaction = "") {
    v1::AddRequest request;
    request.set_store(store);
    request.set_transaction_id(transaction);
    for (const std::string& key : keys) {
      v1::WriteItem* item = request.add_items();
      item->mutable_key()->set_string_value(key);
      item->mutable_value()->set_content("value of " + key);
      item->mutable_value()->set_format(v1::VALUE_FORMAT_TEXT);
    }
    return request;
  }
  grpc::Status Add(const v1::AddRequest& request, v1::AddResponse* response) {
    return Call(*server_.btree, &Btree::Add, request, response);
  }
  std::string Add(const std::string& store, const std::vector<std::string>& keys,
                  const std::string& transaction = "") {
    v1::AddResponse response;
    return ReasonIn(Add(AddOf(store, keys, transaction), &response));
  }
  // The values of the keys, "-" for those that are not there, or the reason of the failure.
  std::vector<std::string> Get(const std::string& store, const std::vector<std::string>& keys,
                               const std::string& transaction = "") {
    v1::GetRequest request;
    request.set_store(store);
    request.set_transaction_id(transaction);
    for (const std::string& key : keys) request.add_keys()->set_string_value(key);
    v1::GetResponse response;
    const grpc::Status status = Call(*server_.btree, &Btree::Get, request, &response);
    if (!status.ok()) return {ReasonIn(status)};
    std::vector<std::string> values(keys.size(), "?");
    for (const uint32_t i : response.missing()) values[i] = "-";
    int next = 0;
    for (std::string& value : values) {
      if (value == "?") value = response.items(next++).value().content();
    }
    return values;
  }
  std::string Count(const std::string& store, const std::string& transaction = "") {
    v1::CountRequest request;
    request.set_store(store);
    request.set_transaction_id(transaction);
    v1::CountResponse response;
    const grpc::Status status = Call(*server_.btree, &Btree::Count, request, &response);
    return status.ok() ? fmt::format("{}", response.count()) : ReasonIn(status);
  }
  std::string Begin(v1::TransactionMode mode = v1::TRANSACTION_MODE_READ_WRITE,
                    absl::Duration idle = absl::ZeroDuration()) {
    v1::BeginRequest request;
    request.set_mode(mode);
    request.mutable_idle_limit()->set_nanos(static_cast<int>(absl::ToInt64Nanoseconds(idle)));
    v1::BeginResponse response;
    const grpc::Status status =
        Call(*server_.transaction, &Transactions::Begin, request, &response);
    EXPECT_TRUE(status.ok()) << status.error_message();
    return response.transaction_id();
  }
  grpc::Status Commit(const std::string& transaction, std::string* version = nullptr) {
    v1::CommitRequest request;
    request.set_transaction_id(transaction);
    v1::CommitResponse response;
    const grpc::Status status =
        Call(*server_.transaction, &Transactions::Commit, request, &response);
    if (version != nullptr) *version = response.commit_version();
    return status;
  }
  std::string Rollback(const std::string& transaction) {
    v1::RollbackRequest request;
    request.set_transaction_id(transaction);
    v1::RollbackResponse response;
    return ReasonIn(Call(*server_.transaction, &Transactions::Rollback, request, &response));
  }

  TestServer server_;
};

TEST_F(ServiceTest, WritesAreDurableWhenAnsweredAndAnswerPerItem) {
  v1::AddResponse response;
  ASSERT_TRUE(Add(AddOf("words", {"a", "b"}), &response).ok());
  const std::string first = response.commit_version();
  EXPECT_THAT(response.report().outcomes(),
              ElementsAre(v1::WRITE_OUTCOME_ADDED, v1::WRITE_OUTCOME_ADDED));
  ASSERT_TRUE(Add(AddOf("words", {"b", "c"}), &response).ok());
  EXPECT_THAT(response.report().outcomes(),
              ElementsAre(v1::WRITE_OUTCOME_ALREADY_THERE, v1::WRITE_OUTCOME_ADDED));
  EXPECT_LT(first, response.commit_version());
  EXPECT_THAT(Get("words", {"c", "x", "a"}), ElementsAre("value of c", "-", "value of a"));
  server_.Restart();
  EXPECT_EQ(Count("words"), "3");
}

TEST_F(ServiceTest, RequireAllFailsAsAWholeAndNamesTheKey) {
  ASSERT_EQ(Add("words", {"b"}), "OK");
  v1::AddRequest request = AddOf("words", {"a", "b"});
  request.set_require_all(true);
  v1::AddResponse response;
  const grpc::Status status = Add(request, &response);
  EXPECT_EQ(status.error_code(), grpc::StatusCode::ALREADY_EXISTS);
  EXPECT_EQ(ReasonIn(status), "KEY_EXISTS");
  EXPECT_EQ(Count("words"), "1");
}

TEST_F(ServiceTest, TransactionsAreIsolatedUntilTheyCommit) {
  const std::string transaction = Begin();
  ASSERT_EQ(Add("words", {"a"}, transaction), "OK");
  EXPECT_THAT(Get("words", {"a"}), ElementsAre("-"));
  EXPECT_THAT(Get("words", {"a"}, transaction), ElementsAre("value of a"));
  std::string version;
  ASSERT_TRUE(Commit(transaction, &version).ok());
  EXPECT_THAT(Get("words", {"a"}), ElementsAre("value of a"));
  std::string again;
  EXPECT_TRUE(Commit(transaction, &again).ok());
  EXPECT_EQ(version, again);
  EXPECT_EQ(Add("words", {"b"}, transaction), "TRANSACTION_ENDED");
  EXPECT_EQ(Rollback(transaction), "TRANSACTION_ENDED");
}

TEST_F(ServiceTest, RollbackForgetsAndIsIdempotent) {
  const std::string transaction = Begin();
  ASSERT_EQ(Add("words", {"a"}, transaction), "OK");
  EXPECT_EQ(Rollback(transaction), "OK");
  EXPECT_EQ(Rollback(transaction), "OK");
  EXPECT_EQ(Count("words"), "0");
  EXPECT_EQ(ReasonIn(Commit(transaction)), "TRANSACTION_ENDED");
}

TEST_F(ServiceTest, TheLoserOfAConflictIsToldWhy) {
  ASSERT_EQ(Add("words", {"k"}), "OK");
  const std::string first = Begin();
  const std::string second = Begin();
  for (const std::string& transaction : {first, second}) {
    EXPECT_THAT(Get("words", {"k"}, transaction), ElementsAre("value of k"));
    v1::UpdateRequest request;
    request.set_store("words");
    request.set_transaction_id(transaction);
    *request.add_items() = AddOf("words", {"k"}).items(0);
    request.mutable_items(0)->mutable_value()->set_content("changed");
    v1::UpdateResponse response;
    ASSERT_TRUE(Call(*server_.btree, &Btree::Update, request, &response).ok());
  }
  EXPECT_TRUE(Commit(first).ok());
  const grpc::Status lost = Commit(second);
  EXPECT_EQ(lost.error_code(), grpc::StatusCode::ABORTED);
  EXPECT_EQ(ErrorOf(lost).reason(), "CONFLICT");
  EXPECT_EQ(ErrorOf(lost).metadata().at("store"), "words");
  EXPECT_THAT(ErrorOf(lost).metadata().at("key"), HasSubstr("k"));
  // A repetition is answered like the first.
  EXPECT_EQ(ReasonIn(Commit(second)), "CONFLICT");
}

TEST_F(ServiceTest, AFailedUnaryRequestLeavesTheTransactionUsable) {
  const std::string transaction = Begin();
  EXPECT_EQ(Count("nowhere", transaction), "STORE_NOT_FOUND");
  ASSERT_EQ(Add("words", {"a"}, transaction), "OK");
  EXPECT_TRUE(Commit(transaction).ok());
  EXPECT_EQ(Count("words"), "1");
}

TEST_F(ServiceTest, TransactionsEndByTheirIdleLimit) {
  const std::string transaction = Begin(v1::TRANSACTION_MODE_READ_WRITE, absl::Milliseconds(30));
  ASSERT_EQ(Add("words", {"a"}, transaction), "OK");
  std::this_thread::sleep_for(std::chrono::milliseconds(60));
  EXPECT_EQ(Add("words", {"b"}, transaction), "TRANSACTION_EXPIRED");
  EXPECT_EQ(ReasonIn(Commit(transaction)), "TRANSACTION_EXPIRED");
  EXPECT_EQ(Count("words"), "0");
}

TEST_F(ServiceTest, TransactionsOfAnEarlierRunAreLostButTheirCommitsAreKnown) {
  const std::string open = Begin();
  const std::string committed = Begin();
  ASSERT_EQ(Add("words", {"a"}, committed), "OK");
  std::string version;
  ASSERT_TRUE(Commit(committed, &version).ok());
  server_.Restart();
  EXPECT_EQ(Add("words", {"b"}, open), "TRANSACTION_LOST");
  EXPECT_EQ(ReasonIn(Commit(open)), "TRANSACTION_LOST");
  std::string again;
  EXPECT_TRUE(Commit(committed, &again).ok());
  EXPECT_EQ(version, again);
}

TEST_F(ServiceTest, ACommitThatMetAFailedLogIsUnknownUntilTheNextStart) {
  for (const auto action : {memory::FaultAction::kFailLost, memory::FaultAction::kFailWritten}) {
    const bool written = action == memory::FaultAction::kFailWritten;
    const std::string key = written ? "written" : "lost";
    const std::string transaction = Begin();
    ASSERT_EQ(Add("words", {key}, transaction), "OK");
    server_.Arm({.point = memory::FaultPoint::kAppend,
                 .action = action,
                 .status = absl::UnavailableError("the disk is gone")});
    EXPECT_EQ(ReasonIn(Commit(transaction)), "UNAVAILABLE");
    EXPECT_EQ(ReasonIn(Commit(transaction)), "UNAVAILABLE") << "a repetition knows no more";
    EXPECT_EQ(Add("words", {"late"}, transaction), "OUTCOME_UNKNOWN");
    EXPECT_EQ(Rollback(transaction), "OUTCOME_UNKNOWN");
    server_.Restart();
    EXPECT_EQ(ReasonIn(Commit(transaction)), written ? "OK" : "TRANSACTION_LOST");
    EXPECT_THAT(Get("words", {key}), ElementsAre(written ? "value of written" : "-"));
  }
}

TEST_F(ServiceTest, UnknownTransactionsAreNamed) {
  std::string unknown = Begin();
  ASSERT_EQ(Rollback(unknown), "OK");
  unknown[15] = static_cast<char>(unknown[15] + 1);
  EXPECT_EQ(Add("words", {"b"}, unknown), "TRANSACTION_NOT_FOUND");
  EXPECT_EQ(Add("words", {"b"}, "short"), "INVALID_ARGUMENT");
  EXPECT_EQ(ReasonIn(Commit("")), "INVALID_ARGUMENT");
}

TEST_F(ServiceTest, ReadOnlyTransactionsRefuseWrites) {
  const std::string transaction = Begin(v1::TRANSACTION_MODE_READ_ONLY);
  EXPECT_EQ(Add("words", {"a"}, transaction), "READ_ONLY_TRANSACTION");
  EXPECT_EQ(Create("other", {}, transaction), "READ_ONLY_TRANSACTION");
  EXPECT_TRUE(Commit(transaction).ok());
}

TEST_F(ServiceTest, ARepeatedRequestIsAnsweredLikeTheFirstAndNotRun) {
  base::SeededRandom random(1);
  v1::AddRequest request = AddOf("words", {"a"});
  request.set_request_id(base::MakeUuid7(base::SystemClock(), random).Bytes());
  v1::AddResponse first;
  ASSERT_TRUE(Add(request, &first).ok());
  v1::AddResponse second;
  ASSERT_TRUE(Add(request, &second).ok());
  EXPECT_EQ(first.SerializeAsString(), second.SerializeAsString());
  EXPECT_EQ(second.report().outcomes(0), v1::WRITE_OUTCOME_ADDED);
  server_.Restart();
  ASSERT_TRUE(Add(request, &second).ok());
  EXPECT_EQ(first.SerializeAsString(), second.SerializeAsString());

  v1::RemoveRequest other;
  other.set_store("words");
  other.set_request_id(request.request_id());
  v1::RemoveResponse response;
  EXPECT_EQ(ReasonIn(Call(*server_.btree, &Btree::Remove, other, &response)), "INVALID_ARGUMENT");
  request.set_transaction_id(Begin());
  EXPECT_EQ(ReasonIn(Add(request, &second)), "INVALID_ARGUMENT");
}

TEST_F(ServiceTest, ScansAndPagesCoverARangeOnce) {
  std::vector<std::string> keys;
  for (int i = 0; i < 500; ++i) keys.push_back(fmt::format("k{:03}", i));
  ASSERT_EQ(Add("words", keys), "OK");
  v1::ScanRequest scan;
  scan.set_store("words");
  scan.set_page_bytes(500);
  scan.mutable_range()->mutable_prefix()->set_string_value("k1");
  grpc::ClientContext context;
  auto reader = server_.btree->Scan(&context, scan);
  v1::ScanResponse page;
  int pages = 0;
  size_t items = 0;
  bool end = false;
  while (reader->Read(&page)) {
    EXPECT_EQ(page.commit_version().empty(), pages > 0);
    ++pages;
    auto parsed = btree::PackedPage::Parse(page.page());
    ASSERT_TRUE(parsed.ok()) << parsed.status();
    for (size_t i = 0; i < parsed->count(); ++i) {
      const btree::PackedItem item = parsed->item(i);
      EXPECT_THAT(std::string(item.key), HasSubstr(keys[100 + items]));
      EXPECT_EQ(item.value, "value of " + keys[100 + items]);
      ++items;
    }
    end = page.end();
  }
  EXPECT_TRUE(reader->Finish().ok());
  EXPECT_GT(pages, 3);
  EXPECT_EQ(items, 100u);
  EXPECT_TRUE(end);

  v1::ReadPageRequest request;
  request.set_store("words");
  request.set_page_size(64);
  request.set_direction(v1::DIRECTION_BACKWARD);
  v1::ReadPageResponse response;
  std::vector<std::string> read;
  do {
    ASSERT_TRUE(Call(*server_.btree, &Btree::ReadPage, request, &response).ok());
    for (const auto& item : response.items()) read.push_back(item.key().string_value());
    request.set_page_token(response.next_page_token());
  } while (!response.end());
  std::reverse(read.begin(), read.end());
  EXPECT_EQ(read, keys);
}

TEST_F(ServiceTest, ScanInATransactionSeesOwnWrites) {
  ASSERT_EQ(Add("words", {"a", "c"}), "OK");
  const std::string transaction = Begin();
  ASSERT_EQ(Add("words", {"b"}, transaction), "OK");
  v1::ScanRequest scan;
  scan.set_store("words");
  scan.set_transaction_id(transaction);
  scan.set_page_bytes(1);
  grpc::ClientContext context;
  auto reader = server_.btree->Scan(&context, scan);
  v1::ScanResponse page;
  size_t items = 0;
  while (reader->Read(&page)) items += btree::PackedPage::Parse(page.page())->count();
  EXPECT_TRUE(reader->Finish().ok());
  EXPECT_EQ(items, 3u);
  EXPECT_EQ(Rollback(transaction), "OK");
}

TEST_F(ServiceTest, PackedGetsAndAddsAreInverse) {
  v1::GetRequest get;
  get.set_store("words");
  get.set_packed(true);
  for (const char* key : {"a", "nothing", "b"}) get.add_keys()->set_string_value(key);
  ASSERT_EQ(Add("words", {"a", "b"}), "OK");
  v1::GetResponse got;
  ASSERT_TRUE(Call(*server_.btree, &Btree::Get, get, &got).ok());
  EXPECT_THAT(got.missing(), ElementsAre(1));
  EXPECT_THAT(got.items(), IsEmpty());
  ASSERT_EQ(Create("copy", {}), "OK");
  v1::AddRequest add;
  add.set_store("copy");
  add.set_packed(got.packed());
  v1::AddResponse added;
  // Encoded keys have no names; a scalar's type they do have.
  const grpc::Status copied = Add(add, &added);
  ASSERT_TRUE(copied.ok()) << copied.error_message();
  EXPECT_THAT(Get("copy", {"a", "b"}), ElementsAre("value of a", "value of b"));
}

TEST_F(ServiceTest, VersionsOfAPackedPageMustStillHold) {
  v1::GetRequest get;
  get.set_store("words");
  get.set_packed(true);
  get.add_keys()->set_string_value("a");
  ASSERT_EQ(Add("words", {"a"}), "OK");
  v1::GetResponse got;
  ASSERT_TRUE(Call(*server_.btree, &Btree::Get, get, &got).ok());
  v1::UpsertRequest upsert;
  upsert.set_store("words");
  upsert.set_packed(got.packed());
  v1::UpsertResponse answer;
  EXPECT_TRUE(Call(*server_.btree, &Btree::Upsert, upsert, &answer).ok());
  const grpc::Status again = Call(*server_.btree, &Btree::Upsert, upsert, &answer);
  EXPECT_EQ(again.error_code(), grpc::StatusCode::FAILED_PRECONDITION);
}

TEST_F(ServiceTest, SeekFindsNeighbours) {
  ASSERT_EQ(Add("words", {"a", "c", "e"}), "OK");
  v1::SeekRequest request;
  request.set_store("words");
  request.set_target(v1::SEEK_TARGET_AT_OR_AFTER);
  request.mutable_key()->set_string_value("b");
  request.set_with_neighbours(true);
  v1::SeekResponse response;
  ASSERT_TRUE(Call(*server_.btree, &Btree::Seek, request, &response).ok());
  EXPECT_EQ(response.item().key().string_value(), "c");
  EXPECT_FALSE(response.exact());
  EXPECT_EQ(response.previous().key().string_value(), "a");
  EXPECT_EQ(response.next().key().string_value(), "e");
  request.clear_key();
  EXPECT_EQ(ReasonIn(Call(*server_.btree, &Btree::Seek, request, &response)), "INVALID_ARGUMENT");
}

TEST_F(ServiceTest, RequestsOfOneTransactionWaitForTheirTurn) {
  const std::string transaction = Begin();
  std::vector<std::thread> threads;
  for (int t = 0; t < 4; ++t) {
    threads.emplace_back([&, t] {
      for (int i = 0; i < 25; ++i) {
        EXPECT_EQ(Add("words", {fmt::format("{}-{}", t, i)}, transaction), "OK");
      }
    });
  }
  for (std::thread& thread : threads) thread.join();
  EXPECT_TRUE(Commit(transaction).ok());
  EXPECT_EQ(Count("words"), "100");
}

TEST_F(ServiceTest, HealthAndMetricsAreServed) {
  ASSERT_EQ(Add("words", {"a"}), "OK");
  httplib::Client client("127.0.0.1", server_.daemon().http_port());
  EXPECT_EQ(client.Get("/healthz")->status, 200);
  // A call is counted when its answer has been handed to the transport, which may be after the
  // client has it.
  const std::string counted = "sop_requests_total{code=\"OK\",method=\"sop.v1.BtreeService/Add\"}";
  std::string text;
  for (int tries = 0; tries < 500 && text.find(counted) == std::string::npos; ++tries) {
    absl::SleepFor(absl::Milliseconds(10));
    text = client.Get("/metrics")->body;
  }
  EXPECT_TRUE(text.find(counted) != std::string::npos);
  EXPECT_THAT(text, HasSubstr("sop_database_operations_total{database=\"default\"}"));
}

}  // namespace
}  // namespace sop
