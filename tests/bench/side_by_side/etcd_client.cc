#include <memory>
#include <utility>

#include "etcd.grpc.pb.h"
#include "tests/bench/ordered_map.h"
#include "tests/bench/side_by_side/grpc_channel.h"
#include "tests/bench/side_by_side/rival_client.h"
#include "tests/bench/workload.h"

namespace sop::bench {
namespace {

void RequireOk(const grpc::Status& status) { Require(status.ok(), status.error_message()); }

void Fill(etcdserverpb::PutRequest* put, uint64_t number) {
  const std::string_view value = ValueOf(number);
  put->set_key(KeyOf(number));
  put->set_value(value.data(), value.size());
}

void RequireItem(const etcdserverpb::RangeResponse& range) {
  Require(range.kvs_size() == 1 && range.kvs(0).value().size() == kValueBytes,
          "an item is missing");
}

// Single items with Range and Put, several with Txn. Confined to one thread.
class EtcdClient : public RivalClient {
 public:
  explicit EtcdClient(std::shared_ptr<grpc::Channel> channel)
      : stub_(etcdserverpb::KV::NewStub(std::move(channel))) {}

  void Put(std::span<const uint64_t> numbers) override {
    grpc::ClientContext context;
    if (numbers.size() == 1) {
      etcdserverpb::PutRequest request;
      Fill(&request, numbers[0]);
      etcdserverpb::PutResponse response;
      RequireOk(stub_->Put(&context, request, &response));
      return;
    }
    etcdserverpb::TxnRequest request;
    for (const uint64_t number : numbers) {
      Fill(request.add_success()->mutable_request_put(), number);
    }
    etcdserverpb::TxnResponse response;
    RequireOk(stub_->Txn(&context, request, &response));
    Require(response.succeeded(), "a transaction without conditions failed");
  }

  void Get(std::span<const uint64_t> numbers) override {
    grpc::ClientContext context;
    if (numbers.size() == 1) {
      etcdserverpb::RangeRequest request;
      request.set_key(KeyOf(numbers[0]));
      etcdserverpb::RangeResponse response;
      RequireOk(stub_->Range(&context, request, &response));
      RequireItem(response);
      return;
    }
    etcdserverpb::TxnRequest request;
    for (const uint64_t number : numbers) {
      request.add_success()->mutable_request_range()->set_key(KeyOf(number));
    }
    etcdserverpb::TxnResponse response;
    RequireOk(stub_->Txn(&context, request, &response));
    Require(response.responses_size() == static_cast<int>(numbers.size()), "items are missing");
    for (const auto& item : response.responses()) RequireItem(item.response_range());
  }

 private:
  const std::unique_ptr<etcdserverpb::KV::Stub> stub_;
};

}  // namespace

std::unique_ptr<RivalClient> ConnectEtcd(const RivalAddress& address) {
  return std::make_unique<EtcdClient>(OpenChannel(address));
}

}  // namespace sop::bench
