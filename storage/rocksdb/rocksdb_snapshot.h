#pragma once

#include <memory>
#include <optional>
#include <string>

#include <rocksdb/options.h>

#include "core/persistence/storage.h"
#include "storage/rocksdb/open_database.h"

namespace sop::rocksdb_storage {

// A RocksDB snapshot and the sequence it was taken at. Thread-safe.
class RocksDbSnapshot : public persistence::StorageSnapshot {
 public:
  static absl::StatusOr<std::shared_ptr<const persistence::StorageSnapshot>> Take(
      std::shared_ptr<const OpenDatabase> database);
  ~RocksDbSnapshot() override;
  RocksDbSnapshot(const RocksDbSnapshot&) = delete;
  RocksDbSnapshot& operator=(const RocksDbSnapshot&) = delete;

  Sequence sequence() const override { return sequence_; }
  absl::StatusOr<std::optional<std::string>> ReadNode(TreeId tree, NodeId node) const override;
  absl::StatusOr<std::optional<std::string>> ReadNodeOnce(TreeId tree, NodeId node) const override;
  absl::StatusOr<std::optional<std::string>> ReadRow(persistence::Space space,
                                                     std::string_view key) const override;
  absl::Status ScanRows(
      persistence::Space space, std::string_view begin, std::string_view end,
      absl::FunctionRef<bool(std::string_view, std::string_view)> visit) const override;
  absl::StatusOr<std::optional<std::string>> ReadValue(TreeId tree, Serial value_id) const override;
  absl::Status ScanNodes(
      const persistence::PlaceRange& range,
      absl::FunctionRef<bool(TreeId, NodeId, std::string_view)> visit) const override;
  absl::Status ScanValues(
      const persistence::PlaceRange& range,
      absl::FunctionRef<bool(TreeId, Serial, std::string_view)> visit) const override;

 private:
  absl::Status ScanPlaces(Family family, const persistence::PlaceRange& range,
                          absl::FunctionRef<bool(TreeId, uint64_t, std::string_view)> visit) const;

  explicit RocksDbSnapshot(std::shared_ptr<const OpenDatabase> database);

  const std::shared_ptr<const OpenDatabase> database_;
  rocksdb::ReadOptions options_;
  Sequence sequence_;
};

}  // namespace sop::rocksdb_storage
