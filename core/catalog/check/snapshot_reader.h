#pragma once

#include <memory>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "core/base/ids.h"
#include "core/btree/tree.h"
#include "core/persistence/storage.h"
#include "core/txn/count_ledger.h"

namespace sop::check {

// Nodes of one storage snapshot with their exact counts, read past the caches. Thread-safe.
class SnapshotReader : public btree::NodeSource {
 public:
  // Reads the count records. `snapshot` must outlive this. Records that cannot be read or
  // understood are left out: `*damage` says the first one.
  SnapshotReader(const persistence::StorageSnapshot& snapshot, absl::Status* damage);

  absl::StatusOr<btree::NodeRef> Read(TreeId tree, NodeId node) override;
  // What storage gave for a node, with its counts completed. DATA_LOSS.
  absl::StatusOr<btree::NodeRef> Parse(TreeId tree, NodeId node, std::string bytes) const;

  const persistence::StorageSnapshot& snapshot() const { return snapshot_; }

 private:
  const persistence::StorageSnapshot& snapshot_;
  txn::CountLedger ledger_;
};

}  // namespace sop::check
