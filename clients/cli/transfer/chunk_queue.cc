#include "clients/cli/transfer/chunk_queue.h"

#include <utility>

#include "core/base/status_macros.h"

namespace sop::cli {

bool ChunkQueue::Put(Chunk chunk) {
  base::MutexLock lock(mu_);
  while (held_.size() >= kMostHeld && !closed_) {
    changed_.Wait(mu_);
  }
  if (!closed_) {
    held_.push_back(std::move(chunk));
    changed_.NotifyAll();
  }
  return !closed_;
}

void ChunkQueue::End(absl::Status status) {
  base::MutexLock lock(mu_);
  ended_ = std::move(status);
  changed_.NotifyAll();
}

absl::StatusOr<std::optional<Chunk>> ChunkQueue::Take() {
  base::MutexLock lock(mu_);
  while (held_.empty() && !ended_) {
    changed_.Wait(mu_);
  }
  if (held_.empty()) {
    SOP_RETURN_IF_ERROR(*ended_);
    return std::optional<Chunk>();
  }
  std::optional<Chunk> chunk(std::move(held_.front()));
  held_.pop_front();
  changed_.NotifyAll();
  return chunk;
}

void ChunkQueue::Close() {
  base::MutexLock lock(mu_);
  closed_ = true;
  changed_.NotifyAll();
}

}  // namespace sop::cli
