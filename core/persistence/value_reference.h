#pragma once

#include <cstdint>

#include "core/base/ids.h"

namespace sop::persistence {

// A value above this size is kept in pieces, so that none of it is ever read or written at once.
inline constexpr uint64_t kMaxWholeValueBytes = uint64_t{1} << 20;
inline constexpr uint64_t kValuePieceBytes = uint64_t{256} << 10;

// Where a value outside nodes is and how to verify it. In pieces (docs/formats/node.md) piece i is
// the value `value_id` + i.
struct ValueReference {
  Serial value_id;
  uint64_t size = 0;
  uint64_t checksum = 0;  // base::Checksum64 of all bytes

  bool in_pieces() const { return size > kMaxWholeValueBytes; }
  uint64_t pieces() const {
    return in_pieces() ? (size + kValuePieceBytes - 1) / kValuePieceBytes : 1;
  }
  // REQUIRES: i < pieces().
  Serial piece(uint64_t i) const { return Serial{value_id.value + i}; }
  uint64_t piece_size(uint64_t i) const {
    if (!in_pieces()) return size;
    return i + 1 < pieces() ? kValuePieceBytes : size - i * kValuePieceBytes;
  }

  friend bool operator==(const ValueReference&, const ValueReference&) = default;
};

}  // namespace sop::persistence
