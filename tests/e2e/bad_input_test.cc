// Everything a client can get wrong, through the network: each the typed error of the API, naming
// what is wrong, with nothing changed by it.
#include <gmock/gmock.h>
#include <grpcpp/grpcpp.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <cmath>
#include <functional>
#include <map>
#include <memory>
#include <ostream>
#include <string>
#include <vector>

#include "absl/time/clock.h"
#include "google/rpc/error_details.pb.h"
#include "google/rpc/status.pb.h"
#include "sop/v1/btree.grpc.pb.h"
#include "sop/v1/database.grpc.pb.h"
#include "sop/v1/transaction.grpc.pb.h"
#include "tests/e2e/live_server.h"

namespace sop::e2e {
namespace {

using grpc::StatusCode;

// The server and its services. `Call` runs one RPC.
class Calls {
 public:
  explicit Calls(const std::shared_ptr<grpc::Channel>& channel, std::string stores_root)
      : databases(v1::DatabaseService::NewStub(channel)),
        transactions(v1::TransactionService::NewStub(channel)),
        btrees(v1::BtreeService::NewStub(channel)),
        root(std::move(stores_root)) {}

  template <typename Stub, typename Request, typename Response>
  static grpc::Status Call(Stub& stub,
                           grpc::Status (Stub::*method)(grpc::ClientContext*, const Request&,
                                                        Response*),
                           const Request& request, Response* response) {
    grpc::ClientContext context;
    context.set_deadline(absl::ToChronoTime(absl::Now() + absl::Seconds(60)));
    return (stub.*method)(&context, request, response);
  }

  grpc::Status Add(const v1::AddRequest& request) {
    v1::AddResponse response;
    return Call(*btrees, &v1::BtreeService::Stub::Add, request, &response);
  }
  grpc::Status Get(const v1::GetRequest& request) {
    v1::GetResponse response;
    return Call(*btrees, &v1::BtreeService::Stub::Get, request, &response);
  }
  grpc::Status Create(const v1::CreateBtreeRequest& request) {
    v1::CreateBtreeResponse response;
    return Call(*btrees, &v1::BtreeService::Stub::CreateBtree, request, &response);
  }
  grpc::Status CreateDatabase(const v1::CreateDatabaseRequest& request) {
    v1::CreateDatabaseResponse response;
    return Call(*databases, &v1::DatabaseService::Stub::CreateDatabase, request, &response);
  }
  grpc::Status Execute(const v1::ExecuteRequest& request) {
    v1::ExecuteResponse response;
    return Call(*transactions, &v1::TransactionService::Stub::Execute, request, &response);
  }
  grpc::Status Commit(const std::string& id) {
    v1::CommitRequest request;
    v1::CommitResponse response;
    request.set_transaction_id(id);
    return Call(*transactions, &v1::TransactionService::Stub::Commit, request, &response);
  }
  grpc::Status Rollback(const std::string& id) {
    v1::RollbackRequest request;
    v1::RollbackResponse response;
    request.set_transaction_id(id);
    return Call(*transactions, &v1::TransactionService::Stub::Rollback, request, &response);
  }
  // The id of a transaction.
  std::string Begin(const v1::BeginRequest& request = {}) {
    v1::BeginResponse response;
    const grpc::Status status =
        Call(*transactions, &v1::TransactionService::Stub::Begin, request, &response);
    EXPECT_TRUE(status.ok()) << status.error_message();
    return response.transaction_id();
  }
  uint64_t Count(const std::string& store) {
    v1::CountRequest request;
    v1::CountResponse response;
    request.set_store(store);
    const grpc::Status status = Call(*btrees, &v1::BtreeService::Stub::Count, request, &response);
    EXPECT_TRUE(status.ok()) << status.error_message();
    return response.count();
  }

  const std::unique_ptr<v1::DatabaseService::Stub> databases;
  const std::unique_ptr<v1::TransactionService::Stub> transactions;
  const std::unique_ptr<v1::BtreeService::Stub> btrees;
  const std::string root;
};

// An item for the store `numbers`, whose keys are int64.
v1::AddRequest NumberToAdd(int64_t number, std::string value = "v") {
  v1::AddRequest request;
  request.set_store("numbers");
  v1::WriteItem* item = request.add_items();
  item->mutable_key()->set_int64_value(number);
  item->mutable_value()->set_content(std::move(value));
  return request;
}

// A key for the store `records`, ordered by the fields `category` (string) and `code` (int64).
v1::AddRequest RecordToAdd(const std::vector<std::pair<std::string, int64_t>>& integers,
                           const std::vector<std::pair<std::string, std::string>>& strings) {
  v1::AddRequest request;
  request.set_store("records");
  v1::Record* record = request.add_items()->mutable_key()->mutable_record();
  for (const auto& [name, value] : strings) {
    v1::Field* field = record->add_fields();
    field->set_name(name);
    field->mutable_value()->set_string_value(value);
  }
  for (const auto& [name, value] : integers) {
    v1::Field* field = record->add_fields();
    field->set_name(name);
    field->mutable_value()->set_int64_value(value);
  }
  return request;
}

v1::AddRequest TextToAdd(std::string key, std::string value = "v") {
  v1::AddRequest request;
  request.set_store("texts");
  v1::WriteItem* item = request.add_items();
  item->mutable_key()->set_string_value(std::move(key));
  item->mutable_value()->set_content(std::move(value));
  return request;
}

v1::CreateBtreeRequest StoreToCreate(std::string name) {
  v1::CreateBtreeRequest request;
  request.set_store(std::move(name));
  return request;
}

// One wrong request and what must be answered.
struct BadInput {
  const char* name;
  std::function<grpc::Status(Calls&)> send;
  StatusCode code;
  const char* reason;
  // Of ErrorInfo, with the value it must have; an empty value: any but none.
  std::map<std::string, std::string> metadata;
  // Words of the message.
  std::vector<std::string> words;
};

std::ostream& operator<<(std::ostream& out, const BadInput& input) { return out << input.name; }

google::rpc::ErrorInfo ErrorInfoOf(const grpc::Status& status) {
  google::rpc::Status details;
  google::rpc::ErrorInfo found;
  if (details.ParseFromString(status.error_details())) {
    for (const google::protobuf::Any& detail : details.details()) {
      detail.UnpackTo(&found);
    }
  }
  return found;
}

class BadInputTest : public testing::TestWithParam<BadInput> {
 protected:
  static void SetUpTestSuite() {
    auto server = LiveServer::Start(SOP_SOPD);
    ASSERT_TRUE(server.ok()) << server.status();
    server_ = std::move(server)->release();
    calls_ = new Calls(server_->channel(), server_->stores_root());
    v1::CreateBtreeRequest numbers = StoreToCreate("numbers");
    numbers.mutable_options()->set_unique(true);
    ASSERT_TRUE(calls_->Create(numbers).ok());
    v1::CreateBtreeRequest records = StoreToCreate("records");
    for (const char* name : {"category", "code"}) {
      records.mutable_options()->mutable_index()->add_fields()->set_name(name);
    }
    ASSERT_TRUE(calls_->Create(records).ok());
    ASSERT_TRUE(calls_->Create(StoreToCreate("texts")).ok());
    const grpc::Status number = calls_->Add(NumberToAdd(1));
    ASSERT_TRUE(number.ok()) << number.error_message();
    ASSERT_TRUE(calls_->Add(RecordToAdd({{"code", 65}}, {{"category", "Lu"}})).ok());
    ASSERT_TRUE(calls_->Add(TextToAdd("first")).ok());
  }

  static void TearDownTestSuite() {
    delete calls_;
    calls_ = nullptr;
    delete server_;
    server_ = nullptr;
  }

  static inline LiveServer* server_ = nullptr;
  static inline Calls* calls_ = nullptr;
};

TEST_P(BadInputTest, IsAnsweredWithItsTypedErrorAndChangesNothing) {
  const BadInput& input = GetParam();
  const grpc::Status status = input.send(*calls_);
  const google::rpc::ErrorInfo error = ErrorInfoOf(status);
  EXPECT_EQ(status.error_code(), input.code) << status.error_message();
  EXPECT_EQ(error.reason(), input.reason) << status.error_message();
  for (const auto& [name, value] : input.metadata) {
    const auto found = error.metadata().find(name);
    ASSERT_NE(found, error.metadata().end()) << name << " in " << error.DebugString();
    EXPECT_FALSE(found->second.empty()) << name;
    EXPECT_TRUE(value.empty() || found->second == value) << name << " = " << found->second;
  }
  for (const std::string& word : input.words) {
    EXPECT_THAT(status.error_message(), testing::HasSubstr(word));
  }
  EXPECT_EQ(calls_->Count("numbers"), 1u);
  EXPECT_EQ(calls_->Count("records"), 1u);
  EXPECT_EQ(calls_->Count("texts"), 1u);
}

std::string NameOf(const testing::TestParamInfo<BadInput>& tested) { return tested.param.name; }

// ---- keys

grpc::Status SendNan(Calls& calls) {
  v1::CreateBtreeRequest doubles = StoreToCreate("doubles");
  v1::KeySchema* schema = doubles.mutable_options()->mutable_schema();
  schema->set_shape(v1::KEY_SHAPE_SCALAR);
  schema->add_fields()->set_type(v1::SCALAR_TYPE_DOUBLE);
  EXPECT_TRUE(calls.Create(doubles).ok());
  v1::AddRequest request = NumberToAdd(2);
  request.set_store("doubles");
  request.mutable_items(0)->mutable_key()->set_double_value(NAN);
  return calls.Add(request);
}

grpc::Status SendNoKey(Calls& calls) {
  v1::AddRequest request = NumberToAdd(2);
  request.mutable_items(0)->clear_key();
  return calls.Add(request);
}

grpc::Status SendStringAsNumber(Calls& calls) {
  v1::AddRequest request = NumberToAdd(2);
  request.mutable_items(0)->mutable_key()->set_string_value("two");
  return calls.Add(request);
}

grpc::Status SendDoubleAsNumber(Calls& calls) {
  v1::AddRequest request = NumberToAdd(2);
  request.mutable_items(0)->mutable_key()->set_double_value(2.0);
  return calls.Add(request);
}

grpc::Status SendWrongUtf8(Calls& calls) {
  // The protobuf library of this process would refuse to send a string that is not UTF-8, so the
  // bytes come encoded.
  v1::AddRequest request = TextToAdd("");
  request.mutable_items(0)->mutable_key()->mutable_encoded()->set_key("\x40\xff\x01");
  return calls.Add(request);
}

grpc::Status SendShortUuid(Calls& calls) {
  v1::AddRequest request = NumberToAdd(2);
  request.mutable_items(0)->mutable_key()->set_uuid_value("short");
  return calls.Add(request);
}

// The second of two items is wrong: the first one must not be there either.
grpc::Status SendGoodAndBadItem(Calls& calls) {
  v1::AddRequest request = NumberToAdd(2);
  request.add_items()->mutable_key()->set_string_value("three");
  return calls.Add(request);
}

grpc::Status GetOtherType(Calls& calls) {
  v1::GetRequest request;
  request.set_store("numbers");
  request.add_keys()->set_bool_value(true);
  return calls.Get(request);
}

const BadInput kKeys[] = {
    {"WrongKeyType", SendStringAsNumber, StatusCode::INVALID_ARGUMENT, "KEY_TYPE_DIFFERS", {}, {}},
    {"DoubleInAnIntegerStore",
     SendDoubleAsNumber,
     StatusCode::INVALID_ARGUMENT,
     "KEY_TYPE_DIFFERS",
     {},
     {}},
    {"WrongTypeInAField",
     [](Calls& calls) {
       return calls.Add(RecordToAdd({}, {{"category", "Lu"}, {"code", "66"}}));
     },
     StatusCode::INVALID_ARGUMENT,
     "KEY_TYPE_DIFFERS",
     {{"field", "code"}},
     {"code"}},
    {"WrongTypeInARead", GetOtherType, StatusCode::INVALID_ARGUMENT, "KEY_TYPE_DIFFERS", {}, {}},
    {"RecordInAScalarStore",
     [](Calls& calls) {
       v1::AddRequest request = RecordToAdd({{"a", 1}}, {});
       request.set_store("numbers");
       return calls.Add(request);
     },
     StatusCode::INVALID_ARGUMENT,
     "KEY_TYPE_DIFFERS",
     {},
     {}},
    {"MissingIndexedField",
     [](Calls& calls) {
       return calls.Add(RecordToAdd({}, {{"category", "Lu"}}));
     },
     StatusCode::INVALID_ARGUMENT,
     "FIELD_MISSING",
     {{"field", "code"}},
     {"code"}},
    {"FieldGivenTwice",
     [](Calls& calls) {
       return calls.Add(RecordToAdd({{"code", 1}, {"code", 2}}, {{"category", "Lu"}}));
     },
     StatusCode::INVALID_ARGUMENT,
     "INVALID_KEY",
     {},
     {"code"}},
    {"NotANumber", SendNan, StatusCode::INVALID_ARGUMENT, "INVALID_KEY", {}, {"NaN"}},
    {"NoKey", SendNoKey, StatusCode::INVALID_ARGUMENT, "INVALID_KEY", {}, {}},
    {"ShortUuid", SendShortUuid, StatusCode::INVALID_ARGUMENT, "INVALID_KEY", {}, {}},
    {"EncodedKeyThatIsNotUtf8", SendWrongUtf8, StatusCode::INVALID_ARGUMENT, "INVALID_KEY", {}, {}},
    {"KeyOverItsLimit",
     [](Calls& calls) { return calls.Add(TextToAdd(std::string(4096, 'k'))); },
     StatusCode::INVALID_ARGUMENT,
     "INVALID_KEY",
     {{"limit", "4096"}},
     {"4096"}},
    {"KeyFarOverItsLimit",
     [](Calls& calls) { return calls.Add(TextToAdd(std::string(400'000, 'k'))); },
     StatusCode::INVALID_ARGUMENT,
     "INVALID_KEY",
     {{"limit", "4096"}},
     {"4096"}},
    {"OneBadItemOfTwo",
     SendGoodAndBadItem,
     StatusCode::INVALID_ARGUMENT,
     "KEY_TYPE_DIFFERS",
     {},
     {}},
};

INSTANTIATE_TEST_SUITE_P(Keys, BadInputTest, testing::ValuesIn(kKeys), NameOf);

// ---- values and messages

const BadInput kSizes[] = {
    {"MessageOverItsLimit",
     [](Calls& calls) { return calls.Add(TextToAdd("k", std::string((4 << 20) + 1, 'v'))); },
     StatusCode::INVALID_ARGUMENT,
     "MESSAGE_TOO_LARGE",
     {{"limit", "4194304"}},
     {"4194304"}},
    {"TooManyItems",
     [](Calls& calls) {
       v1::AddRequest request = NumberToAdd(2);
       for (int i = 0; i < 65'536; ++i) {
         request.add_items()->mutable_key()->set_int64_value(3 + i);
       }
       return calls.Add(request);
     },
     StatusCode::INVALID_ARGUMENT,
     "INVALID_ARGUMENT",
     {{"limit", "65536"}},
     {"65536"}},
};

INSTANTIATE_TEST_SUITE_P(Sizes, BadInputTest, testing::ValuesIn(kSizes), NameOf);

// ---- names

BadInput BadName(const char* test_name, std::string store, std::vector<std::string> words = {}) {
  return {test_name,
          [store](Calls& calls) { return calls.Create(StoreToCreate(store)); },
          StatusCode::INVALID_ARGUMENT,
          "INVALID_NAME",
          {},
          std::move(words)};
}

const BadInput kNames[] = {
    BadName("Empty", ""),
    BadName("WithSlash", "a/b"),
    BadName("WithBackslash", "a\\b"),
    BadName("DotDot", ".."),
    BadName("DotDotInside", "a..b"),
    BadName("WithNul", std::string("a\0b", 3)),
    BadName("OverItsLimit", std::string(129, 'n'), {"128"}),
    BadName("FarOverItsLimit", std::string(65'536, 'n'), {"128"}),
    {"OfADatabase",
     [](Calls& calls) {
       v1::CreateDatabaseRequest request;
       request.set_name("../outside");
       return calls.CreateDatabase(request);
     },
     StatusCode::INVALID_ARGUMENT,
     "INVALID_NAME",
     {},
     {}},
};

INSTANTIATE_TEST_SUITE_P(Names, BadInputTest, testing::ValuesIn(kNames), NameOf);

// ---- what is not there

// Looks like one of this server's, which it never gave out.
std::string NoTransaction(Calls& calls) {
  std::string id = calls.Begin();
  EXPECT_TRUE(calls.Rollback(id).ok());
  id.back() ^= 1;
  return id;
}

const BadInput kUnknown[] = {
    {"Store",
     [](Calls& calls) {
       v1::AddRequest request = NumberToAdd(2);
       request.set_store("nothing");
       return calls.Add(request);
     },
     StatusCode::NOT_FOUND,
     "STORE_NOT_FOUND",
     {{"store", "nothing"}},
     {"nothing"}},
    {"StoreToRemove",
     [](Calls& calls) {
       v1::RemoveStoreRequest request;
       v1::RemoveStoreResponse response;
       request.set_store("nothing");
       return Calls::Call(*calls.databases, &v1::DatabaseService::Stub::RemoveStore, request,
                          &response);
     },
     StatusCode::NOT_FOUND,
     "STORE_NOT_FOUND",
     {{"store", "nothing"}},
     {}},
    {"Database",
     [](Calls& calls) {
       v1::AddRequest request = NumberToAdd(2);
       request.set_database("nowhere");
       return calls.Add(request);
     },
     StatusCode::NOT_FOUND,
     "DATABASE_NOT_FOUND",
     {{"database", "nowhere"}},
     {"nowhere"}},
    {"DatabaseToDelete",
     [](Calls& calls) {
       v1::DeleteDatabaseRequest request;
       v1::DeleteDatabaseResponse response;
       request.set_database("nowhere");
       return Calls::Call(*calls.databases, &v1::DatabaseService::Stub::DeleteDatabase, request,
                          &response);
     },
     StatusCode::NOT_FOUND,
     "DATABASE_NOT_FOUND",
     {},
     {}},
    {"Transaction",
     [](Calls& calls) {
       v1::AddRequest request = NumberToAdd(2);
       request.set_transaction_id(NoTransaction(calls));
       return calls.Add(request);
     },
     StatusCode::NOT_FOUND,
     "TRANSACTION_NOT_FOUND",
     {},
     {}},
    {"TransactionToRollBack", [](Calls& calls) { return calls.Rollback(NoTransaction(calls)); },
     StatusCode::NOT_FOUND, "TRANSACTION_NOT_FOUND", std::map<std::string, std::string>(),
     std::vector<std::string>()},
    {"TransactionIdOfTheWrongSize",
     [](Calls& calls) {
       v1::AddRequest request = NumberToAdd(2);
       request.set_transaction_id("short");
       return calls.Add(request);
     },
     StatusCode::INVALID_ARGUMENT,
     "INVALID_ARGUMENT",
     {},
     {"transaction_id"}},
    {"RequiredKey",
     [](Calls& calls) {
       v1::UpdateRequest request;
       v1::UpdateResponse response;
       request.set_store("numbers");
       request.set_require_all(true);
       request.add_items()->mutable_key()->set_int64_value(77);
       return Calls::Call(*calls.btrees, &v1::BtreeService::Stub::Update, request, &response);
     },
     StatusCode::NOT_FOUND,
     "KEY_NOT_FOUND",
     {{"store", "numbers"}},
     {"77"}},
};

INSTANTIATE_TEST_SUITE_P(Unknown, BadInputTest, testing::ValuesIn(kUnknown), NameOf);

// ---- transactions

grpc::Status WriteInReadOnly(Calls& calls) {
  v1::BeginRequest begin;
  begin.set_mode(v1::TRANSACTION_MODE_READ_ONLY);
  v1::AddRequest request = NumberToAdd(2);
  request.set_transaction_id(calls.Begin(begin));
  return calls.Add(request);
}

grpc::Status WriteAfterCommit(Calls& calls) {
  const std::string id = calls.Begin();
  EXPECT_TRUE(calls.Commit(id).ok());
  v1::AddRequest request = NumberToAdd(2);
  request.set_transaction_id(id);
  return calls.Add(request);
}

grpc::Status WriteAfterRollback(Calls& calls) {
  const std::string id = calls.Begin();
  EXPECT_TRUE(calls.Rollback(id).ok());
  v1::AddRequest request = NumberToAdd(2);
  request.set_transaction_id(id);
  return calls.Add(request);
}

// Idle for longer than the 50 ms it asked for.
std::string ExpiredTransaction(Calls& calls) {
  v1::BeginRequest begin;
  begin.mutable_idle_limit()->set_nanos(50'000'000);
  const std::string id = calls.Begin(begin);
  v1::AddRequest request = NumberToAdd(2);
  request.set_transaction_id(id);
  EXPECT_TRUE(calls.Add(request).ok());
  absl::SleepFor(absl::Milliseconds(400));
  return id;
}

grpc::Status WriteInExpired(Calls& calls) {
  v1::AddRequest request = NumberToAdd(3);
  request.set_transaction_id(ExpiredTransaction(calls));
  return calls.Add(request);
}

grpc::Status CommitExpired(Calls& calls) { return calls.Commit(ExpiredTransaction(calls)); }

// The first operation is good and must be undone by the failure of the second; the third must not
// be the one that is named.
grpc::Status ExecuteWithAFailure(Calls& calls) {
  v1::ExecuteRequest request;
  *request.add_operations()->mutable_add() = NumberToAdd(2);
  v1::Operation* second = request.add_operations();
  *second->mutable_add() = NumberToAdd(3);
  second->mutable_add()->mutable_items(0)->mutable_key()->set_string_value("three");
  request.add_operations()->mutable_add()->set_store("nothing");
  return calls.Execute(request);
}

grpc::Status ExecuteWithoutOperation(Calls& calls) {
  v1::ExecuteRequest request;
  request.add_operations();
  return calls.Execute(request);
}

grpc::Status ExecuteWithPreconditionNotMet(Calls& calls) {
  v1::ExecuteRequest request;
  v1::Precondition* condition = request.add_preconditions();
  condition->set_store("numbers");
  condition->mutable_key()->set_int64_value(1);
  condition->set_exists(false);
  *request.add_operations()->mutable_add() = NumberToAdd(2);
  return calls.Execute(request);
}

grpc::Status ConflictingCommit(Calls& calls) {
  const std::string id = calls.Begin();
  v1::GetRequest get;
  get.set_store("numbers");
  get.set_transaction_id(id);
  get.add_keys()->set_int64_value(1);
  EXPECT_TRUE(calls.Get(get).ok());
  v1::AddRequest add = NumberToAdd(2);
  add.set_transaction_id(id);
  EXPECT_TRUE(calls.Add(add).ok());
  v1::UpdateRequest update;
  v1::UpdateResponse response;
  update.set_store("numbers");
  update.add_items()->mutable_key()->set_int64_value(1);
  EXPECT_TRUE(Calls::Call(*calls.btrees, &v1::BtreeService::Stub::Update, update, &response).ok());
  return calls.Commit(id);
}

const BadInput kTransactions[] = {
    {"WriteInAReadOnlyOne",
     WriteInReadOnly,
     StatusCode::FAILED_PRECONDITION,
     "READ_ONLY_TRANSACTION",
     {},
     {}},
    {"WriteAfterItsCommit",
     WriteAfterCommit,
     StatusCode::FAILED_PRECONDITION,
     "TRANSACTION_ENDED",
     {},
     {}},
    {"WriteAfterItsRollback",
     WriteAfterRollback,
     StatusCode::FAILED_PRECONDITION,
     "TRANSACTION_ENDED",
     {},
     {}},
    {"WriteInAnExpiredOne", WriteInExpired, StatusCode::ABORTED, "TRANSACTION_EXPIRED", {}, {}},
    {"CommitOfAnExpiredOne", CommitExpired, StatusCode::ABORTED, "TRANSACTION_EXPIRED", {}, {}},
    {"ExecuteWithAFailure",
     ExecuteWithAFailure,
     StatusCode::INVALID_ARGUMENT,
     "KEY_TYPE_DIFFERS",
     {{"operation", "1"}},
     {}},
    {"ExecuteWithoutOperation",
     ExecuteWithoutOperation,
     StatusCode::INVALID_ARGUMENT,
     "INVALID_ARGUMENT",
     {},
     {}},
    {"PreconditionNotMet",
     ExecuteWithPreconditionNotMet,
     StatusCode::FAILED_PRECONDITION,
     "PRECONDITION_NOT_MET",
     {},
     {}},
    {"Conflict",
     ConflictingCommit,
     StatusCode::ABORTED,
     "CONFLICT",
     {{"store", "numbers"}, {"key", ""}},
     {"numbers"}},
};

INSTANTIATE_TEST_SUITE_P(Transactions, BadInputTest, testing::ValuesIn(kTransactions), NameOf);

// ---- folders and options

grpc::Status CreateIn(Calls& calls, const std::string& folder) {
  v1::CreateDatabaseRequest request;
  request.add_stores_folders(folder);
  return calls.CreateDatabase(request);
}

grpc::Status CreateBehindLink(Calls& calls) {
  const std::string link = calls.root + "/link";
  if (access(link.c_str(), F_OK) != 0) {
    EXPECT_EQ(symlink("/var", link.c_str()), 0);
  }
  return CreateIn(calls, link + "/sop-outside");
}

BadInput BadFolder(const char* name, std::function<grpc::Status(Calls&)> send) {
  return {name, std::move(send), StatusCode::FAILED_PRECONDITION, "FOLDER_NOT_ALLOWED", {}, {}};
}

const BadInput kFoldersAndOptions[] = {
    BadFolder("FolderOutsideTheRoots",
              [](Calls& calls) { return CreateIn(calls, "/var/sop-outside"); }),
    BadFolder("FolderOutsideByDotDot",
              [](Calls& calls) { return CreateIn(calls, calls.root + "/../../sop-outside"); }),
    BadFolder("FolderOutsideByALink", CreateBehindLink),
    {"TwoFolders",
     [](Calls& calls) {
       v1::CreateDatabaseRequest request;
       request.add_stores_folders(calls.root + "/one");
       request.add_stores_folders(calls.root + "/two");
       return calls.CreateDatabase(request);
     },
     StatusCode::INVALID_ARGUMENT,
     "INVALID_ARGUMENT",
     {},
     {}},
    {"Cluster",
     [](Calls& calls) {
       v1::CreateDatabaseRequest request;
       request.set_name("shared");
       request.set_type(v1::DATABASE_TYPE_CLUSTERED);
       return calls.CreateDatabase(request);
     },
     StatusCode::UNIMPLEMENTED,
     "UNIMPLEMENTED",
     {},
     {}},
    {"OptionsThatDiffer",
     [](Calls& calls) {
       v1::CreateBtreeRequest request = StoreToCreate("numbers");
       request.mutable_options()->set_unique(false);
       return calls.Create(request);
     },
     StatusCode::FAILED_PRECONDITION,
     "OPTIONS_DIFFER",
     {{"store", "numbers"}, {"option", "unique"}},
     {"unique"}},
    {"IndexThatDiffers",
     [](Calls& calls) {
       v1::CreateBtreeRequest request = StoreToCreate("records");
       request.mutable_options()->mutable_index()->add_fields()->set_name("code");
       return calls.Create(request);
     },
     StatusCode::FAILED_PRECONDITION,
     "OPTIONS_DIFFER",
     {{"store", "records"}, {"option", "index"}},
     {"index"}},
    {"SlotLengthOutOfRange",
     [](Calls& calls) {
       v1::CreateBtreeRequest request = StoreToCreate("other");
       request.mutable_options()->set_slot_length(1);
       return calls.Create(request);
     },
     StatusCode::INVALID_ARGUMENT,
     "INVALID_ARGUMENT",
     {},
     {"slot_length"}},
};

INSTANTIATE_TEST_SUITE_P(FoldersAndOptions, BadInputTest, testing::ValuesIn(kFoldersAndOptions),
                         NameOf);

// ---- what is just allowed

using GoodInputTest = BadInputTest;

TEST_F(GoodInputTest, LimitsThemselvesAreNotOverThem) {
  ASSERT_TRUE(calls_->Create(StoreToCreate(std::string(128, 'n'))).ok());
  ASSERT_TRUE(calls_->Create(StoreToCreate("limits")).ok());
  v1::AddRequest value = TextToAdd("key", std::string(65'536, 'v'));
  value.set_store("limits");
  const grpc::Status stored = calls_->Add(value);
  EXPECT_TRUE(stored.ok()) << stored.error_message();
  // Type byte and the end of the string take the rest of the 4096 bytes.
  v1::AddRequest key = TextToAdd(std::string(4093, 'k'));
  key.set_store("limits");
  const grpc::Status added = calls_->Add(key);
  EXPECT_TRUE(added.ok()) << added.error_message();
  EXPECT_EQ(calls_->Count("limits"), 2u);
}

// In unary calls a failed request leaves its transaction usable.
TEST_F(GoodInputTest, ATransactionGoesOnAfterAFailedUnaryCall) {
  const std::string id = calls_->Begin();
  v1::AddRequest bad = NumberToAdd(2);
  bad.set_transaction_id(id);
  bad.mutable_items(0)->mutable_key()->set_string_value("two");
  EXPECT_EQ(calls_->Add(bad).error_code(), StatusCode::INVALID_ARGUMENT);
  ASSERT_TRUE(calls_->Create(StoreToCreate("afterwards")).ok());
  v1::AddRequest good = TextToAdd("k");
  good.set_transaction_id(calls_->Begin());
  good.set_store("afterwards");
  EXPECT_TRUE(calls_->Add(good).ok());
  EXPECT_TRUE(calls_->Commit(good.transaction_id()).ok());
  EXPECT_TRUE(calls_->Commit(id).ok());
  EXPECT_EQ(calls_->Count("afterwards"), 1u);
  EXPECT_EQ(calls_->Count("numbers"), 1u);
}

// A transaction of a server that was killed is told so.
TEST_F(GoodInputTest, ATransactionOfAKilledServerIsLost) {
  const std::string id = calls_->Begin();
  ASSERT_TRUE(server_->KillAndRestart().ok());
  delete calls_;
  calls_ = new Calls(server_->channel(), server_->stores_root());
  const grpc::Status status = calls_->Commit(id);
  EXPECT_EQ(status.error_code(), StatusCode::ABORTED) << status.error_message();
  EXPECT_EQ(ErrorInfoOf(status).reason(), "TRANSACTION_LOST") << status.error_message();
  EXPECT_EQ(calls_->Count("numbers"), 1u);
}

}  // namespace
}  // namespace sop::e2e
