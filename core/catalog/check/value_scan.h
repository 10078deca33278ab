#pragma once

#include <cstddef>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/status.h"
#include "core/base/checksum.h"
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
  // The piece that is expected next. REQUIRES: next_ < last_.
  Serial Expected() const { return referred_[next_].value.piece(piece_); }
  void Visit(Serial id, std::string_view bytes);
  // What is expected next is there.
  void Take(std::string_view bytes);
  // Something is wrong with the value expected next, of which the rest is passed over.
  void Lose(FindingKind kind, std::string_view what);
  void Missing();

  const persistence::StorageSnapshot& snapshot_;
  const TreeId tree_;
  const std::vector<ReferredValue>& referred_;
  const std::string& store_;
  CheckReport& report_;
  size_t next_ = 0;
  size_t last_ = 0;
  uint64_t piece_ = 0;
  base::Checksum checksum_;  // of the pieces before it
  Serial lost_below_;        // pieces below it are of a value that was reported
};

}  // namespace sop::check
