#include "storage/rocksdb/rocksdb_snapshot.h"

#include <utility>

#include <fmt/format.h>

#include "core/base/bytes.h"
#include "core/base/error.h"
#include "core/base/status_macros.h"
#include "storage/rocksdb/rocksdb_status.h"

namespace sop::rocksdb_storage {

using persistence::Space;

namespace {

constexpr size_t kScanReadaheadBytes = size_t{2} << 20;
constexpr size_t kItemKeyBytes = 12;

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

absl::StatusOr<std::optional<std::string>> RocksDbSnapshot::ReadNodeOnce(TreeId tree,
                                                                         NodeId node) const {
  rocksdb::ReadOptions options = options_;
  options.fill_cache = false;
  return database_->Get(options, Family::kNodes, ItemKey(tree, node.value));
}

absl::StatusOr<std::optional<std::string>> RocksDbSnapshot::ReadRow(Space space,
                                                                    std::string_view key) const {
  return database_->Get(options_, FamilyOf(space), RowKey(key));
}

absl::Status RocksDbSnapshot::ScanRows(
    Space space, std::string_view begin, std::string_view end,
    absl::FunctionRef<bool(std::string_view, std::string_view)> visit) const {
  if (database_->family(FamilyOf(space)) == nullptr) return absl::OkStatus();
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

absl::Status RocksDbSnapshot::ScanPlaces(
    Family family, const persistence::PlaceRange& range,
    absl::FunctionRef<bool(TreeId, uint64_t, std::string_view)> visit) const {
  std::string bound;
  if (range.end.has_value()) bound = ItemKey(range.end->tree, range.end->number);
  const std::string first = ItemKey(range.begin.tree, range.begin.number);
  if (range.end.has_value() && first >= bound) return absl::OkStatus();
  const rocksdb::Slice upper_bound = ToSlice(bound);
  rocksdb::ReadOptions options = options_;
  if (range.end.has_value()) options.iterate_upper_bound = &upper_bound;
  options.readahead_size = kScanReadaheadBytes;
  options.fill_cache = false;
  const std::unique_ptr<rocksdb::Iterator> places(
      database_->db().NewIterator(options, database_->family(family)));
  for (places->Seek(first); places->Valid(); places->Next()) {
    const std::string_view key = View(places->key());
    if (key.size() != kItemKeyBytes) {
      return Error(Reason::kDamaged, fmt::format("{} of {} has a key of {} bytes",
                                                 kFamilyNames[static_cast<size_t>(family)],
                                                 database_->folder().path(), key.size()));
    }
    const TreeId tree{base::LoadBig32(key.data())};
    if (!visit(tree, base::LoadBig64(key.data() + sizeof(tree.value)), View(places->value()))) {
      break;
    }
  }
  if (places->status().ok()) return absl::OkStatus();
  return FromRocksDb(places->status(),
                     fmt::format("scan {} of {}", kFamilyNames[static_cast<size_t>(family)],
                                 database_->folder().path()));
}

absl::Status RocksDbSnapshot::ScanNodes(
    const persistence::PlaceRange& range,
    absl::FunctionRef<bool(TreeId, NodeId, std::string_view)> visit) const {
  return ScanPlaces(Family::kNodes, range,
                    [&](TreeId tree, uint64_t number, std::string_view bytes) {
                      return visit(tree, NodeId{number}, bytes);
                    });
}

absl::Status RocksDbSnapshot::ScanValues(
    const persistence::PlaceRange& range,
    absl::FunctionRef<bool(TreeId, Serial, std::string_view)> visit) const {
  return ScanPlaces(Family::kBlobs, range,
                    [&](TreeId tree, uint64_t number, std::string_view bytes) {
                      return visit(tree, Serial{number}, bytes);
                    });
}

}  // namespace sop::rocksdb_storage
