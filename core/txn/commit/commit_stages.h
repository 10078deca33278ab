#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <string_view>

#include "core/base/measure/duration_histogram.h"

namespace sop::txn {

// The way of a transaction through the committer.
enum class CommitStage : uint8_t {
  kQueue,     // from Commit until its group is begun
  kValidate,  // of its group: settled, validated and merged
  kApply,     // of its group: node deltas and images made
  kWrite,     // of its group: written, and synced unless relaxed
  kPublish,   // of its group: the snapshot taken, and caches told
};
inline constexpr size_t kCommitStages = 5;
inline constexpr std::array<std::string_view, kCommitStages> kCommitStageNames = {
    "queue", "validate", "apply", "write", "publish"};

// How long the stages of one commit took, in nanoseconds; 0 for those it did not come to.
using CommitTimes = std::array<int64_t, kCommitStages>;

// How long stages took. kQueue is counted for each transaction, the others for each group.
// Thread-safe.
class CommitStages {
 public:
  void Record(CommitStage stage, int64_t nanos) {
    histograms_[static_cast<size_t>(stage)].Record(nanos);
  }
  base::DurationHistogram::Counts Read(CommitStage stage) const {
    return histograms_[static_cast<size_t>(stage)].Read();
  }

 private:
  std::array<base::DurationHistogram, kCommitStages> histograms_;
};

}  // namespace sop::txn
