#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>

#include "absl/container/flat_hash_map.h"
#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "core/base/checksum.h"
#include "core/base/ids.h"
#include "core/persistence/storage.h"

namespace sop::txn {

// A large value on its way into storage, ahead of the transaction that writes it: Append..., Seal,
// then Transaction::Put. One that no commit refers to is collected when it is dropped, or by the
// next start. Holds one piece in memory. Confined to one thread until it is sealed; then immutable
// and thread-safe.
class StagedValue {
 public:
  // For an item of `tree`; see Engine::StageValue.
  StagedValue(TreeId tree, std::unique_ptr<persistence::StagedNodes> nodes);

  // REQUIRES: not sealed. INVALID_VALUE above btree::kMaxValueSizeBytes; kDiskFull, UNAVAILABLE.
  absl::Status Append(std::string_view bytes);
  // On OK the value is on stable storage. REQUIRES: not sealed, and more than
  // persistence::kMaxWholeValueBytes were appended. kDiskFull, UNAVAILABLE.
  absl::Status Seal();

  TreeId tree() const { return tree_; }
  uint64_t size() const { return reference_.size; }
  bool sealed() const { return sealed_; }

  // REQUIRES, all: sealed.
  const persistence::ValueReference& reference() const { return reference_; }
  // What the commit's record names.
  uint64_t staged_id() const { return nodes_->id(); }
  absl::StatusOr<std::optional<std::string>> ReadPiece(uint64_t i) const {
    return nodes_->ReadValue(tree_, reference_.piece(i));
  }

 private:
  absl::Status PutPiece();

  const TreeId tree_;
  const std::unique_ptr<persistence::StagedNodes> nodes_;
  persistence::ValueReference reference_;
  base::Checksum checksum_;
  std::string piece_;
  uint64_t pieces_ = 0;
  bool sealed_ = false;
};

// By value id.
using StagedValues = absl::flat_hash_map<Serial, std::shared_ptr<const StagedValue>>;

}  // namespace sop::txn
