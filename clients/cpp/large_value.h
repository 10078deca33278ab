#pragma once

#include <string_view>

#include "grpcpp/client_context.h"
#include "grpcpp/support/status.h"
#include "sop/v1/btree.grpc.pb.h"

namespace sop::client {

// Above this reads leave a value out, and tell its size.
inline constexpr size_t kMaxWholeValueBytes = 1 << 20;

// Writes one item with a value of any size, which goes in parts. `header` is the first message,
// without `content` and `end`.
grpc::Status PutValue(v1::BtreeService::Stub& stub, grpc::ClientContext* context,
                      const v1::PutValueRequest& header, std::string_view value,
                      v1::PutValueResponse* response);

// Reads the value of one item: `*response` becomes the first message with all of the value in it.
// INTERNAL if the server sent less than it said.
grpc::Status ReadValue(v1::BtreeService::Stub& stub, grpc::ClientContext* context,
                       const v1::ReadValueRequest& request, v1::ReadValueResponse* response);

}  // namespace sop::client
