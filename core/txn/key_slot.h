#pragma once

#include <cstdint>
#include <cstring>
#include <string_view>

#include "core/base/bytes.h"

namespace sop::txn {

// The first 8 bytes of a key as a number whose order is the order of the bytes; a shorter key is
// filled with zeros, so that equal heads decide nothing.
inline uint64_t KeyHead(std::string_view key) {
  if (key.size() >= 8) return base::LoadBig64(key.data());
  char head[8] = {};
  if (!key.empty()) std::memcpy(head, key.data(), key.size());
  return base::LoadBig64(head);
}

// An element of an ordered set of entries, which live elsewhere: most comparisons need only the
// head. `Entry` has key().
template <typename Entry>
struct KeySlot {
  uint64_t head;
  Entry* entry;
};

// What such a set is searched for.
struct KeyProbe {
  explicit KeyProbe(std::string_view k) : head(KeyHead(k)), key(k) {}
  uint64_t head;
  std::string_view key;
};

// Byte order of the keys.
template <typename Entry>
struct KeySlotLess {
  using is_transparent = void;
  using Slot = KeySlot<Entry>;

  bool operator()(const Slot& a, const Slot& b) const {
    return a.head != b.head ? a.head < b.head : a.entry->key() < b.entry->key();
  }
  bool operator()(const Slot& a, const KeyProbe& b) const {
    return a.head != b.head ? a.head < b.head : a.entry->key() < b.key;
  }
  bool operator()(const KeyProbe& a, const Slot& b) const {
    return a.head != b.head ? a.head < b.head : a.key < b.entry->key();
  }
};

}  // namespace sop::txn
