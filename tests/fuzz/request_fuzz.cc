// Requests of every type, as bytes that reach a server through its own channel: an answer or a
// typed error, never INTERNAL, and the server goes on.
#include <grpcpp/generic/generic_stub.h>
#include <grpcpp/grpcpp.h>

#include <array>
#include <memory>

#include "core/base/check.h"
#include "google/protobuf/dynamic_message.h"
#include "google/protobuf/util/time_util.h"
#include "server/observe/log.h"
#include "server/server_fixture_test.h"
#include "tests/fuzz/fuzz_target.h"

namespace sop::fuzz {
namespace {

// Where what earlier inputs have left is thrown away.
constexpr int kInputsOfAServer = 2000;
constexpr int kMostPages = 4;

struct Method {
  const char* service;
  const char* name;
};

// The ones with one request and one answer.
constexpr Method kMethods[] = {
    {"BtreeService", "CreateBtree"},
    {"BtreeService", "OpenBtree"},
    {"BtreeService", "Add"},
    {"BtreeService", "AddIfNotExists"},
    {"BtreeService", "Update"},
    {"BtreeService", "Upsert"},
    {"BtreeService", "UpdateKey"},
    {"BtreeService", "Remove"},
    {"BtreeService", "Get"},
    {"BtreeService", "Seek"},
    {"BtreeService", "ReadPage"},
    {"BtreeService", "Count"},
    {"BtreeService", "Sample"},
    {"TransactionService", "Begin"},
    {"TransactionService", "Commit"},
    {"TransactionService", "Rollback"},
    {"TransactionService", "Get"},
    {"TransactionService", "List"},
    {"TransactionService", "Execute"},
    {"DatabaseService", "CreateDatabase"},
    {"DatabaseService", "GetDatabase"},
    {"DatabaseService", "ListDatabases"},
    {"DatabaseService", "DeleteDatabase"},
    {"DatabaseService", "ListStores"},
    {"DatabaseService", "GetStore"},
    {"DatabaseService", "RemoveStore"},
    {"DatabaseService", "SetRelations"},
    {"DatabaseService", "CheckRelations"},
    {"AdminService", "Echo"},
};
constexpr uint8_t kScan = std::size(kMethods);

std::string PathOf(const Method& method) {
  return fmt::format("/sop.v1.{}/{}", method.service, method.name);
}

const google::protobuf::Message* PrototypeOf(const Method& method) {
  const auto* service = google::protobuf::DescriptorPool::generated_pool()->FindServiceByName(
      fmt::format("sop.v1.{}", method.service));
  SOP_CHECK(service != nullptr);
  const auto* found = service->FindMethodByName(method.name);
  SOP_CHECK(found != nullptr);
  return google::protobuf::MessageFactory::generated_factory()->GetPrototype(found->input_type());
}

// A server with three stores and a transaction, for a number of inputs.
class Target {
 public:
  Target() : server_(Small()) {
    grpc::ChannelArguments arguments;
    arguments.SetInt(GRPC_ARG_USE_LOCAL_SUBCHANNEL_POOL, 1);
    channel_ = grpc::CreateCustomChannel(fmt::format("127.0.0.1:{}", server_.daemon().grpc_port()),
                                         grpc::InsecureChannelCredentials(), arguments);
    generic_ = std::make_unique<grpc::GenericStub>(channel_);
    for (const char* name : {"numbers", "texts", "records"}) AddStore(name);
    Begin();
  }

  // Sends `bytes` as they are.
  void Send(const Method& method, const std::string& bytes) {
    std::unique_ptr<google::protobuf::Message> request(PrototypeOf(method)->New());
    const bool parses = request->ParseFromString(bytes);
    std::string sent = bytes;
    if (parses) {
      Aim(request.get());
      sent = request->SerializeAsString();
    }
    grpc::ClientContext context;
    context.set_deadline(std::chrono::system_clock::now() + std::chrono::seconds(20));
    grpc::Slice slice(sent);
    const grpc::ByteBuffer buffer(&slice, 1);
    grpc::CompletionQueue queue;
    auto call = generic_->PrepareUnaryCall(&context, PathOf(method), buffer, &queue);
    call->StartCall();
    grpc::ByteBuffer answer;
    grpc::Status status;
    call->Finish(&answer, &status, nullptr);
    void* tag = nullptr;
    bool ok = false;
    SOP_CHECK(queue.Next(&tag, &ok));
    if (parses) Check(status);
    if (method.name == std::string_view("Commit") || method.name == std::string_view("Rollback") ||
        method.name == std::string_view("DeleteDatabase")) {
      Begin();
    }
  }

  void Scan(const std::string& bytes) {
    v1::ScanRequest request;
    if (!request.ParseFromString(bytes)) return;
    Aim(&request);
    grpc::ClientContext context;
    context.set_deadline(std::chrono::system_clock::now() + std::chrono::seconds(20));
    const auto stream = server_.btree->Scan(&context, request);
    v1::ScanResponse response;
    int pages = 0;
    while (pages < kMostPages && stream->Read(&response)) ++pages;
    if (pages == kMostPages) context.TryCancel();
    const grpc::Status status = stream->Finish();
    if (pages < kMostPages) Check(status);
  }

 private:
  static config::Limits Small() {
    config::Limits limits;
    limits.open_transactions = 100;
    limits.databases = 20;
    return limits;
  }

  static void Check(const grpc::Status& status) {
    if (status.ok()) return;
    google::rpc::Status wire;
    SOP_CHECK(wire.ParseFromString(status.error_details()) && wire.details_size() > 0);
    SOP_CHECK(status.error_code() != grpc::StatusCode::INTERNAL);
    SOP_CHECK(status.error_code() != grpc::StatusCode::UNKNOWN);
    SOP_CHECK(status.error_code() != grpc::StatusCode::DATA_LOSS);
    SOP_CHECK(status.error_code() != grpc::StatusCode::DEADLINE_EXCEEDED);
  }

  // Any transaction id stands for one that is open, and no transaction outlives the inputs.
  void Aim(google::protobuf::Message* request) const {
    const auto* field = request->GetDescriptor()->FindFieldByName("transaction_id");
    const auto* reflection = request->GetReflection();
    if (field != nullptr && !reflection->GetString(*request, field).empty()) {
      reflection->SetString(request, field, transaction_);
    }
  }

  void Begin() {
    v1::BeginResponse response;
    SOP_CHECK(Call(*server_.transaction, &v1::TransactionService::Stub::Begin, v1::BeginRequest(),
                   &response)
                  .ok() ||
              transaction_.size() == 16);
    if (!response.transaction_id().empty()) transaction_ = response.transaction_id();
  }

  void AddStore(const std::string& name) {
    v1::CreateBtreeRequest create;
    v1::CreateBtreeResponse created;
    create.set_store(name);
    create.mutable_options()->set_unique(name != "texts");
    create.mutable_options()->set_slot_length(4);
    if (name == "records") {
      create.mutable_options()->mutable_index()->add_fields()->set_name("name");
    }
    SOP_CHECK(Call(*server_.btree, &v1::BtreeService::Stub::CreateBtree, create, &created).ok());
    v1::AddRequest add;
    v1::AddResponse added;
    add.set_store(name);
    for (int i = 0; i < 20; ++i) {
      v1::Key* key = add.add_items()->mutable_key();
      if (name == "numbers") key->set_int64_value(i);
      if (name == "texts") key->set_string_value(fmt::format("text{}", i / 2));
      if (name != "records") continue;
      v1::Field* field = key->mutable_record()->add_fields();
      field->set_name("name");
      field->mutable_value()->set_string_value(fmt::format("name{}", i));
      field = key->mutable_record()->add_fields();
      field->set_name("rides");
      field->mutable_value()->set_int64_value(i);
    }
    SOP_CHECK(Call(*server_.btree, &v1::BtreeService::Stub::Add, add, &added).ok());
  }

  TestServer server_;
  std::shared_ptr<grpc::Channel> channel_;
  std::unique_ptr<grpc::GenericStub> generic_;
  std::string transaction_;
};

v1::Key KeyOf(const std::string& store) {
  v1::Key key;
  if (store == "numbers") key.set_int64_value(7);
  if (store == "texts") key.set_string_value("text3");
  if (store == "records") {
    v1::Field* field = key.mutable_record()->add_fields();
    field->set_name("name");
    field->mutable_value()->set_string_value("name5");
  }
  return key;
}

// Fills what most requests have, by the names of fields.
void Fill(const std::string& store, bool in_transaction, google::protobuf::Message* request) {
  const auto* descriptor = request->GetDescriptor();
  const auto* reflection = request->GetReflection();
  if (const auto* field = descriptor->FindFieldByName("store")) {
    reflection->SetString(request, field, store);
  }
  const auto* transaction = descriptor->FindFieldByName("transaction_id");
  if (transaction != nullptr && in_transaction) {
    reflection->SetString(request, transaction, std::string(16, 't'));
  }
  const v1::Key key = KeyOf(store);
  if (const auto* field = descriptor->FindFieldByName("key")) {
    reflection->MutableMessage(request, field)->CopyFrom(key);
  }
  if (const auto* field = descriptor->FindFieldByName("keys")) {
    reflection->AddMessage(request, field)->CopyFrom(key);
  }
  if (const auto* field = descriptor->FindFieldByName("range")) {
    v1::KeyRange range;
    *range.mutable_begin() = key;
    range.set_end_inclusive(true);
    reflection->MutableMessage(request, field)->CopyFrom(range);
  }
  if (const auto* field = descriptor->FindFieldByName("filter")) {
    v1::Filter filter;
    filter.mutable_condition()->mutable_field()->add_names("rides");
    filter.mutable_condition()->mutable_greater()->mutable_scalar()->set_int64_value(3);
    reflection->MutableMessage(request, field)->CopyFrom(filter);
  }
  const auto* items = descriptor->FindFieldByName("items");
  if (items == nullptr) return;
  v1::WriteItem item;
  *item.mutable_key() = key;
  item.mutable_value()->set_content("{}");
  item.mutable_value()->set_format(v1::VALUE_FORMAT_JSON);
  reflection->AddMessage(request, items)->CopyFrom(item);
}

std::string AnExecute() {
  v1::ExecuteRequest request;
  v1::Precondition* condition = request.add_preconditions();
  condition->set_store("numbers");
  *condition->mutable_key() = KeyOf("numbers");
  condition->set_exists(true);
  Fill("numbers", false, request.add_operations()->mutable_upsert());
  Fill("texts", false, request.add_operations()->mutable_remove());
  Fill("records", false, request.add_operations()->mutable_update_key());
  Fill("numbers", false, request.add_operations()->mutable_read_page());
  Fill("texts", false, request.add_operations()->mutable_seek());
  request.add_operations()->mutable_remove_store()->set_store("texts");
  return request.SerializeAsString();
}

}  // namespace

std::vector<std::string> Seeds() {
  std::vector<std::string> seeds;
  uint8_t number = 0;
  for (const Method& method : kMethods) {
    const std::string store = std::array{"numbers", "texts", "records"}[number % 3];
    std::unique_ptr<google::protobuf::Message> request(PrototypeOf(method)->New());
    Fill(store, number % 2 == 0, request.get());
    seeds.push_back(Chosen(number++, request->SerializeAsString()));
  }
  seeds.push_back(Chosen(18, AnExecute()));
  v1::CreateBtreeRequest create;
  create.set_store("another");
  create.mutable_options()->mutable_schema()->set_shape(v1::KEY_SHAPE_RECORD);
  v1::SchemaField* field = create.mutable_options()->mutable_schema()->add_fields();
  field->set_name("f");
  field->set_type(v1::SCALAR_TYPE_UUID);
  create.mutable_options()->add_relations()->set_target_store("numbers");
  seeds.push_back(Chosen(0, create.SerializeAsString()));
  v1::ScanRequest scan;
  Fill("records", true, &scan);
  seeds.push_back(Chosen(kScan, scan.SerializeAsString()));
  v1::BeginRequest begin;
  begin.mutable_max_duration()->set_seconds(3);
  begin.set_at_least_version(std::string(8, '\0'));
  seeds.push_back(Chosen(13, begin.SerializeAsString()));
  return seeds;
}

void RunInput(std::string_view input) {
  static Target* target = nullptr;
  static int inputs = 0;
  if (target == nullptr) observe::OpenLog(config::LogLevel::kError, config::LogFormat::kText);
  if (target == nullptr || ++inputs % kInputsOfAServer == 0) {
    delete target;
    target = new Target;
  }
  InputReader reader(input);
  const uint8_t choice = reader.Byte();
  const std::string bytes(reader.rest());
  if (choice % (kScan + 1) == kScan) return target->Scan(bytes);
  target->Send(kMethods[choice % (kScan + 1)], bytes);
}

}  // namespace sop::fuzz
