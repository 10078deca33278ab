#include "server/rpc/dispatcher.h"

#include <unistd.h>

#include <atomic>
#include <memory>
#include <thread>

#include "core/base/error.h"
#include "fmt/format.h"
#include "gmock/gmock.h"
#include "google/rpc/error_details.pb.h"
#include "google/rpc/status.pb.h"
#include "grpcpp/create_channel.h"
#include "gtest/gtest.h"
#include "server/rpc/admin_service.h"
#include "server/rpc/grpc_face.h"

namespace sop::rpc {
namespace {

using ::testing::HasSubstr;

// Refuses everything while `open` is false.
class SwitchAuthorizer : public Authorizer {
 public:
  absl::Status Check(const RequestContext&, v1::Permission permission) override {
    last_permission = permission;
    if (open) return absl::OkStatus();
    return Error(Reason::kPermissionDenied, "closed");
  }
  std::atomic<bool> open = true;
  std::atomic<v1::Permission> last_permission = v1::PERMISSION_UNSPECIFIED;
};

google::rpc::ErrorInfo ErrorOf(const grpc::Status& status) {
  google::rpc::Status wire;
  EXPECT_TRUE(wire.ParseFromString(status.error_details()));
  google::rpc::ErrorInfo error;
  if (wire.details_size() > 0) wire.details(0).UnpackTo(&error);
  return error;
}

// A live server with AdminService, and a client of it.
class DispatcherTest : public ::testing::Test {
 protected:
  void SetUp() override { Start(1'000); }

  void Start(int64_t max_requests) {
    face_.reset();
    service_.reset();
    databases_.reset();
    auto methods = MethodTable::Open(metrics_);
    ASSERT_TRUE(methods.ok()) << methods.status();
    methods_ = *std::move(methods);
    admission_ = std::make_unique<load::Admission>(
        load::Admission::Options{.max_requests = max_requests,
                                 .budget = std::make_shared<base::MemoryBudget>(64 << 20),
                                 .clock = &base::SystemClock()});
    dispatcher_ = std::make_unique<Dispatcher>(Dispatcher::Parts{.methods = *methods_,
                                                                 .authorizer = authorizer_,
                                                                 .metrics = metrics_,
                                                                 .workers = workers_,
                                                                 .clock = base::SystemClock(),
                                                                 .admission = *admission_});
    auto databases = session::DatabaseRegistry::Open(
        {.home_folder = fmt::format("{}/sop_dispatcher_{}", testing::TempDir(), ::getpid()),
         .rules = {},
         .opener = nullptr,
         .remover = nullptr,
         .files = &base::SystemFileSystem(),
         .clock = &base::SystemClock(),
         .metrics = &metrics_});
    ASSERT_TRUE(databases.ok()) << databases.status();
    databases_ = *std::move(databases);
    service_ = std::make_unique<AdminService>(*dispatcher_, *databases_, Upkeep());
    auto face = GrpcFace::Open({.address = "127.0.0.1:0", .services = {service_.get()}});
    ASSERT_TRUE(face.ok()) << face.status();
    face_ = *std::move(face);
    grpc::ChannelArguments arguments;
    arguments.SetMaxSendMessageSize(-1);
    stub_ = v1::AdminService::NewStub(grpc::CreateCustomChannel(
        fmt::format("127.0.0.1:{}", face_->port()), grpc::InsecureChannelCredentials(), arguments));
  }

  grpc::Status Echo(const v1::EchoRequest& request, v1::EchoResponse* response) {
    grpc::ClientContext context;
    return stub_->Echo(&context, request, response);
  }

  observe::Metrics metrics_;
  SwitchAuthorizer authorizer_;
  base::ThreadPool workers_{2};
  std::unique_ptr<MethodTable> methods_;
  std::unique_ptr<load::Admission> admission_;
  std::unique_ptr<Dispatcher> dispatcher_;
  std::unique_ptr<session::DatabaseRegistry> databases_;
  std::unique_ptr<AdminService> service_;
  std::unique_ptr<GrpcFace> face_;
  std::unique_ptr<v1::AdminService::Stub> stub_;
};

TEST_F(DispatcherTest, EchoReturnsThePayload) {
  v1::EchoRequest request;
  request.set_payload("hello");
  v1::EchoResponse response;
  ASSERT_TRUE(Echo(request, &response).ok());
  ASSERT_EQ(response.parts_size(), 1);
  EXPECT_EQ(response.parts(0), "hello");
  EXPECT_EQ(authorizer_.last_permission, v1::PERMISSION_NONE);
}

TEST_F(DispatcherTest, EchoTakesAnyShape) {
  v1::EchoRequest request;
  request.set_response_bytes(7);
  request.set_response_parts(100);
  v1::EchoResponse response;
  ASSERT_TRUE(Echo(request, &response).ok());
  ASSERT_EQ(response.parts_size(), 100);
  EXPECT_EQ(response.parts(99).size(), 7u);
  request.set_response_parts(65'537);
  EXPECT_EQ(Echo(request, &response).error_code(), grpc::StatusCode::INVALID_ARGUMENT);
}

TEST_F(DispatcherTest, EchoStreamSendsEveryMessage) {
  v1::EchoStreamRequest request;
  request.set_payload("x");
  request.set_messages(1'000);
  grpc::ClientContext context;
  auto reader = stub_->EchoStream(&context, request);
  v1::EchoStreamResponse response;
  int count = 0;
  while (reader->Read(&response)) ++count;
  EXPECT_TRUE(reader->Finish().ok());
  EXPECT_EQ(count, 1'000);
}

TEST_F(DispatcherTest, EchoSessionAnswersInOrder) {
  grpc::ClientContext context;
  auto stream = stub_->EchoSession(&context);
  for (int i = 0; i < 10; ++i) {
    v1::EchoSessionRequest request;
    request.set_payload(fmt::format("{}", i));
    ASSERT_TRUE(stream->Write(request));
    v1::EchoSessionResponse response;
    ASSERT_TRUE(stream->Read(&response));
    EXPECT_EQ(response.parts(0), request.payload());
  }
  stream->WritesDone();
  EXPECT_TRUE(stream->Finish().ok());
}

TEST_F(DispatcherTest, MessageOverOurLimitNamesTheStream) {
  v1::EchoRequest request;
  request.mutable_payload()->resize(5 << 20);
  v1::EchoResponse response;
  const grpc::Status status = Echo(request, &response);
  EXPECT_EQ(status.error_code(), grpc::StatusCode::INVALID_ARGUMENT);
  EXPECT_EQ(ErrorOf(status).reason(), "MESSAGE_TOO_LARGE");
  EXPECT_EQ(ErrorOf(status).metadata().at("use"), "AdminService.EchoStream");
  EXPECT_THAT(status.error_message(), HasSubstr("4194304"));
}

TEST_F(DispatcherTest, RefusedByTheAuthorizer) {
  authorizer_.open = false;
  v1::EchoResponse response;
  const grpc::Status status = Echo({}, &response);
  EXPECT_EQ(status.error_code(), grpc::StatusCode::PERMISSION_DENIED);
  EXPECT_EQ(ErrorOf(status).domain(), "sop");
}

TEST_F(DispatcherTest, TooManyRequestsAreOverloadedWithRetryDelay) {
  Start(0);
  v1::EchoResponse response;
  const grpc::Status status = Echo({}, &response);
  EXPECT_EQ(status.error_code(), grpc::StatusCode::RESOURCE_EXHAUSTED);
  EXPECT_EQ(ErrorOf(status).reason(), "OVERLOADED");
  google::rpc::Status wire;
  ASSERT_TRUE(wire.ParseFromString(status.error_details()));
  ASSERT_EQ(wire.details_size(), 2);
  EXPECT_TRUE(wire.details(1).Is<google::rpc::RetryInfo>());
}

TEST_F(DispatcherTest, CallsAreCounted) {
  v1::EchoResponse response;
  for (int i = 0; i < 3; ++i) ASSERT_TRUE(Echo({}, &response).ok());
  authorizer_.open = false;
  Echo({}, &response);
  face_->Drain(absl::Seconds(5));
  const std::string text = metrics_.Text();
  EXPECT_THAT(text,
              HasSubstr("sop_requests_total{code=\"OK\",method=\"sop.v1.AdminService/Echo\"} 3"));
  EXPECT_THAT(text, HasSubstr("code=\"PERMISSION_DENIED\""));
  EXPECT_THAT(text, HasSubstr("sop_requests_in_flight 0"));
}

TEST_F(DispatcherTest, TakenPortIsUnavailable) {
  auto other =
      GrpcFace::Open({.address = fmt::format("127.0.0.1:{}", face_->port()), .services = {}});
  EXPECT_EQ(other.status().code(), absl::StatusCode::kUnavailable);
}

TEST(MethodTableTest, EveryRpcDeclaresItsPermission) {
  observe::Metrics metrics;
  auto methods = MethodTable::Open(metrics);
  ASSERT_TRUE(methods.ok()) << methods.status();
  EXPECT_GE((*methods)->size(), 30u);
  EXPECT_EQ((*methods)->ForRequest(v1::EchoRequest::descriptor()).name, "sop.v1.AdminService/Echo");
}

}  // namespace
}  // namespace sop::rpc
