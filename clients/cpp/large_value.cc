#include "clients/cpp/large_value.h"

#include <utility>

#include "grpcpp/support/sync_stream.h"

namespace sop::client {
namespace {

constexpr size_t kPartBytes = 256 << 10;

}  // namespace

grpc::Status PutValue(v1::BtreeService::Stub& stub, grpc::ClientContext* context,
                      const v1::PutValueRequest& header, std::string_view value,
                      v1::PutValueResponse* response) {
  const auto writer = stub.PutValue(context, response);
  v1::PutValueRequest message = header;
  for (;;) {
    message.set_content(std::string(value.substr(0, kPartBytes)));
    value.remove_prefix(message.content().size());
    message.set_end(value.empty());
    // A write that fails ends the stream, and Finish says why.
    if (!writer->Write(message) || message.end()) break;
    message.Clear();
  }
  writer->WritesDone();
  return writer->Finish();
}

grpc::Status ReadValue(v1::BtreeService::Stub& stub, grpc::ClientContext* context,
                       const v1::ReadValueRequest& request, v1::ReadValueResponse* response) {
  const auto reader = stub.ReadValue(context, request);
  v1::ReadValueResponse message;
  bool first = true;
  bool end = false;
  while (reader->Read(&message)) {
    end = message.end();
    if (std::exchange(first, false)) {
      *response = std::move(message);
      response->mutable_content()->reserve(response->size() - request.offset());
    } else {
      response->mutable_content()->append(message.content());
    }
  }
  const grpc::Status status = reader->Finish();
  if (!status.ok()) return status;
  response->set_end(true);
  const bool whole = end && response->content().size() + request.offset() == response->size();
  return whole ? status
               : grpc::Status(grpc::StatusCode::INTERNAL, "the server sent only part of a value");
}

}  // namespace sop::client
