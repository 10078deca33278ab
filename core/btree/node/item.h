#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "core/base/ids.h"
#include "core/persistence/storage.h"

namespace sop::btree {

// Bits of an item's flags byte. The others are reserved and zero.
inline constexpr uint8_t kItemValueIsReference = 1 << 0;  // value holds an encoded ValueReference
inline constexpr uint8_t kItemIsCounter = 1 << 1;         // value is a little-endian int64
inline constexpr uint8_t kItemHasExpiry = 1 << 2;         // reserved
inline constexpr uint8_t kKnownItemFlags = kItemValueIsReference | kItemIsCounter;

// What a leaf keeps beside a key, as views into a node image, a delta or a caller's buffer.
struct ItemView {
  uint8_t flags = 0;
  uint8_t format = 0;        // value format tag; opaque to the tree
  Sequence version;          // the commit that last wrote the item
  std::string_view ride_on;  // encoded fields that ride on the key
  std::string_view value;    // the value itself or, with kItemValueIsReference, where it is

  bool is_reference() const { return (flags & kItemValueIsReference) != 0; }
};

// An ItemView that owns its bytes.
struct Item {
  uint8_t flags = 0;
  uint8_t format = 0;
  Sequence version;
  std::string ride_on;
  std::string value;

  Item() = default;
  explicit Item(const ItemView& view)
      : flags(view.flags),
        format(view.format),
        version(view.version),
        ride_on(view.ride_on),
        value(view.value) {}
  ItemView view() const { return {flags, format, version, ride_on, value}; }
  friend bool operator==(const Item&, const Item&) = default;
};

// value_id u64, checksum u64, size varint; see docs/formats/node.md.
std::string EncodeReference(const persistence::ValueReference& reference);
std::optional<persistence::ValueReference> DecodeReference(std::string_view bytes);

}  // namespace sop::btree
