#pragma once

#include <optional>
#include <string>
#include <string_view>

#include "absl/functional/function_ref.h"
#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "core/base/ids.h"
#include "core/btree/key.h"
#include "core/btree/node/item.h"
#include "core/btree/packed_page.h"
#include "core/catalog/open_store.h"
#include "core/catalog/store_item.h"
#include "core/txn/transaction.h"

namespace sop::catalog {

// What a read of such content depends on.
txn::ReadMode ModeFor(ItemContent content);

// A stored item as users see it: the id taken off the key of a store that is not unique. A value
// that is a reference, or large, is left out. DAMAGED if the key is too short. Borrows both.
absl::StatusOr<btree::PackedItem> AsPackedItem(const OpenStore& store, std::string_view stored_key,
                                               const btree::ItemView& item);

// Whether the value is too large to be read as a whole: it is left out of what reads give.
bool IsLarge(const btree::ItemView& item);

// Remembers that the store is empty, which it is while its schema is not decided: the commit then
// conflicts with every item added meanwhile. REQUIRES: store.schema() is null.
absl::Status TrackEmpty(OpenStore& store);

// The encoded key, or nothing if no schema is decided (see TrackEmpty) and the key is well formed.
absl::StatusOr<std::optional<std::string>> EncodeForRead(OpenStore& store, const btree::Key& key);

// An item and the key that it is stored under.
struct LookupResult {
  std::string stored_key;
  btree::Item item;
};

// Finds single items of a B-tree store by key, tracking no more than what was asked. Confined to
// its StoreSet.
class KeyLookup {
 public:
  // Whether an item will do. May load its value.
  using Accept = absl::FunctionRef<absl::StatusOr<bool>(std::string_view stored_key, btree::Item&)>;

  // REQUIRES: the schema is decided, or about to be by this request. `store` must outlive this.
  explicit KeyLookup(OpenStore& store);

  // The item stored under `stored_key` (with id, in a store that is not unique), if it will do.
  absl::StatusOr<std::optional<LookupResult>> At(std::string_view stored_key, txn::ReadMode mode,
                                                 Accept accept);
  // The first of the items with this encoded key that will do.
  absl::StatusOr<std::optional<LookupResult>> First(std::string_view key, txn::ReadMode mode,
                                                    Accept accept);

  static absl::StatusOr<bool> AcceptAny(std::string_view stored_key, btree::Item& item);

 private:
  absl::StatusOr<std::optional<LookupResult>> FirstOfEqual(std::string_view key, txn::ReadMode mode,
                                                           Accept accept);

  OpenStore& store_;
  const txn::TreeSlot tree_;
};

}  // namespace sop::catalog
