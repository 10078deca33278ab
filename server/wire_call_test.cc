// Calls whose requests are received under the eyes of the intake, as callers that break the
// protocol, or leave, make them.

#include <chrono>
#include <optional>
#include <string>
#include <thread>
#include <vector>

#include "grpcpp/generic/generic_stub.h"
#include "gtest/gtest.h"
#include "server/server_fixture_test.h"

namespace sop {
namespace {

constexpr char kUpsert[] = "/sop.v1.BtreeService/Upsert";

v1::UpsertRequest UpsertOf(int64_t key, size_t bytes) {
  v1::UpsertRequest request;
  request.set_store("s");
  request.add_items()->mutable_key()->set_int64_value(key);
  request.mutable_items(0)->mutable_value()->set_content(std::string(bytes, 'v'));
  return request;
}

class WireCallTest : public ::testing::Test {
 protected:
  void SetUp() override {
    v1::CreateBtreeRequest request;
    v1::CreateBtreeResponse response;
    request.set_store("s");
    ASSERT_TRUE(
        Call(*server_.btree, &v1::BtreeService::Stub::CreateBtree, request, &response).ok());
    channel_ = grpc::CreateChannel(fmt::format("127.0.0.1:{}", server_.daemon().grpc_port()),
                                   grpc::InsecureChannelCredentials());
  }

  // What becomes of a call that sends these bytes as its message; nothing: none.
  grpc::Status Send(const std::optional<std::string>& message) {
    grpc::GenericStub stub(channel_);
    grpc::ClientContext context;
    context.set_deadline(std::chrono::system_clock::now() + std::chrono::seconds(20));
    grpc::CompletionQueue queue;
    const auto next = [&queue] {
      void* tag = nullptr;
      bool ok = false;
      EXPECT_TRUE(queue.Next(&tag, &ok));
      return ok;
    };
    auto call = stub.PrepareCall(&context, kUpsert, &queue);
    call->StartCall(nullptr);
    EXPECT_TRUE(next());
    if (message.has_value()) {
      const grpc::Slice slice(*message);
      call->Write(grpc::ByteBuffer(&slice, 1), nullptr);
      EXPECT_TRUE(next());
    }
    call->WritesDone(nullptr);
    next();
    grpc::Status status;
    call->Finish(&status, nullptr);
    next();
    return status;
  }
  uint64_t Count() {
    v1::CountRequest request;
    v1::CountResponse response;
    request.set_store("s");
    EXPECT_TRUE(Call(*server_.btree, &v1::BtreeService::Stub::Count, request, &response).ok());
    return response.count();
  }

  TestServer server_;
  std::shared_ptr<grpc::Channel> channel_;
};

TEST_F(WireCallTest, AMessageThatCannotBeReadIsTyped) {
  EXPECT_EQ(ReasonIn(Send("\xff\xff no protobuf message")), "INVALID_ARGUMENT");
  EXPECT_EQ(ReasonIn(Send(std::nullopt)), "INVALID_ARGUMENT");
  EXPECT_EQ(Count(), 0u);
}

// Short ones, which are not told of it, and long ones, which are.
TEST_F(WireCallTest, CallersThatLeaveAtAnyTimeLeaveNothingBehind) {
  const auto stub = v1::BtreeService::NewStub(channel_);
  uint64_t answered = 0;
  uint64_t unknown = 0;
  for (int i = 0; i < 300; ++i) {
    grpc::ClientContext context;
    std::thread leaver([&context, i] {
      std::this_thread::sleep_for(std::chrono::microseconds(i * 10));
      context.TryCancel();
    });
    v1::UpsertResponse response;
    const auto request = UpsertOf(i, i % 2 == 0 ? 100 : size_t{1} << 20);
    const grpc::Status status = stub->Upsert(&context, request, &response);
    leaver.join();
    if (status.ok()) ++answered;
    if (!status.ok()) ++unknown;
  }
  EXPECT_EQ(answered + unknown, 300u);
  EXPECT_GE(Count(), answered);
  v1::UpsertResponse response;
  EXPECT_TRUE(
      Call(*server_.btree, &v1::BtreeService::Stub::Upsert, UpsertOf(1000, 100), &response).ok());
  // Waits for every call to be over.
  server_.Restart();
  EXPECT_GE(Count(), answered + 1);
}

}  // namespace
}  // namespace sop
