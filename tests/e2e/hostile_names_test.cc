// Names that try to leave the data folder, or to look like others: each is refused with
// INVALID_NAME or is a name like any other; nothing appears outside the folders of the server, and
// it starts again.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <filesystem>
#include <memory>
#include <set>
#include <string>
#include <vector>

#include "absl/time/clock.h"
#include "google/rpc/error_details.pb.h"
#include "google/rpc/status.pb.h"
#include "sop/v1/btree.grpc.pb.h"
#include "sop/v1/database.grpc.pb.h"
#include "tests/e2e/live_server.h"

namespace sop::e2e {
namespace {

// Never allowed.
const std::vector<std::string> kForbidden = {
    ".",
    "..",
    "../outside",
    "a/../../../outside",
    "..\\outside",
    "/etc/passwd",
    "/tmp/outside",
    "a/b",
    "a\\b",
    std::string("a\0b", 3),
    std::string("\0", 1),
    "a..b",
    "...",
    std::string(129, 'n'),
    std::string(128 * 100, 'n'),
    std::string(64 << 10, 'n'),
    std::string(63, 'n') + "\xe2\x98\x83\xe2\x98\x83" + std::string(60, 'n'),
};

// They only look bad.
const std::vector<std::string> kAllowed = {
    "a",
    ".hidden",
    "-rf",
    "~",
    "%2e%2e%2foutside",
    "\xe2\x80\xa4\xe2\x80\xa4",  // one dot leaders
    "a\xe2\x88\x95"
    "b",                    // division slash
    "\xd0\xb0",             // a Cyrillic letter that looks like "a"
    "default\xe2\x80\x8b",  // with a zero-width space
    "\xe2\x80\xae"
    "txt.exe",  // from right to left
    "DEFAULT",
    "databases",
    "new\nline",
    "quote\"and'tab\t",
    "\x7f\x01",
    "$(touch outside)",
    "; rm -rf outside",
    std::string(127, 'n'),
    std::string(128, 'n'),
};

google::rpc::ErrorInfo ErrorInfoOf(const grpc::Status& status) {
  google::rpc::Status details;
  google::rpc::ErrorInfo found;
  if (details.ParseFromString(status.error_details())) {
    for (const google::protobuf::Any& detail : details.details()) {
      if (detail.Is<google::rpc::ErrorInfo>()) detail.UnpackTo(&found);
    }
  }
  return found;
}

class HostileNamesTest : public testing::Test {
 protected:
  void SetUp() override {
    auto server = LiveServer::Start(SOP_SOPD);
    ASSERT_TRUE(server.ok()) << server.status();
    server_ = *std::move(server);
    Connect();
  }

  void Connect() {
    databases_ = v1::DatabaseService::NewStub(server_->channel());
    btrees_ = v1::BtreeService::NewStub(server_->channel());
  }

  grpc::Status CreateDatabase(const std::string& name, std::string* folder) {
    grpc::ClientContext context;
    v1::CreateDatabaseRequest request;
    v1::CreateDatabaseResponse response;
    request.set_name(name);
    grpc::Status status = databases_->CreateDatabase(&context, request, &response);
    *folder = response.database().folder();
    return status;
  }
  grpc::Status CreateStore(const std::string& database, const std::string& name) {
    grpc::ClientContext context;
    v1::CreateBtreeRequest request;
    v1::CreateBtreeResponse response;
    request.set_database(database);
    request.set_store(name);
    return btrees_->CreateBtree(&context, request, &response);
  }
  grpc::Status DeleteDatabase(const std::string& name) {
    grpc::ClientContext context;
    v1::DeleteDatabaseRequest request;
    v1::DeleteDatabaseResponse response;
    request.set_database(name);
    return databases_->DeleteDatabase(&context, request, &response);
  }

  // What lies in the server's own folder, and beside it.
  std::set<std::string> Around() const {
    std::set<std::string> names;
    for (const auto& entry : std::filesystem::directory_iterator(server_->folder())) {
      names.insert(entry.path().filename().string());
    }
    for (const auto& entry : std::filesystem::directory_iterator(server_->folder() + "/data")) {
      names.insert("data/" + entry.path().filename().string());
    }
    const auto above = std::filesystem::path(server_->folder()).parent_path();
    if (std::filesystem::exists(above / "outside")) names.insert("outside");
    return names;
  }

  std::unique_ptr<LiveServer> server_;
  std::unique_ptr<v1::DatabaseService::Stub> databases_;
  std::unique_ptr<v1::BtreeService::Stub> btrees_;
};

void ExpectInvalidName(const grpc::Status& status, const std::string& name) {
  // A string that is not UTF-8 does not get through protobuf at all; none of ours is such.
  EXPECT_EQ(status.error_code(), grpc::StatusCode::INVALID_ARGUMENT) << name.substr(0, 99);
  const google::rpc::ErrorInfo error = ErrorInfoOf(status);
  EXPECT_EQ(error.reason(), "INVALID_NAME") << name.substr(0, 99);
  if (name.size() > 128) {
    EXPECT_EQ(error.metadata().at("limit"), "128") << name.size();
  }
  EXPECT_LT(status.error_message().size(), 400u) << "the whole name is repeated";
}

TEST_F(HostileNamesTest, NothingLeavesTheDataFolder) {
  const std::set<std::string> before = Around();
  std::string folder;
  for (const std::string& name : kForbidden) {
    ExpectInvalidName(CreateDatabase(name, &folder), name);
    ExpectInvalidName(CreateStore("", name), name);
  }
  std::set<std::string> folders;
  for (const std::string& name : kAllowed) {
    const grpc::Status store = CreateStore("", name);
    EXPECT_TRUE(store.ok()) << name << ": " << store.error_message();
  }
  const std::string home = server_->folder() + "/data/databases/";
  for (const std::string& name : kAllowed) {
    const grpc::Status made = CreateDatabase(name, &folder);
    ASSERT_TRUE(made.ok()) << name << ": " << made.error_message();
    EXPECT_EQ(folder.substr(0, home.size()), home) << name;
    EXPECT_EQ(folder.find('/', home.size()), std::string::npos) << folder;
    EXPECT_TRUE(folders.insert(folder).second) << name << " shares " << folder;
    EXPECT_TRUE(CreateStore(name, "s").ok()) << name;
  }
  EXPECT_EQ(Around(), before);
  // What was written of them can be read again.
  ASSERT_TRUE(server_->KillAndRestart().ok());
  Connect();
  for (const std::string& name : kAllowed) {
    const grpc::Status deleted = DeleteDatabase(name);
    EXPECT_TRUE(deleted.ok()) << name << ": " << deleted.error_message();
  }
  EXPECT_EQ(Around(), before);
}

}  // namespace
}  // namespace sop::e2e
