#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "absl/status/statusor.h"
#include "core/btree/node/item.h"
#include "core/txn/commit/conflict_window.h"

namespace sop::txn {

enum class OwnWriteKind : uint8_t { kPut = 1, kErase = 2, kSetRideOn = 3, kAdd = 4 };

// What a transaction means to do to one key: the payload of its overlay. Views into the bytes that
// it was decoded from, or into the caller's.
struct OwnWrite {
  OwnWriteKind kind = OwnWriteKind::kPut;
  ChangeKind change = ChangeKind::kStructural;
  bool out_of_node = false;
  bool counter = false;  // kPut: the value is a counter's
  bool staged = false;   // kPut: `value` is a reference to a StagedValue
  uint8_t format = 0;
  std::optional<uint32_t> late_key_offset;
  std::optional<uint32_t> late_value_offset;
  int64_t amount = 0;  // kAdd
  std::string_view ride_on;
  std::string_view value;

  // kPut: of the item, as long as its value is this one.
  uint8_t ItemFlags() const {
    return static_cast<uint8_t>((counter ? btree::kItemIsCounter : 0) |
                                (staged ? btree::kItemValueIsReference : 0));
  }
};

// `*payload` becomes the encoding.
void EncodeOwnWrite(const OwnWrite& write, std::string* payload);
// DATA_LOSS for bytes that EncodeOwnWrite did not make (a damaged spill file).
absl::StatusOr<OwnWrite> DecodeOwnWrite(std::string_view payload);

// The item that `write` leaves where `before` was (null: nothing was there); nothing if there is
// none afterwards. INVALID_ARGUMENT (kInvalidValue) for an Add to something that is no counter.
absl::StatusOr<std::optional<btree::Item>> ApplyOwnWrite(const OwnWrite& write,
                                                         const btree::Item* before);

}  // namespace sop::txn
