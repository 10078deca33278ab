#include "clients/cpp/page_stream.h"

#include <future>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include <gtest/gtest.h>

#include "clients/cpp/channel.h"
#include "core/base/error.h"
#include "core/btree/golden_file.h"
#include "grpcpp/security/server_credentials.h"
#include "grpcpp/server.h"
#include "grpcpp/server_builder.h"

namespace sop::client {
namespace {

using btree::GoldenNode;

// A server whose every scan is made of these messages and ends with this status.
class ScriptedServer : public v1::BtreeService::Service {
 public:
  explicit ScriptedServer(std::vector<v1::ScanResponse> messages,
                          grpc::Status status = grpc::Status::OK)
      : messages_(std::move(messages)), status_(std::move(status)) {
    int port = 0;
    grpc::ServerBuilder builder;
    builder.AddListeningPort("127.0.0.1:0", grpc::InsecureServerCredentials(), &port);
    builder.RegisterService(this);
    server_ = builder.BuildAndStart();
    stub_ = v1::BtreeService::NewStub(OpenChannel(
        {.address = "127.0.0.1:" + std::to_string(port), .sharing = ChannelSharing::kOwn}));
  }
  ~ScriptedServer() override { server_->Shutdown(); }

  v1::BtreeService::Stub& stub() { return *stub_; }
  // Whether a scan was given up before its last message.
  std::future<bool> given_up() { return given_up_.get_future(); }

  grpc::Status Scan(grpc::ServerContext* context, const v1::ScanRequest* request,
                    grpc::ServerWriter<v1::ScanResponse>* writer) override {
    for (const v1::ScanResponse& message : messages_) writer->Write(message);
    if (request->store() == "endless") {
      while (writer->Write(messages_.front())) {
      }
      given_up_.set_value(context->IsCancelled());
    }
    return status_;
  }

 private:
  const std::vector<v1::ScanResponse> messages_;
  const grpc::Status status_;
  std::promise<bool> given_up_;
  std::unique_ptr<grpc::Server> server_;
  std::unique_ptr<v1::BtreeService::Stub> stub_;
};

v1::ScanResponse Message(std::string page) {
  v1::ScanResponse message;
  message.set_page(std::move(page));
  return message;
}

TEST(PageStreamTest, ReadsTheGoldenPagesInTheirOrder) {
  const GoldenNode golden = GoldenNode::Load("page_golden.json");
  std::vector<v1::ScanResponse> messages;
  for (const GoldenNode& example : golden["pages"].list()) {
    messages.push_back(Message(example.Hex("page")));
  }
  ASSERT_GE(messages.size(), 5u);
  messages.back().set_end(true);
  ScriptedServer server(messages);
  PageStream pages(server.stub(), {});
  for (const GoldenNode& example : golden["pages"].list()) {
    EXPECT_FALSE(pages.complete());
    const auto page = pages.Next();
    ASSERT_TRUE(page.ok() && page->has_value()) << page.status();
    const auto& items = example["items"].list();
    ASSERT_EQ((*page)->count(), items.size());
    for (size_t i = 0; i < items.size(); ++i) {
      const std::string key = items[i].Has("key") ? items[i].Hex("key") : "";
      const std::string value = items[i].Has("value") ? items[i].Hex("value") : "";
      EXPECT_EQ((*page)->item(i).key, key);
      EXPECT_EQ((*page)->item(i).value, value);
    }
  }
  EXPECT_TRUE(pages.complete());
  EXPECT_FALSE(pages.Next()->has_value());
  EXPECT_TRUE(pages.Finish().ok());
}

TEST(PageStreamTest, MessagesWithoutAPageAreNoPages) {
  v1::ScanResponse last;
  last.set_end(true);
  ScriptedServer server({v1::ScanResponse(), last});
  PageStream pages(server.stub(), {});
  EXPECT_FALSE(pages.Next()->has_value());
  EXPECT_TRUE(pages.complete());
  EXPECT_TRUE(pages.Finish().ok());
}

TEST(PageStreamTest, ReadsPagesThatAreLargerThanWhatGrpcTakesByDefault) {
  constexpr size_t kValueBytes = 5 << 20;
  const std::string value(kValueBytes, 'v');
  btree::PackedPageBuilder builder(btree::PageColumns::kValues, {});
  btree::PackedItem item;
  item.value = value;
  ASSERT_TRUE(builder.Append(item));
  ScriptedServer server({Message(builder.Finish())});
  PageStream pages(server.stub(), {});
  const auto page = pages.Next();
  ASSERT_TRUE(page.ok() && page->has_value()) << page.status();
  EXPECT_EQ((*page)->item(0).value.size(), kValueBytes);
  EXPECT_FALSE(pages.Next()->has_value());
  EXPECT_FALSE(pages.complete());
  EXPECT_TRUE(pages.Finish().ok());
}

TEST(PageStreamTest, RefusesTheMalformedGoldenPages) {
  const GoldenNode golden = GoldenNode::Load("page_golden.json");
  int refused = 0;
  for (const GoldenNode& example : golden["refused"].list()) {
    if (example.Hex("page").empty()) continue;  // no page at all
    ScriptedServer server({Message(example.Hex("page"))});
    PageStream pages(server.stub(), {});
    EXPECT_EQ(ReasonOf(pages.Next().status()), Reason::kInvalidArgument) << example.Text("why");
    ++refused;
  }
  EXPECT_GT(refused, 10);
}

TEST(PageStreamTest, FinishTellsHowTheServerEndedTheScan) {
  ScriptedServer server({}, {grpc::StatusCode::DATA_LOSS, "store 'cities' is damaged"});
  PageStream pages(server.stub(), {});
  EXPECT_FALSE(pages.Next()->has_value());
  EXPECT_FALSE(pages.complete());
  EXPECT_EQ(pages.Finish().error_message(), "store 'cities' is damaged");
}

TEST(PageStreamTest, AStreamThatIsDestroyedGivesTheScanUp) {
  const GoldenNode golden = GoldenNode::Load("page_golden.json");
  ScriptedServer server({Message(golden["pages"].list()[1].Hex("page"))});
  std::future<bool> given_up = server.given_up();
  v1::ScanRequest request;
  request.set_store("endless");
  {
    PageStream pages(server.stub(), request);
    EXPECT_TRUE(pages.Next()->has_value());
  }
  EXPECT_TRUE(given_up.get());
}

}  // namespace
}  // namespace sop::client
