#pragma once

#include <cstdint>
#include <new>
#include <optional>
#include <string_view>
#include <utility>

#include "absl/container/btree_set.h"
#include "core/base/ids.h"
#include "core/btree/node/delta.h"
#include "core/txn/arena.h"
#include "core/txn/commit/conflict_window.h"
#include "core/txn/key_slot.h"

namespace sop::txn {

// What a group does to one key, all its transactions together.
struct NetWrite {
  btree::DeltaKind kind = btree::DeltaKind::kPut;
  ChangeKind change = ChangeKind::kStructural;
  Sequence sequence;
  btree::ItemView item;            // kPut; kSetRideOn uses only ride_on
  int64_t amount = 0;              // kAdd
  std::optional<Serial> value_id;  // kPut with a value kept out of the node
};

// The writes of a group to one tree, in key order. Owns the bytes of keys and items.
// Thread-compatible.
class NetWrites {
 public:
  class Entry {
   public:
    explicit Entry(std::string_view key) : key_(key) {}
    std::string_view key() const { return key_; }
    NetWrite write;

   private:
    const std::string_view key_;
  };
  using Slots = absl::btree_set<KeySlot<Entry>, KeySlotLess<Entry>>;

  class Iterator {
   public:
    explicit Iterator(Slots::const_iterator at) : at_(at) {}
    const Entry& operator*() const { return *at_->entry; }
    Iterator& operator++() {
      ++at_;
      return *this;
    }
    friend bool operator==(const Iterator& a, const Iterator& b) { return a.at_ == b.at_; }

   private:
    Slots::const_iterator at_;
  };

  size_t size() const { return slots_.size(); }
  Iterator begin() const { return Iterator(slots_.begin()); }
  Iterator end() const { return Iterator(slots_.end()); }
  Iterator LowerBound(std::string_view key) const {
    return Iterator(slots_.lower_bound(KeyProbe(key)));
  }
  // Null if the key is not written.
  const NetWrite* Find(std::string_view key) const {
    const auto at = slots_.find(KeyProbe(key));
    return at == slots_.end() ? nullptr : &at->entry->write;
  }
  NetWrite* Find(std::string_view key) {
    return const_cast<NetWrite*>(std::as_const(*this).Find(key));
  }

  // What is written to `key`; made if nothing was, which `*made` says. Copies the key.
  NetWrite& At(std::string_view key, bool* made) {
    const KeyProbe probe(key);
    const auto at = slots_.lower_bound(probe);
    *made = at == slots_.end() || at->head != probe.head || at->entry->key() != key;
    if (!*made) return at->entry->write;
    auto* const entry = new (bytes_.Allocate(sizeof(Entry))) Entry(bytes_.Copy(key));
    slots_.insert(at, {probe.head, entry});
    return entry->write;
  }
  // A copy that lives as long as this.
  std::string_view Keep(std::string_view bytes) { return bytes_.Copy(bytes); }

 private:
  Arena bytes_;
  Slots slots_;
};

}  // namespace sop::txn
