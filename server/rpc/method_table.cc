#include "server/rpc/method_table.h"

#include <utility>

#include "core/base/check.h"
#include "core/base/error.h"
#include "core/base/status_macros.h"
#include "fmt/format.h"
#include "sop/v1/admin.pb.h"
#include "sop/v1/btree.pb.h"
#include "sop/v1/database.pb.h"
#include "sop/v1/transaction.pb.h"

namespace sop::rpc {
namespace {

// Reads have a streaming twin; writes are split by the client.
std::string StreamingTwin(const google::protobuf::MethodDescriptor& method) {
  const std::string& name = method.name();
  if (name == "Echo") return "AdminService.EchoStream";
  if (name == "ReadPage" || name == "Get") return "BtreeService.Scan";
  return "";
}

}  // namespace

absl::StatusOr<std::unique_ptr<MethodTable>> MethodTable::Open(observe::Metrics& metrics) {
  auto table = std::unique_ptr<MethodTable>(new MethodTable);
  const google::protobuf::FileDescriptor* files[] = {
      v1::EchoRequest::descriptor()->file(), v1::GetRequest::descriptor()->file(),
      v1::CreateDatabaseRequest::descriptor()->file(), v1::BeginRequest::descriptor()->file()};
  for (const auto* file : files) {
    for (int i = 0; i < file->service_count(); ++i) {
      SOP_RETURN_IF_ERROR(table->AddService(*file->service(i), metrics));
    }
  }
  return table;
}

absl::Status MethodTable::AddService(const google::protobuf::ServiceDescriptor& service,
                                     observe::Metrics& metrics) {
  for (int i = 0; i < service.method_count(); ++i) {
    const google::protobuf::MethodDescriptor& descriptor = *service.method(i);
    auto method = std::make_unique<Method>();
    method->name = fmt::format("{}/{}", service.full_name(), descriptor.name());
    method->permission = descriptor.options().GetExtension(v1::permission);
    method->streaming_call = StreamingTwin(descriptor);
    method->streams = descriptor.client_streaming() || descriptor.server_streaming();
    method->metrics = &metrics.ForMethod(method->name);
    if (method->permission == v1::PERMISSION_UNSPECIFIED) {
      return Error(Reason::kInternal, fmt::format("rpc {} declares no permission", method->name));
    }
    auto& slot = methods_[descriptor.input_type()];
    if (slot != nullptr) {
      return Error(Reason::kInternal,
                   fmt::format("rpc {} shares its request type with {}", method->name, slot->name));
    }
    slot = std::move(method);
  }
  return absl::OkStatus();
}

const Method& MethodTable::ForRequest(const google::protobuf::Descriptor* request) const {
  const auto found = methods_.find(request);
  SOP_CHECK(found != methods_.end());
  return *found->second;
}

int MethodIndexOf(const google::protobuf::Descriptor& request) {
  const google::protobuf::FileDescriptor& file = *request.file();
  int index = -1;
  for (int i = 0; i < file.service_count(); ++i) {
    for (int n = 0; n < file.service(i)->method_count(); ++n) {
      if (file.service(i)->method(n)->input_type() == &request) index = n;
    }
  }
  SOP_CHECK(index >= 0);
  return index;
}

}  // namespace sop::rpc
