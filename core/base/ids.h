#pragma once

#include <compare>
#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <string_view>
#include <utility>

namespace sop {

// A strong integer: ids of different things do not mix and have no arithmetic.
template <typename Tag, typename Rep>
struct StrongId {
  Rep value = 0;

  friend constexpr auto operator<=>(const StrongId&, const StrongId&) = default;

  template <typename H>
  friend H AbslHashValue(H h, const StrongId& id) {
    return H::combine(std::move(h), id.value);
  }
};

// One B-tree inside a database; every persistent key begins with it. A user-visible store owns one
// or more trees. Tree 0 is the catalog.
using TreeId = StrongId<struct TreeIdTag, uint32_t>;

// A user-visible store. Equals the id of the store's first tree; never reused.
using StoreId = StrongId<struct StoreIdTag, uint32_t>;

// A node of one tree. The root is always node 1; every other id is a Serial and never reused.
using NodeId = StrongId<struct NodeIdTag, uint64_t>;

inline constexpr TreeId kCatalogTree{0};
inline constexpr NodeId kRootNode{1};

// The position of a commit in the order of its database. Dense: every transaction takes one or
// more consecutive sequences. 0 is before every commit.
using Sequence = StrongId<struct SequenceTag, uint64_t>;

// A number that is unique in its database and grows with commit order: 44 bits of Sequence, 20 bits
// of ordinal. Used for node ids, out-of-node values and late fields. A transaction that needs more
// than kSerialsPerSequence of them takes further sequences.
using Serial = StrongId<struct SerialTag, uint64_t>;

inline constexpr int kSerialOrdinalBits = 20;
inline constexpr uint64_t kSerialsPerSequence = uint64_t{1} << kSerialOrdinalBits;
// Of staged values (below) there are fewer.
inline constexpr uint64_t kMaxSequence = (uint64_t{1} << 44) - (uint64_t{1} << 38) - 1;

constexpr Serial MakeSerial(Sequence sequence, uint64_t ordinal) {
  return Serial{(sequence.value << kSerialOrdinalBits) | ordinal};
}

// Values that were written ahead of any commit have numbers above every Serial: pieces of them
// by what they were staged under.
inline constexpr int kStagedPieceBits = 8;
inline constexpr uint64_t kMaxStagedId =
    (uint64_t{1} << (38 + kSerialOrdinalBits - kStagedPieceBits)) - 1;

// REQUIRES: 0 < staged_id <= kMaxStagedId.
constexpr Serial FirstPieceOf(uint64_t staged_id) {
  return Serial{((kMaxSequence + 1) << kSerialOrdinalBits) + (staged_id << kStagedPieceBits)};
}

// What the piece was staged under, 0 if it is none.
constexpr uint64_t StagedIdOf(Serial piece) {
  const uint64_t first = (kMaxSequence + 1) << kSerialOrdinalBits;
  return piece.value < first ? 0 : (piece.value - first) >> kStagedPieceBits;
}

// Whether a node or value of that number belongs to a commit after `sequence`: it is staged.
constexpr bool IsAfter(uint64_t number, Sequence sequence) {
  return number >> kSerialOrdinalBits > sequence.value;
}

// 128 bits: a time-ordered UUID (version 7). High half first in every encoding.
struct Uuid {
  uint64_t high = 0;
  uint64_t low = 0;

  friend constexpr auto operator<=>(const Uuid&, const Uuid&) = default;

  template <typename H>
  friend H AbslHashValue(H h, const Uuid& id) {
    return H::combine(std::move(h), id.high, id.low);
  }

  bool IsZero() const { return high == 0 && low == 0; }
  // 16 bytes, most significant first.
  std::string Bytes() const;
  // 8-4-4-4-12 lower-case hexadecimal digits.
  std::string ToString() const;
  // The id that ToString writes so; nothing for any other text.
  static std::optional<Uuid> Parse(std::string_view text);
};

// Identifies one transaction and is its commit token: a UUIDv7 whose random part starts with the
// daemon's incarnation.
using TransactionId = Uuid;

}  // namespace sop

template <typename Tag, typename Rep>
struct std::hash<sop::StrongId<Tag, Rep>> {
  size_t operator()(const sop::StrongId<Tag, Rep>& id) const { return std::hash<Rep>()(id.value); }
};
