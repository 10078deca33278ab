#pragma once

#include <deque>
#include <optional>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "clients/cli/transfer/chunk.h"
#include "core/base/mutex.h"

namespace sop::cli {

// Chunks on their way from the thread that reads them to the one that writes them; holds a few, so
// that neither waits for the other for long. Thread-safe.
class ChunkQueue {
 public:
  static constexpr size_t kMostHeld = 2;

  // Waits for room. False once the queue was closed: nobody takes more.
  bool Put(Chunk chunk);
  // No more chunks come; a failure is what Take gives behind those that are held.
  void End(absl::Status status);
  // Waits for a chunk; nothing at the end.
  absl::StatusOr<std::optional<Chunk>> Take();
  void Close();

 private:
  base::Mutex mu_;
  base::CondVar changed_;
  std::deque<Chunk> held_ SOP_GUARDED_BY(mu_);
  bool closed_ SOP_GUARDED_BY(mu_) = false;
  std::optional<absl::Status> ended_ SOP_GUARDED_BY(mu_);
};

}  // namespace sop::cli
