// A client to be killed: abandoning_client ADDRESS HABIT IDLE_MILLISECONDS. Opens transactions that
// end when unused for so long, says `ready`, and goes on as its habit is, for ever.
#include <unistd.h>

#include <cstdio>
#include <string>

#include "tests/e2e/live_server.h"
#include "tests/network/client.h"

namespace sop::network {
namespace {

constexpr int kItemsOfAWrite = 200;

class Abandoner {
 public:
  Abandoner(const std::string& address, int64_t idle_milliseconds)
      : client_(e2e::LiveServer::Connect(address)), idle_milliseconds_(idle_milliseconds) {}

  // Two transactions with writes in each, and calls of them under way.
  void Write() {
    const std::string transactions[] = {Begin({}), Begin({})};
    for (const std::string& transaction : transactions) Add(transaction, "abandoned", 1000);
    SayReady();
    for (;;) {
      for (const std::string& transaction : transactions) Add(transaction, "abandoned", 1000);
    }
  }

  // One transaction whose writes go to temporary files.
  void Spill() {
    const std::string transaction = Begin({});
    for (int i = 0; i < 30; ++i) Add(transaction, "abandoned", 4000);
    SayReady();
    for (;;) pause();
  }

  // Snapshots held by scans that nobody reads, in a transaction and outside.
  void Read() {
    v1::BeginRequest begin;
    begin.set_mode(v1::TRANSACTION_MODE_READ_ONLY);
    v1::ScanRequest request;
    request.set_store("read");
    request.set_transaction_id(Begin(begin));
    grpc::ClientContext inside_context;
    grpc::ClientContext outside_context;
    v1::ScanResponse response;
    const auto inside = client_.btrees->Scan(&inside_context, request);
    request.clear_transaction_id();
    const auto outside = client_.btrees->Scan(&outside_context, request);
    Require(inside->Read(&response) && outside->Read(&response), "Scan");
    SayReady();
    for (;;) pause();
  }

  // Transactions of one item in each of two stores, committed one after the other.
  void Commit() {
    for (bool ready = false;;) {
      v1::CommitRequest request;
      v1::CommitResponse response;
      request.set_transaction_id(Begin({}));
      const std::string key = MakeRequestId();
      for (const char* store : {"left", "right"}) {
        v1::AddRequest add;
        v1::AddResponse added;
        add.set_store(store);
        add.set_transaction_id(request.transaction_id());
        add.add_items()->mutable_key()->set_bytes_value(key);
        Require(client_.Call(add, &added), "Add");
      }
      if (!ready) SayReady();
      ready = true;
      Require(client_.Call(request, &response), "Commit");
    }
  }

 private:
  static void Require(const grpc::Status& status, const char* what) {
    if (status.ok()) return;
    std::printf("%s: %s\n", what, status.error_message().c_str());
    std::exit(1);
  }
  static void Require(bool done, const char* what) {
    Require(done ? grpc::Status::OK : grpc::Status(grpc::StatusCode::UNKNOWN, "failed"), what);
  }
  static void SayReady() {
    std::puts("ready");
    std::fflush(stdout);
  }

  std::string Begin(v1::BeginRequest request) {
    v1::BeginResponse response;
    request.mutable_idle_limit()->set_seconds(idle_milliseconds_ / 1000);
    request.mutable_idle_limit()->set_nanos(
        static_cast<int32_t>(idle_milliseconds_ % 1000 * 1'000'000));
    Require(client_.Call(request, &response), "Begin");
    return response.transaction_id();
  }

  void Add(const std::string& transaction, const char* store, size_t value_bytes) {
    v1::AddRequest request;
    v1::AddResponse response;
    request.set_store(store);
    request.set_transaction_id(transaction);
    for (int i = 0; i < kItemsOfAWrite; ++i) {
      v1::WriteItem* item = request.add_items();
      item->mutable_key()->set_bytes_value(MakeRequestId());
      item->mutable_value()->set_content(std::string(value_bytes, 'v'));
    }
    Require(client_.Call(request, &response), "Add");
  }

  Client client_;
  const int64_t idle_milliseconds_;
};

int Run(const std::string& address, const std::string& habit, int64_t idle_milliseconds) {
  Abandoner abandoner(address, idle_milliseconds);
  if (habit == "write") abandoner.Write();
  if (habit == "spill") abandoner.Spill();
  if (habit == "read") abandoner.Read();
  if (habit == "commit") abandoner.Commit();
  std::printf("no habit %s\n", habit.c_str());
  return 1;
}

}  // namespace
}  // namespace sop::network

int main(int argc, char** argv) {
  if (argc != 4) return 2;
  return sop::network::Run(argv[1], argv[2], std::stoll(argv[3]));
}
