#include "storage/rocksdb/rocksdb_snapshot.h"

#include <utility>

#include <fmt/format.h>

#include "core/base/status_macros.h"
#include "storage/rocksdb/rocksdb_status.h"

namespace sop::rocksdb_storage {

using persistence::Space;

namespace {

Family FamilyOf(Space space) { return space == Space::kMeta ? Family::kMeta : Family::kOutcomes; }

}  // namespace

RocksDbSnapshot::RocksDbSnapshot(std::shared_ptr<const OpenDatabase> database)
    : database_(std::move(database)) {
  options_.snapshot = database_->db().GetSnapshot();
}

RocksDbSnapshot::~RocksDbSnapshot() { database_->db().ReleaseSnapshot(options_.snapshot); }

absl::StatusOr<std::shared_ptr<const persistence::StorageSnapshot>> RocksDbSnapshot::Take(
    std::shared_ptr<const OpenDatabase> database) {
  std::shared_ptr<RocksDbSnapshot> snapshot(new RocksDbSnapshot(std::move(database)));
  // Read through the snapshot, so that it is right whoever writes meanwhile.
  SOP_ASSIGN_OR_RETURN(snapshot->sequence_, snapshot->database_->ReadTail(snapshot->options_));
  return snapshot;
}

absl::StatusOr<std::optional<std::string>> RocksDbSnapshot::ReadNode(TreeId tree,
                                                                     NodeId node) const {
  return database_->Get(options_, Family::kNodes, ItemKey(tree, node.value));
}

absl::StatusOr<std::optional<std::string>> RocksDbSnapshot::ReadRow(Space space,
                                                                    std::string_view key) const {
  return database_->Get(options_, FamilyOf(space), RowKey(key));
}

absl::Status RocksDbSnapshot::ScanRows(
    Space space, std::string_view begin, std::string_view end,
    absl::FunctionRef<bool(std::string_view, std::string_view)> visit) const {
  const std::string bound = end.empty() ? std::string(kRowsEnd) : RowKey(end);
  const rocksdb::Slice upper_bound = ToSlice(bound);
  rocksdb::ReadOptions options = options_;
  options.iterate_upper_bound = &upper_bound;
  const std::unique_ptr<rocksdb::Iterator> rows(
      database_->db().NewIterator(options, database_->family(FamilyOf(space))));
  const std::string first = RowKey(begin);
  if (first >= bound) return absl::OkStatus();
  for (rows->Seek(first); rows->Valid(); rows->Next()) {
    if (!visit(View(rows->key()).substr(1), View(rows->value()))) break;
  }
  if (rows->status().ok()) return absl::OkStatus();
  return FromRocksDb(rows->status(), fmt::format("scan rows of {}", database_->folder().path()));
}

absl::StatusOr<std::optional<std::string>> RocksDbSnapshot::ReadValue(TreeId tree,
                                                                      Serial value_id) const {
  return database_->Get(options_, Family::kBlobs, ItemKey(tree, value_id.value));
}

}  // namespace sop::rocksdb_storage
