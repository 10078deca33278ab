#include "server/rpc/operation/request_context.h"

#include "core/base/error.h"

namespace sop::rpc {

absl::Status RequestContext::CheckWanted() const {
  if (cancelled_.load(std::memory_order_relaxed)) {
    return Error(Reason::kCancelled, "the caller cancelled the call");
  }
  if (clock_.Monotonic() >= deadline_) {
    return Error(Reason::kDeadlineExceeded, "the caller's deadline has passed");
  }
  return absl::OkStatus();
}

}  // namespace sop::rpc
