#pragma once

#include <optional>
#include <string>
#include <string_view>

#include "absl/functional/function_ref.h"
#include "core/base/ids.h"
#include "core/btree/staged/staged_tree.h"
#include "core/txn/overlay/overlay.h"
#include "core/txn/overlay/own_write.h"

namespace sop::txn {

// A transaction's own writes to one tree as the tree's writers want them: late values filled in,
// values that are kept out of the node handed over. REQUIRES: no late keys. Confined to one thread.
class OverlayWrites : public btree::WriteSource {
 public:
  using NextSerial = absl::FunctionRef<Serial()>;
  using PlacePiece = absl::FunctionRef<absl::Status(Serial id, std::string_view piece)>;

  // `version` is that of the items. `overlay` and the functions must outlive this.
  OverlayWrites(const Overlay& overlay, Sequence version, NextSerial next, PlacePiece place)
      : own_(overlay), version_(version), next_(next), place_(place) {}

  absl::Status Seek(std::string_view key) override;
  absl::Status Next() override;
  bool Valid() const override { return own_.Valid(); }
  std::string_view key() const override { return own_.key(); }
  bool KeepsValue() const override {
    return write_.kind == OwnWriteKind::kSetRideOn || write_.kind == OwnWriteKind::kAdd;
  }
  bool LeavesItem() const override {
    return write_.kind == OwnWriteKind::kPut || write_.kind == OwnWriteKind::kAdd;
  }
  absl::StatusOr<std::optional<btree::ItemView>> Apply(const btree::ItemView* before) override;

  const OwnWrite& write() const { return write_; }

 private:
  absl::Status Decode();

  Overlay::Iterator own_;
  const Sequence version_;
  const NextSerial next_;
  const PlacePiece place_;
  OwnWrite write_;
  std::string value_;
  std::optional<btree::Item> item_;
};

}  // namespace sop::txn
