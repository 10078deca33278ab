#pragma once

#include <string_view>

#include "absl/status/status.h"
#include "core/base/ids.h"
#include "core/persistence/record.h"

namespace sop::persistence {

// A database made anew out of what can be read of a damaged one. Confined to one thread.
class CopyTarget {
 public:
  virtual ~CopyTarget() = default;
  // kDiskFull, UNAVAILABLE.
  virtual absl::Status AddNode(TreeId tree, NodeId node, std::string_view image) = 0;
  virtual absl::Status AddValue(TreeId tree, Serial value_id, std::string_view value) = 0;
  virtual absl::Status AddRow(Space space, std::string_view key, std::string_view value) = 0;
  // Completes the copy, whose last commit is `tail`. On OK it is on stable storage, beside the
  // damaged one, which stays what users see until the two are exchanged.
  virtual absl::Status Finish(Sequence tail) = 0;
};

}  // namespace sop::persistence
