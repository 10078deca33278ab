#pragma once

#include "absl/status/status.h"
#include "server/rpc/operation/request_context.h"
#include "sop/v1/options.pb.h"

namespace sop::rpc {

// Decides who may do what. Asked once per operation, nested ones included. Thread-safe.
class Authorizer {
 public:
  virtual ~Authorizer() = default;
  // Whether the context's principal may do this to its database and store. PERMISSION_DENIED or
  // UNAUTHENTICATED.
  virtual absl::Status Check(const RequestContext& context, v1::Permission permission) = 0;
};

// Allows everybody everything: right as long as only loopback is listened on. Thread-safe.
class OpenAuthorizer : public Authorizer {
 public:
  absl::Status Check(const RequestContext&, v1::Permission) override { return absl::OkStatus(); }
};

}  // namespace sop::rpc
