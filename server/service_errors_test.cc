#include <filesystem>
#include <limits>
#include <string>
#include <vector>

#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "server/server_fixture_test.h"

namespace sop {
namespace {

using ::testing::HasSubstr;
using Btree = v1::BtreeService::Stub;
using Transactions = v1::TransactionService::Stub;
using Databases = v1::DatabaseService::Stub;

class ServiceErrorsTest : public ::testing::Test {
 protected:
  std::string Create(const std::string& store, const v1::BtreeOptions& options = {}) {
    v1::CreateBtreeRequest request;
    request.set_store(store);
    *request.mutable_options() = options;
    v1::CreateBtreeResponse response;
    return ReasonIn(Call(*server_.btree, &Btree::CreateBtree, request, &response));
  }
  std::string Add(const std::string& store, const v1::Key& key, const std::string& value = "") {
    v1::AddRequest request;
    request.set_store(store);
    *request.add_items()->mutable_key() = key;
    request.mutable_items(0)->mutable_value()->set_content(value);
    v1::AddResponse response;
    return ReasonIn(Call(*server_.btree, &Btree::Add, request, &response));
  }
  grpc::Status CreateDatabase(const v1::CreateDatabaseRequest& request,
                              v1::CreateDatabaseResponse* response) {
    return Call(*server_.database, &Databases::CreateDatabase, request, response);
  }
  static v1::Key Text(const std::string& text) {
    v1::Key key;
    key.set_string_value(text);
    return key;
  }

  TestServer server_;
};

TEST_F(ServiceErrorsTest, BadKeysAndValuesAreTyped) {
  ASSERT_EQ(Create("s"), "OK");
  ASSERT_EQ(Add("s", Text("decides strings")), "OK");
  v1::Key key;
  EXPECT_EQ(Add("s", key), "INVALID_KEY");
  key.set_int64_value(1);
  EXPECT_EQ(Add("s", key), "KEY_TYPE_DIFFERS");
  EXPECT_EQ(Add("s", Text(std::string(4'100, 'k'))), "INVALID_KEY");
  ASSERT_EQ(Create("d"), "OK");
  key.set_double_value(std::numeric_limits<double>::quiet_NaN());
  EXPECT_EQ(Add("d", key), "INVALID_KEY");
  v1::BtreeOptions options;
  options.mutable_index()->add_fields()->set_name("a");
  ASSERT_EQ(Create("r", options), "OK");
  v1::Field* field = key.mutable_record()->add_fields();
  field->set_name("b");
  field->mutable_value()->set_int64_value(1);
  EXPECT_EQ(Add("r", key), "FIELD_MISSING");
}

TEST_F(ServiceErrorsTest, BadNamesAreTyped) {
  for (const std::string& name :
       {std::string(), std::string("a/b"), std::string(".."), std::string("a\0b", 3),
        std::string(129, 'n'), std::string(64 << 10, 'n')}) {
    EXPECT_EQ(Create(name), "INVALID_NAME") << name.size();
    v1::CreateDatabaseRequest request;
    request.set_name(name);
    v1::CreateDatabaseResponse response;
    if (!name.empty()) EXPECT_EQ(ReasonIn(CreateDatabase(request, &response)), "INVALID_NAME");
  }
  EXPECT_EQ(Create(std::string(128, 'n')), "OK");
}

TEST_F(ServiceErrorsTest, UnknownThingsAreNamed) {
  EXPECT_EQ(Add("nowhere", Text("k")), "STORE_NOT_FOUND");
  v1::CountRequest request;
  request.set_database("nowhere");
  request.set_store("s");
  v1::CountResponse response;
  const grpc::Status status = Call(*server_.btree, &Btree::Count, request, &response);
  EXPECT_EQ(status.error_code(), grpc::StatusCode::NOT_FOUND);
  EXPECT_EQ(ErrorOf(status).reason(), "DATABASE_NOT_FOUND");
  EXPECT_EQ(ErrorOf(status).metadata().at("database"), "nowhere");
}

TEST_F(ServiceErrorsTest, OptionsThatDifferAreNamed) {
  v1::BtreeOptions options;
  options.set_unique(false);
  ASSERT_EQ(Create("s", options), "OK");
  EXPECT_EQ(Create("s"), "OK");
  options.set_unique(true);
  v1::CreateBtreeRequest request;
  request.set_store("s");
  *request.mutable_options() = options;
  v1::CreateBtreeResponse response;
  const grpc::Status status = Call(*server_.btree, &Btree::CreateBtree, request, &response);
  EXPECT_EQ(ErrorOf(status).reason(), "OPTIONS_DIFFER");
  EXPECT_EQ(ErrorOf(status).metadata().at("option"), "unique");
}

TEST_F(ServiceErrorsTest, MessagesOverTheLimitAreTyped) {
  ASSERT_EQ(Create("s"), "OK");
  EXPECT_EQ(Add("s", Text("k"), std::string(5 << 20, 'v')), "MESSAGE_TOO_LARGE");
  v1::ReadPageRequest request;
  request.set_store("s");
  request.set_page_size(10'001);
  v1::ReadPageResponse response;
  const grpc::Status status = Call(*server_.btree, &Btree::ReadPage, request, &response);
  EXPECT_EQ(ErrorOf(status).reason(), "INVALID_ARGUMENT");
  EXPECT_EQ(ErrorOf(status).metadata().at("limit"), "10000");
}

TEST_F(ServiceErrorsTest, WhatIsNotImplementedSaysSo) {
  v1::CreateDatabaseRequest create;
  create.set_type(v1::DATABASE_TYPE_CLUSTERED);
  v1::CreateDatabaseResponse created;
  EXPECT_EQ(ReasonIn(CreateDatabase(create, &created)), "UNIMPLEMENTED");
  v1::SetRelationsRequest relations;
  v1::SetRelationsResponse set;
  EXPECT_EQ(ReasonIn(Call(*server_.database, &Databases::SetRelations, relations, &set)),
            "UNIMPLEMENTED");
  v1::BeginRequest begin;
  begin.set_read_at("x");
  v1::BeginResponse begun;
  EXPECT_EQ(ReasonIn(Call(*server_.transaction, &Transactions::Begin, begin, &begun)),
            "UNIMPLEMENTED");
}

TEST_F(ServiceErrorsTest, DatabasesAreFoldersUnderTheRoots) {
  v1::CreateDatabaseRequest request;
  request.add_stores_folders(server_.root() + "/bank");
  v1::CreateDatabaseResponse response;
  ASSERT_TRUE(CreateDatabase(request, &response).ok());
  EXPECT_TRUE(response.created());
  const std::string name = response.database().name();
  EXPECT_THAT(name, HasSubstr("bank-"));
  EXPECT_EQ(response.database().folder(), server_.root() + "/bank");
  EXPECT_EQ(response.database().uuid().size(), 16u);
  ASSERT_TRUE(CreateDatabase(request, &response).ok());
  EXPECT_FALSE(response.created());
  server_.Restart();
  v1::GetDatabaseRequest get;
  get.set_database(name);
  v1::GetDatabaseResponse got;
  ASSERT_TRUE(Call(*server_.database, &Databases::GetDatabase, get, &got).ok());
  EXPECT_EQ(got.database().uuid(), response.database().uuid());

  std::filesystem::create_directory_symlink(server_.root() + "/bank", server_.root() + "/link");
  request.set_stores_folders(0, server_.root() + "/link");
  ASSERT_TRUE(CreateDatabase(request, &response).ok());
  EXPECT_EQ(response.database().name(), name);
  for (const std::string& folder :
       {std::string("/etc"), server_.root(), server_.root() + "/../home/databases/default",
        server_.root() + "/bank/inner"}) {
    request.set_stores_folders(0, folder);
    EXPECT_EQ(ReasonIn(CreateDatabase(request, &response)), "FOLDER_NOT_ALLOWED") << folder;
  }
  request.set_name(name);
  request.set_stores_folders(0, server_.root() + "/other");
  EXPECT_EQ(ReasonIn(CreateDatabase(request, &response)), "OPTIONS_DIFFER");
}

TEST_F(ServiceErrorsTest, DeletedDatabasesAreGoneWithTheirTransactions) {
  v1::CreateDatabaseRequest create;
  create.set_name("gone");
  v1::CreateDatabaseResponse created;
  ASSERT_TRUE(CreateDatabase(create, &created).ok());
  v1::BeginRequest begin;
  begin.set_database("gone");
  v1::BeginResponse begun;
  ASSERT_TRUE(Call(*server_.transaction, &Transactions::Begin, begin, &begun).ok());
  v1::DeleteDatabaseRequest request;
  v1::DeleteDatabaseResponse response;
  EXPECT_EQ(ReasonIn(Call(*server_.database, &Databases::DeleteDatabase, request, &response)),
            "INVALID_ARGUMENT");
  request.set_database("gone");
  request.set_expected_uuid(std::string(16, 'x'));
  EXPECT_EQ(ReasonIn(Call(*server_.database, &Databases::DeleteDatabase, request, &response)),
            "PRECONDITION_NOT_MET");
  request.clear_expected_uuid();
  EXPECT_EQ(ReasonIn(Call(*server_.database, &Databases::DeleteDatabase, request, &response)),
            "OK");
  EXPECT_EQ(ReasonIn(Call(*server_.database, &Databases::DeleteDatabase, request, &response)),
            "DATABASE_NOT_FOUND");
  v1::GetTransactionRequest get;
  get.set_database("gone");
  get.set_transaction_id(begun.transaction_id());
  v1::GetTransactionResponse got;
  EXPECT_EQ(ReasonIn(Call(*server_.transaction, &Transactions::Get, get, &got)),
            "TRANSACTION_LOST");
  ASSERT_TRUE(CreateDatabase(create, &created).ok());
  EXPECT_TRUE(created.created());
}

// Execute over stores that the test creates.
class ExecuteTest : public ServiceErrorsTest {
 protected:
  static v1::AddRequest* AddTo(v1::ExecuteRequest* request, const std::string& store,
                               const std::string& key, const std::string& value) {
    v1::AddRequest* add = request->add_operations()->mutable_add();
    add->set_store(store);
    *add->add_items()->mutable_key() = Text(key);
    add->mutable_items(0)->mutable_value()->set_content(value);
    return add;
  }
  grpc::Status Execute(const v1::ExecuteRequest& request, v1::ExecuteResponse* response) {
    return Call(*server_.transaction, &Transactions::Execute, request, response);
  }
  uint64_t CountOf(const std::string& store) {
    v1::CountRequest request;
    request.set_store(store);
    v1::CountResponse response;
    EXPECT_TRUE(Call(*server_.btree, &Btree::Count, request, &response).ok());
    return response.count();
  }
};

TEST_F(ExecuteTest, RunsEveryOperationInOneTransaction) {
  v1::ExecuteRequest request;
  request.add_operations()->mutable_create_btree()->set_store("a");
  request.add_operations()->mutable_create_btree()->set_store("b");
  AddTo(&request, "a", "k", "1");
  AddTo(&request, "b", "k", "2");
  request.add_operations()->mutable_count()->set_store("a");
  v1::ExecuteResponse response;
  const grpc::Status status = Execute(request, &response);
  ASSERT_TRUE(status.ok()) << status.error_message();
  ASSERT_EQ(response.results_size(), 5);
  EXPECT_TRUE(response.results(0).create_btree().created());
  EXPECT_EQ(response.results(3).add().report().outcomes(0), v1::WRITE_OUTCOME_ADDED);
  EXPECT_EQ(response.results(4).count().count(), 1u);
  EXPECT_EQ(response.commit_version().size(), 8u);
  EXPECT_EQ(CountOf("b"), 1u);
}

TEST_F(ExecuteTest, TheFirstFailureUndoesEverythingAndIsNamed) {
  ASSERT_EQ(Create("a"), "OK");
  v1::ExecuteRequest request;
  AddTo(&request, "a", "k", "1");
  AddTo(&request, "nowhere", "k", "2");
  v1::ExecuteResponse response;
  const grpc::Status status = Execute(request, &response);
  EXPECT_EQ(ErrorOf(status).reason(), "STORE_NOT_FOUND");
  EXPECT_EQ(ErrorOf(status).metadata().at("operation"), "1");
  EXPECT_EQ(CountOf("a"), 0u);
  request.mutable_operations(1)->Clear();
  EXPECT_EQ(ReasonIn(Execute(request, &response)), "INVALID_ARGUMENT");
  request.mutable_operations(1)->mutable_count()->set_transaction_id(std::string(16, 't'));
  EXPECT_EQ(ReasonIn(Execute(request, &response)), "INVALID_ARGUMENT");
}

TEST_F(ExecuteTest, PreconditionsMustHold) {
  ASSERT_EQ(Create("a"), "OK");
  v1::ExecuteRequest request;
  v1::Precondition* condition = request.add_preconditions();
  condition->set_store("a");
  *condition->mutable_key() = Text("k");
  condition->set_exists(false);
  AddTo(&request, "a", "k", "1");
  v1::ExecuteResponse response;
  ASSERT_TRUE(Execute(request, &response).ok());
  const grpc::Status refused = Execute(request, &response);
  EXPECT_EQ(ErrorOf(refused).reason(), "PRECONDITION_NOT_MET");
  EXPECT_EQ(ErrorOf(refused).metadata().at("precondition"), "0");
  condition->mutable_value()->set_content("1");
  EXPECT_TRUE(Execute(request, &response).ok());
  condition->mutable_value()->set_content("2");
  EXPECT_EQ(ReasonIn(Execute(request, &response)), "PRECONDITION_NOT_MET");
  condition->clear_condition();
  EXPECT_EQ(ReasonIn(Execute(request, &response)), "INVALID_ARGUMENT");
}

TEST_F(ExecuteTest, ARepeatedRequestIsNotRunAgain) {
  v1::BtreeOptions options;
  options.set_unique(false);
  ASSERT_EQ(Create("a", options), "OK");
  v1::ExecuteRequest request;
  base::SeededRandom random(2);
  request.set_request_id(base::MakeUuid7(base::SystemClock(), random).Bytes());
  AddTo(&request, "a", "k", "1");
  v1::ExecuteResponse first;
  ASSERT_TRUE(Execute(request, &first).ok());
  v1::ExecuteResponse second;
  ASSERT_TRUE(Execute(request, &second).ok());
  EXPECT_TRUE(second.repeated_request());
  EXPECT_EQ(first.commit_version(), second.commit_version());
  ASSERT_EQ(second.results_size(), 1);
  EXPECT_EQ(first.results(0).SerializeAsString(), second.results(0).SerializeAsString());
  EXPECT_EQ(CountOf("a"), 1u);
}

}  // namespace
}  // namespace sop
