#include "tests/bench/execute_load.h"

#include <optional>
#include <string>

#include "grpcpp/client_context.h"
#include "grpcpp/create_channel.h"
#include "sop/v1/transaction.grpc.pb.h"
#include "tests/bench/server_calls.h"
#include "tests/bench/workload.h"

namespace sop::bench {

namespace {

// Without what gRPC does for calls that fail or are looked at: here a failed call ends the program.
std::shared_ptr<grpc::Channel> OpenLeanChannel(const std::string& address) {
  grpc::ChannelArguments arguments;
  arguments.SetInt(GRPC_ARG_MINIMAL_STACK, 1);
  arguments.SetInt(GRPC_ARG_ENABLE_RETRIES, 0);
  arguments.SetInt(GRPC_ARG_ENABLE_CHANNELZ, 0);
  arguments.SetInt(GRPC_ARG_USE_LOCAL_SUBCHANNEL_POOL, 1);
  return grpc::CreateCustomChannel(address, grpc::InsecureChannelCredentials(), arguments);
}

}  // namespace

class ExecuteLoad::Client {
 public:
  explicit Client(const SopdProcess& server)
      : stub_(v1::TransactionService::NewStub(OpenLeanChannel(server.address()))) {}

  void Begin(uint64_t first, uint64_t items, grpc::CompletionQueue* queue) {
    request_.Clear();
    request_.set_database("default");
    AddScattered(kStore, first, items, &request_);
    Send(queue);
  }
  // False if the transaction was aborted and is under way again.
  bool End(grpc::CompletionQueue* queue) {
    call_.reset();
    context_.reset();
    if (status_.error_code() == grpc::StatusCode::ABORTED) {
      Send(queue);
      return false;
    }
    Require(status_.ok(), status_.error_message());
    return true;
  }

 private:
  void Send(grpc::CompletionQueue* queue) {
    context_.emplace();
    call_ = stub_->AsyncExecute(&*context_, request_, queue);
    call_->Finish(&response_, &status_, this);
  }

  const std::unique_ptr<v1::TransactionService::Stub> stub_;
  v1::ExecuteRequest request_;
  v1::ExecuteResponse response_;
  grpc::Status status_;
  std::optional<grpc::ClientContext> context_;
  std::unique_ptr<grpc::ClientAsyncResponseReader<v1::ExecuteResponse>> call_;
};

ExecuteLoad::ExecuteLoad(const SopdProcess& server, int clients, uint64_t first, uint64_t items)
    : items_(items), next_(first) {
  for (int i = 0; i < clients; ++i) clients_.push_back(std::make_unique<Client>(server));
  CallUntil(0);  // connects
}

ExecuteLoad::~ExecuteLoad() { queue_.Shutdown(); }

double ExecuteLoad::Run(double seconds) {
  const double begin = Now();
  const uint64_t calls = CallUntil(begin + seconds);
  return static_cast<double>(calls * items_) / (Now() - begin);
}

uint64_t ExecuteLoad::CallUntil(double end) {
  const auto begin = [this](Client* client) {
    client->Begin(next_, items_, &queue_);
    next_ += items_;
  };
  for (const auto& client : clients_) begin(client.get());
  uint64_t calls = 0;
  for (size_t under_way = clients_.size(); under_way > 0;) {
    void* tag = nullptr;
    bool ok = false;
    Require(queue_.Next(&tag, &ok), "the queue of calls ended");
    auto* const client = static_cast<Client*>(tag);
    if (!client->End(&queue_)) continue;
    ++calls;
    if (Now() < end) {
      begin(client);
    } else {
      --under_way;
    }
  }
  return calls;
}

}  // namespace sop::bench
