#include "clients/cpp/large_value.h"

#include <memory>
#include <string>
#include <utility>

#include <gtest/gtest.h>

#include "clients/cpp/channel.h"
#include "grpcpp/security/server_credentials.h"
#include "grpcpp/server.h"
#include "grpcpp/server_builder.h"

namespace sop::client {
namespace {

// Keeps what PutValue brought and gives it back in parts, the last one only if `ends`.
class OneValueServer : public v1::BtreeService::Service {
 public:
  OneValueServer() {
    int port = 0;
    grpc::ServerBuilder builder;
    builder.AddListeningPort("127.0.0.1:0", grpc::InsecureServerCredentials(), &port);
    builder.RegisterService(this);
    server_ = builder.BuildAndStart();
    stub = v1::BtreeService::NewStub(OpenChannel(
        {.address = "127.0.0.1:" + std::to_string(port), .sharing = ChannelSharing::kOwn}));
  }
  ~OneValueServer() override { server_->Shutdown(); }

  grpc::Status PutValue(grpc::ServerContext* context,
                        grpc::ServerReader<v1::PutValueRequest>* reader,
                        v1::PutValueResponse* response) override {
    v1::PutValueRequest message;
    bool end = false;
    for (parts = 0; reader->Read(&message); ++parts) {
      if (parts == 0) store = message.store();
      if (store == "refused") return {grpc::StatusCode::NOT_FOUND, "no such store"};
      EXPECT_EQ(message.store().empty(), parts > 0);
      EXPECT_FALSE(end);
      value += message.content();
      end = message.end();
    }
    EXPECT_TRUE(end);
    response->set_commit_version("version");
    return grpc::Status::OK;
  }

  grpc::Status ReadValue(grpc::ServerContext* context, const v1::ReadValueRequest* request,
                         grpc::ServerWriter<v1::ReadValueResponse>* writer) override {
    v1::ReadValueResponse message;
    message.set_size(value.size());
    message.set_version(7);
    std::string rest = value.substr(request->offset());
    do {
      message.set_content(rest.substr(0, 100'000));
      rest.erase(0, message.content().size());
      message.set_end(rest.empty());
      if (message.end() && !ends) break;
      writer->Write(message);
      message.Clear();
    } while (!rest.empty());
    return grpc::Status::OK;
  }

  std::unique_ptr<v1::BtreeService::Stub> stub;
  std::string store;
  std::string value;
  int parts = 0;
  bool ends = true;

 private:
  std::unique_ptr<grpc::Server> server_;
};

TEST(LargeValueTest, GoesAndComesInParts) {
  for (const size_t size : {size_t{0}, size_t{1}, size_t{256} << 10, (size_t{5} << 20) + 3}) {
    OneValueServer server;
    std::string value(size, 'v');
    for (size_t i = 0; i < size; i += 999) value[i] = static_cast<char>(i);
    v1::PutValueRequest header;
    header.set_store("s");
    v1::PutValueResponse put;
    grpc::ClientContext putting;
    ASSERT_TRUE(PutValue(*server.stub, &putting, header, value, &put).ok());
    EXPECT_EQ(put.commit_version(), "version");
    EXPECT_EQ(server.value, value);
    EXPECT_EQ(server.parts, std::max<size_t>(1, (size + (256 << 10) - 1) / (256 << 10)));
    for (const uint64_t offset : {uint64_t{0}, uint64_t{size / 2}, uint64_t{size}}) {
      v1::ReadValueRequest request;
      request.set_offset(offset);
      v1::ReadValueResponse read;
      grpc::ClientContext reading;
      ASSERT_TRUE(ReadValue(*server.stub, &reading, request, &read).ok());
      EXPECT_EQ(read.content(), value.substr(offset));
      EXPECT_EQ(read.version(), 7U);
    }
  }
}

TEST(LargeValueTest, ARefusalEndsIt) {
  OneValueServer server;
  v1::PutValueRequest header;
  header.set_store("refused");
  v1::PutValueResponse put;
  grpc::ClientContext putting;
  const std::string value(20 << 20, 'v');
  EXPECT_EQ(PutValue(*server.stub, &putting, header, value, &put).error_code(),
            grpc::StatusCode::NOT_FOUND);
}

TEST(LargeValueTest, HalfOfOneIsNone) {
  OneValueServer server;
  server.value = std::string(300'000, 'v');
  server.ends = false;
  v1::ReadValueResponse read;
  grpc::ClientContext reading;
  EXPECT_EQ(ReadValue(*server.stub, &reading, {}, &read).error_code(), grpc::StatusCode::INTERNAL);
}

}  // namespace
}  // namespace sop::client
