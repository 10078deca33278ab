#pragma once

#include <cstddef>
#include <vector>

#include "core/base/ids.h"
#include "core/persistence/record.h"
#include "core/txn/feed/feed_row.h"

namespace sop::txn {

// Turns the changes that the transactions of a group make to stores with a feed into rows of its
// record. For each transaction: Add..., then Commit or Discard. Confined to the committer.
class FeedWriter {
 public:
  explicit FeedWriter(int64_t unix_ms) : unix_ms_(unix_ms) {}

  // REQUIRES: changes of one tree come together, ascending by key, its end last.
  void Add(TreeId tree, const FeedChange& change);
  // The transaction is commit `version`: its changes become rows.
  void Commit(Sequence version);
  void Discard() { pending_.clear(); }

  // Trees that have rows.
  const std::vector<TreeId>& trees() const { return trees_; }
  size_t row_bytes() const { return row_bytes_; }
  // Moves the rows to `rows`.
  void Finish(std::vector<persistence::RowChange>* rows);

 private:
  struct Pending {
    TreeId tree;
    std::vector<FeedRow> parts;
  };

  const int64_t unix_ms_;
  std::vector<Pending> pending_;
  std::vector<TreeId> trees_;
  std::vector<persistence::RowChange> rows_;
  size_t row_bytes_ = 0;
};

}  // namespace sop::txn
