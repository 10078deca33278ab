#pragma once

#include <memory>
#include <vector>

#include "core/base/mutex.h"
#include "server/rpc/session_call.h"

namespace sop::rpc {

// Opens sessions, and knows those that are open so that they can be asked to end. Thread-safe.
class SessionHost {
 public:
  // All must outlive this.
  explicit SessionHost(const OperationRunner::Parts& parts, TransactionCalls& calls)
      : parts_(parts), runner_(parts), calls_(calls) {}

  // The reactor of a stream that has come.
  SessionCall* Open(const grpc::CallbackServerContext& context) SOP_EXCLUDES(mu_);

  // Has every session end as soon as none of its transactions is open, and refuses others.
  void Drain() SOP_EXCLUDES(mu_);

 private:
  const OperationRunner::Parts parts_;
  OperationRunner runner_;
  TransactionCalls& calls_;

  base::Mutex mu_;
  bool draining_ SOP_GUARDED_BY(mu_) = false;
  // Of sessions that may have ended meanwhile.
  std::vector<std::weak_ptr<session::Pipeline>> open_ SOP_GUARDED_BY(mu_);
  size_t next_sweep_ SOP_GUARDED_BY(mu_) = 64;
};

}  // namespace sop::rpc
