#include "server/rpc/operation/request_context.h"

#include "core/base/error.h"

namespace sop::rpc {

absl::Status RequestContext::CheckWanted() const {
  const bool stream_cancelled =
      stream_cancelled_ != nullptr && stream_cancelled_->load(std::memory_order_relaxed);
  if (cancelled_.load(std::memory_order_relaxed) || stream_cancelled) {
    return Error(Reason::kCancelled, "the caller cancelled the call");
  }
  if (clock_.Monotonic() >= deadline_) {
    return Error(Reason::kDeadlineExceeded, "the caller's deadline has passed");
  }
  return absl::OkStatus();
}

}  // namespace sop::rpc
