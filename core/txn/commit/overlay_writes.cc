#include "core/txn/commit/overlay_writes.h"

#include <utility>

#include "core/base/bytes.h"
#include "core/base/status_macros.h"
#include "core/txn/value/value_pieces.h"

namespace sop::txn {

absl::Status OverlayWrites::Decode() {
  SOP_RETURN_IF_ERROR(own_.status());
  if (!own_.Valid()) return absl::OkStatus();
  SOP_ASSIGN_OR_RETURN(write_, DecodeOwnWrite(own_.payload()));
  return absl::OkStatus();
}

absl::Status OverlayWrites::Seek(std::string_view key) {
  own_.Seek(key);
  return Decode();
}

absl::Status OverlayWrites::Next() {
  own_.Next();
  return Decode();
}

absl::StatusOr<std::optional<btree::ItemView>> OverlayWrites::Apply(const btree::ItemView* before) {
  if (write_.kind == OwnWriteKind::kErase) return std::nullopt;
  if (KeepsValue()) {
    std::optional<btree::Item> owned;
    if (before != nullptr) owned.emplace(*before);
    SOP_ASSIGN_OR_RETURN(item_, ApplyOwnWrite(write_, owned.has_value() ? &*owned : nullptr));
    if (!item_.has_value()) return std::nullopt;
    item_->version = version_;
    return item_->view();
  }
  btree::ItemView item;
  item.flags = write_.ItemFlags();
  item.format = write_.format;
  item.version = version_;
  item.ride_on = write_.ride_on;
  item.value = write_.value;
  if (write_.late_value_offset.has_value()) {
    value_.assign(write_.value);
    const size_t offset = *write_.late_value_offset;
    if (offset + sizeof(uint64_t) <= value_.size()) {
      base::StoreBig64(value_.data() + offset, next_().value);
    }
    item.value = value_;
  }
  if (write_.out_of_node) {
    SOP_ASSIGN_OR_RETURN(const auto reference, txn::PlaceValue(item.value, next_, place_));
    value_ = btree::EncodeReference(reference);
    item.flags |= btree::kItemValueIsReference;
    item.value = value_;
  }
  return item;
}

}  // namespace sop::txn
