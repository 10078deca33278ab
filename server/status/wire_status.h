#pragma once

#include "absl/status/status.h"
#include "google/rpc/status.pb.h"
#include "grpcpp/support/status.h"

namespace sop::status {

// The google.rpc.Status of `status`: always with an ErrorInfo of domain "sop" (none for OK), with
// RetryInfo for OVERLOADED and DISK_FULL. A status that was not made by sop::Error gets
// the reason that its code stands for.
google::rpc::Status ToRpcStatus(const absl::Status& status);

// The same as the status of a call; details go into the trailer `grpc-status-details-bin`.
grpc::Status ToGrpcStatus(const absl::Status& status);

}  // namespace sop::status
