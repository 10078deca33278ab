#include "core/catalog/check/snapshot_reader.h"

#include <utility>

#include "core/base/status_macros.h"
#include "core/txn/snapshot.h"

namespace sop::check {

SnapshotReader::SnapshotReader(const persistence::StorageSnapshot& snapshot, absl::Status* damage)
    : snapshot_(snapshot) {
  const absl::Status scanned =
      snapshot.ScanRows(persistence::Space::kMeta, txn::kCountRecordsBegin, txn::kCountRecordsEnd,
                        [&](std::string_view key, std::string_view value) {
                          const auto sequence = txn::CountRecordSequence(key);
                          const auto changes = txn::DecodeCountRecord(value);
                          if (sequence.ok() && changes.ok()) {
                            ledger_.Add(*sequence, *changes);
                          } else if (damage->ok()) {
                            *damage = sequence.ok() ? changes.status() : sequence.status();
                          }
                          return true;
                        });
  if (damage->ok()) *damage = scanned;
}

absl::StatusOr<btree::NodeRef> SnapshotReader::Read(TreeId tree, NodeId node) {
  SOP_ASSIGN_OR_RETURN(auto bytes, snapshot_.ReadNode(tree, node));
  if (!bytes.has_value()) return btree::NodeRef();
  return Parse(tree, node, *std::move(bytes));
}

absl::StatusOr<btree::NodeRef> SnapshotReader::Parse(TreeId tree, NodeId node,
                                                     std::string bytes) const {
  return txn::MakeNodeVersion(std::move(bytes), tree, node, snapshot_.sequence(), ledger_);
}

}  // namespace sop::check
