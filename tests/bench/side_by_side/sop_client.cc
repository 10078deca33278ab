#include <memory>
#include <utility>

#include "sop/v1/btree.grpc.pb.h"
#include "tests/bench/ordered_map.h"
#include "tests/bench/side_by_side/grpc_channel.h"
#include "tests/bench/side_by_side/rival_client.h"
#include "tests/bench/workload.h"

namespace sop::bench {
namespace {

constexpr const char* kStore = "bench";

void RequireOk(const grpc::Status& status) { Require(status.ok(), status.error_message()); }

// Confined to one thread.
class SopClient : public RivalClient {
 public:
  explicit SopClient(std::shared_ptr<grpc::Channel> channel)
      : stub_(v1::BtreeService::NewStub(std::move(channel))) {}

  void Prepare() override {
    grpc::ClientContext context;
    v1::CreateBtreeRequest request;
    request.set_store(kStore);
    v1::KeySchema* schema = request.mutable_options()->mutable_schema();
    schema->set_shape(v1::KEY_SHAPE_SCALAR);
    schema->add_fields()->set_type(v1::SCALAR_TYPE_INT64);
    v1::CreateBtreeResponse response;
    RequireOk(stub_->CreateBtree(&context, request, &response));
  }

  void Put(std::span<const uint64_t> numbers) override {
    v1::UpsertRequest request;
    request.set_store(kStore);
    for (const uint64_t number : numbers) {
      const std::string_view value = ValueOf(number);
      v1::WriteItem* item = request.add_items();
      item->mutable_key()->set_int64_value(static_cast<int64_t>(number));
      item->mutable_value()->set_content(value.data(), value.size());
    }
    v1::UpsertResponse response;
    for (;;) {
      grpc::ClientContext context;
      const grpc::Status status = stub_->Upsert(&context, request, &response);
      if (status.error_code() == grpc::StatusCode::ABORTED) continue;
      RequireOk(status);
      return;
    }
  }

  void Get(std::span<const uint64_t> numbers) override {
    grpc::ClientContext context;
    v1::GetRequest request;
    request.set_store(kStore);
    for (const uint64_t number : numbers) {
      request.add_keys()->set_int64_value(static_cast<int64_t>(number));
    }
    v1::GetResponse response;
    RequireOk(stub_->Get(&context, request, &response));
    Require(response.items_size() == static_cast<int>(numbers.size()), "items are missing");
    for (const auto& item : response.items()) {
      Require(item.value().content().size() == kValueBytes, "a value of another size");
    }
  }

 private:
  const std::unique_ptr<v1::BtreeService::Stub> stub_;
};

}  // namespace

std::unique_ptr<RivalClient> ConnectSop(const RivalAddress& address) {
  return std::make_unique<SopClient>(OpenChannel(address));
}

}  // namespace sop::bench
