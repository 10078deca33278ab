#pragma once

#include <cstddef>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/status.h"
#include "core/base/ids.h"
#include "core/catalog/check/check_report.h"
#include "core/catalog/check/node_scan.h"
#include "core/persistence/storage.h"

namespace sop::check {

// Holds the values of a tree that are kept outside nodes against what its items refer to, a part of
// the tree at a time. Confined to one thread.
class ValueScan {
 public:
  // All must outlive this. `referred` ascends by value id.
  ValueScan(const persistence::StorageSnapshot& snapshot, TreeId tree,
            const std::vector<ReferredValue>& referred, const std::string& store,
            CheckReport* report)
      : snapshot_(snapshot), tree_(tree), referred_(referred), store_(store), report_(*report) {}

  // [first, last) of `referred`; the first and last part reach to the ends of the tree. Fails only
  // if the storage fails in another way than by damage.
  absl::Status Run(size_t first, size_t last);

 private:
  void Visit(Serial value_id, std::string_view bytes);
  void Add(FindingKind kind, const ReferredValue& referred, std::string_view what);

  const persistence::StorageSnapshot& snapshot_;
  const TreeId tree_;
  const std::vector<ReferredValue>& referred_;
  const std::string& store_;
  CheckReport& report_;
  size_t next_ = 0;
  size_t last_ = 0;
};

}  // namespace sop::check
