#include "tests/bench/server_calls.h"

#include <algorithm>
#include <atomic>
#include <barrier>
#include <thread>
#include <utility>
#include <vector>

#include "clients/cpp/page_stream.h"
#include "tests/bench/workload.h"

namespace sop::bench {
namespace {

void RequireOk(const grpc::Status& status) { Require(status.ok(), status.error_message()); }

void Fill(v1::WriteItem* item, uint64_t number, std::string_view value) {
  item->mutable_key()->mutable_encoded()->set_key(KeyOf(number));
  item->mutable_value()->set_content(value.data(), value.size());
}

v1::BtreeOptions Options() {
  v1::BtreeOptions options;
  options.mutable_schema()->set_shape(v1::KEY_SHAPE_SCALAR);
  options.mutable_schema()->add_fields()->set_type(v1::SCALAR_TYPE_INT64);
  return options;
}

}  // namespace

void AddScattered(const std::string& store, uint64_t first, uint64_t items,
                  v1::ExecuteRequest* request) {
  v1::AddRequest* add = request->add_operations()->mutable_add();
  add->set_store(store);
  add->set_require_all(true);
  for (uint64_t number = first; number < first + items; ++number) {
    Fill(add->add_items(), Scatter(number), ValueOf(number));
  }
}

ServerClient::ServerClient(const SopdProcess& server, std::string database)
    : database_(std::move(database)),
      admin_(v1::AdminService::NewStub(server.Connect())),
      btree_(v1::BtreeService::NewStub(server.Connect())),
      transactions_(v1::TransactionService::NewStub(server.Connect())) {}

void ServerClient::CreateStore() {
  grpc::ClientContext context;
  v1::CreateBtreeRequest request;
  request.set_database(database_);
  request.set_store(kStore);
  *request.mutable_options() = Options();
  v1::CreateBtreeResponse response;
  RequireOk(btree_->CreateBtree(&context, request, &response));
}

v1::AddRequest ServerClient::AddOf(uint64_t begin, uint64_t end) const {
  v1::AddRequest request;
  request.set_database(database_);
  request.set_store(kStore);
  request.set_require_all(true);
  for (uint64_t number = begin; number < end; ++number) {
    Fill(request.add_items(), number, ValueOf(number));
  }
  return request;
}

void ServerClient::Add(uint64_t begin, uint64_t end) {
  grpc::ClientContext context;
  v1::AddResponse response;
  RequireOk(btree_->Add(&context, AddOf(begin, end), &response));
}

void ServerClient::AddInTransaction(uint64_t begin, uint64_t end, uint64_t batch) {
  v1::BeginRequest request;
  request.set_database(database_);
  v1::BeginResponse begun;
  grpc::ClientContext begin_context;
  RequireOk(transactions_->Begin(&begin_context, request, &begun));
  for (uint64_t first = begin; first < end; first += batch) {
    v1::AddRequest add = AddOf(first, std::min(end, first + batch));
    add.set_transaction_id(begun.transaction_id());
    v1::AddResponse response;
    grpc::ClientContext context;
    RequireOk(btree_->Add(&context, add, &response));
  }
  v1::CommitRequest commit;
  commit.set_database(database_);
  commit.set_transaction_id(begun.transaction_id());
  v1::CommitResponse committed;
  grpc::ClientContext commit_context;
  RequireOk(transactions_->Commit(&commit_context, commit, &committed));
}

bool ServerClient::Commit(v1::ExecuteRequest* request) {
  grpc::ClientContext context;
  request->set_database(database_);
  v1::ExecuteResponse response;
  const grpc::Status status = transactions_->Execute(&context, *request, &response);
  if (status.error_code() == grpc::StatusCode::ABORTED) return false;
  RequireOk(status);
  return true;
}

bool ServerClient::Execute(uint64_t first, uint64_t items) {
  v1::ExecuteRequest request;
  AddScattered(kStore, first, items, &request);
  return Commit(&request);
}

bool ServerClient::CreateAndExecute(const std::string& store, uint64_t first, uint64_t items) {
  v1::ExecuteRequest request;
  v1::CreateBtreeRequest* create = request.add_operations()->mutable_create_btree();
  create->set_store(store);
  *create->mutable_options() = Options();
  AddScattered(store, first, items, &request);
  return Commit(&request);
}

void ServerClient::Get(uint64_t known, int keys, uint64_t* state) {
  grpc::ClientContext context;
  v1::GetRequest request;
  request.set_database(database_);
  request.set_store(kStore);
  for (int i = 0; i < keys; ++i) {
    request.add_keys()->mutable_encoded()->set_key(KeyOf(DrawBelow(known, state)));
  }
  v1::GetResponse response;
  RequireOk(btree_->Get(&context, request, &response));
  Require(
      response.items_size() == keys && response.items(0).value().content().size() == kValueBytes,
      "a Get that misses items");
}

void ServerClient::Echo(size_t request_bytes, size_t response_bytes) {
  grpc::ClientContext context;
  v1::EchoRequest request;
  request.set_payload(std::string(request_bytes, 'e'));
  request.set_response_bytes(static_cast<uint32_t>(response_bytes));
  v1::EchoResponse response;
  RequireOk(admin_->Echo(&context, request, &response));
}

void ServerClient::EchoLikeGet() { Echo(kKeyBytes + 12, kItemBytes + 20); }

void ServerClient::EchoLikeAdd() { Echo(kItemBytes + 20, 12); }

uint64_t ServerClient::Scan() {
  v1::ScanRequest request;
  request.set_database(database_);
  request.set_store(kStore);
  client::PageStream pages(*btree_, request);
  uint64_t items = 0;
  for (;;) {
    const auto page = pages.Next();
    Require(page.ok(), page.status().ToString());
    if (!page->has_value()) break;
    items += (*page)->count();
  }
  RequireOk(pages.Finish());
  return items;
}

uint64_t ServerClient::ReadPages(uint32_t page_size) {
  v1::ReadPageRequest request;
  request.set_database(database_);
  request.set_store(kStore);
  request.set_page_size(page_size);
  uint64_t items = 0;
  for (;;) {
    grpc::ClientContext context;
    v1::ReadPageResponse response;
    RequireOk(btree_->ReadPage(&context, request, &response));
    items += static_cast<uint64_t>(response.items_size());
    if (response.end()) return items;
    request.set_page_token(response.next_page_token());
  }
}

double RunClients(const SopdProcess& server, int clients, double seconds,
                  absl::FunctionRef<void(ServerClient& client, int number)> call) {
  std::atomic<uint64_t> calls{0};
  std::barrier start(clients + 1);
  std::vector<std::thread> threads;
  for (int number = 0; number < clients; ++number) {
    threads.emplace_back([&, number] {
      ServerClient client(server);
      call(client, number);  // connects
      start.arrive_and_wait();
      uint64_t own = 0;
      for (const double end = Now() + seconds; Now() < end; ++own) call(client, number);
      calls += own;
    });
  }
  start.arrive_and_wait();
  const double begin = Now();
  for (std::thread& thread : threads) thread.join();
  return static_cast<double>(calls) / (Now() - begin);
}

}  // namespace sop::bench
