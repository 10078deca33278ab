#pragma once

#include <cstddef>

// Limits of what users store, as data; `docs/formats/key.md` and the server's messages quote them.
namespace sop::btree {

// Encoded bytes of the indexed fields of one key, item id excluded.
inline constexpr size_t kMaxKeySizeBytes = 4 * 1024;
// A time-ordered item id that a non-unique store appends to the encoded key.
inline constexpr size_t kItemIdSizeBytes = 16;
// What a node must be able to hold as the key of one item.
inline constexpr size_t kMaxStoredKeySizeBytes = kMaxKeySizeBytes + kItemIdSizeBytes;
// Encoded bytes of the fields that ride on beside one key.
inline constexpr size_t kMaxRideOnSizeBytes = 4 * 1024;
// Fields of a record key, indexed and riding on together.
inline constexpr size_t kMaxKeyFields = 32;

// Values up to this size are kept in the node; in stores with small values up to the second limit.
inline constexpr size_t kMaxInlineValueSizeBytes = 1024;
inline constexpr size_t kMaxSmallInlineValueSizeBytes = 4 * 1024;
// The largest value of an item. Anything larger is an object of a blob store.
inline constexpr size_t kMaxValueSizeBytes = 64 * 1024 * 1024;

// Names of databases, stores and fields, in bytes.
inline constexpr size_t kMaxNameSizeBytes = 128;

// Items per node that a store may ask for.
inline constexpr int kMinSlotLength = 2;
inline constexpr int kMaxSlotLength = 20'000;

}  // namespace sop::btree
