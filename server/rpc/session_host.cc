#include "server/rpc/session_host.h"

#include <algorithm>

#include "core/base/error.h"

namespace sop::rpc {

SessionCall* SessionHost::Open(const grpc::CallbackServerContext& context) {
  auto* const call =
      new SessionCall({parts_.dispatcher, parts_.transactions, runner_, calls_}, context);
  absl::Status status;
  {
    base::MutexLock lock(mu_);
    if (draining_) status = Error(Reason::kUnavailable, "the server is stopping");
    if (open_.size() >= next_sweep_) {
      std::erase_if(open_, [](const auto& pipeline) { return pipeline.expired(); });
      next_sweep_ = std::max<size_t>(64, 2 * open_.size());
    }
    open_.push_back(call->pipeline());
  }
  call->Start(status);
  return call;
}

void SessionHost::Drain() {
  std::vector<std::weak_ptr<session::Pipeline>> open;
  {
    base::MutexLock lock(mu_);
    draining_ = true;
    open.swap(open_);
  }
  for (const auto& session : open) {
    if (const auto pipeline = session.lock()) pipeline->Drain();
  }
}

}  // namespace sop::rpc
