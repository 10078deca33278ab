#pragma once

#include <memory>

#include <rocksdb/merge_operator.h>

#include "core/persistence/storage.h"

namespace sop::rocksdb_storage {

// Lets RocksDB apply deltas to images. Each operand is the bytes of one delta.
//
// 1. It never fails: a failing merge operator stops every write and the database could not be
// opened
//    again. ApplyFunction is total, so damage becomes a damaged image.
// 2. Operands are kept as a list until a base is met; deltas are not merged with each other.
// Thread-safe.
class NodeMergeOperator : public rocksdb::MergeOperator {
 public:
  explicit NodeMergeOperator(persistence::ApplyFunction apply) : apply_(apply) {}

  bool FullMergeV2(const MergeOperationInput& in, MergeOperationOutput* out) const override;
  // Part of the format: a database cannot be opened with an operator of another name.
  const char* Name() const override { return "sop.NodeMergeOperator"; }

 private:
  const persistence::ApplyFunction apply_;
};

}  // namespace sop::rocksdb_storage
