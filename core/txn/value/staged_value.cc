#include "core/txn/value/staged_value.h"

#include <algorithm>
#include <utility>

#include <fmt/format.h>

#include "core/base/check.h"
#include "core/base/error.h"
#include "core/base/status_macros.h"
#include "core/btree/limits.h"

namespace sop::txn {

static_assert(btree::kMaxValueSizeBytes <= persistence::kValuePieceBytes << kStagedPieceBits);

StagedValue::StagedValue(TreeId tree, std::unique_ptr<persistence::StagedNodes> nodes)
    : tree_(tree), nodes_(std::move(nodes)) {
  reference_.value_id = FirstPieceOf(nodes_->id());
}

absl::Status StagedValue::Append(std::string_view bytes) {
  SOP_CHECK(!sealed_);
  if (bytes.size() > btree::kMaxValueSizeBytes - reference_.size) {
    return Error(
        Reason::kInvalidValue,
        fmt::format("value has more than {} bytes, which is the limit", btree::kMaxValueSizeBytes),
        {{"limit", fmt::format("{}", btree::kMaxValueSizeBytes)}});
  }
  reference_.size += bytes.size();
  checksum_.Add(bytes);
  while (!bytes.empty()) {
    const size_t part =
        std::min<size_t>(bytes.size(), persistence::kValuePieceBytes - piece_.size());
    piece_.append(bytes.substr(0, part));
    bytes.remove_prefix(part);
    if (piece_.size() == persistence::kValuePieceBytes) SOP_RETURN_IF_ERROR(PutPiece());
  }
  return absl::OkStatus();
}

absl::Status StagedValue::PutPiece() {
  SOP_RETURN_IF_ERROR(nodes_->PutValue(tree_, reference_.piece(pieces_), piece_));
  ++pieces_;
  piece_.clear();
  return absl::OkStatus();
}

absl::Status StagedValue::Seal() {
  SOP_CHECK(!sealed_ && reference_.in_pieces());
  if (!piece_.empty()) SOP_RETURN_IF_ERROR(PutPiece());
  piece_ = std::string();
  SOP_RETURN_IF_ERROR(nodes_->Seal());
  reference_.checksum = checksum_.Value();
  sealed_ = true;
  return absl::OkStatus();
}

}  // namespace sop::txn
