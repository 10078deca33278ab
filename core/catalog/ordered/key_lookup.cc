#include "core/catalog/ordered/key_lookup.h"

#include <memory>
#include <utility>

#include "core/base/status_macros.h"
#include "core/txn/transaction_cursor.h"

namespace sop::catalog {

txn::ReadMode ModeFor(ItemContent content) {
  return content == ItemContent::kKeys ? txn::ReadMode::kKeyOnly : txn::ReadMode::kItem;
}

absl::StatusOr<btree::PackedItem> AsPackedItem(const OpenStore& store, std::string_view stored_key,
                                               const btree::ItemView& item) {
  btree::PackedItem packed;
  packed.key = stored_key;
  if (store.options().uniqueness == Uniqueness::kDuplicates) {
    SOP_ASSIGN_OR_RETURN(const btree::KeyAndItemId split, btree::SplitItemId(stored_key));
    packed.key = split.key;
    packed.item_id = split.item_id;
  }
  packed.ride_on = item.ride_on;
  if (!item.is_reference() && !IsLarge(item)) {
    packed.value = item.value;
  } else {
    const auto reference = btree::DecodeReference(item.value);
    packed.value_size = item.is_reference() && reference ? reference->size : item.value.size();
    packed.flags = btree::PackedItemFlags::kValueLeftOut;
  }
  packed.version = item.version.value;
  if (item.format != 0) packed.format = static_cast<btree::ValueFormat>(item.format);
  return packed;
}

bool IsLarge(const btree::ItemView& item) {
  // One that its own transaction wrote is not out of the node yet.
  if (!item.is_reference()) return item.value.size() > persistence::kMaxWholeValueBytes;
  const auto reference = btree::DecodeReference(item.value);
  return reference.has_value() && reference->in_pieces();
}

absl::Status TrackEmpty(OpenStore& store) {
  return store.transaction().Count(store.tree(kItemsRole), {}, {}).status();
}

absl::StatusOr<std::optional<std::string>> EncodeForRead(OpenStore& store, const btree::Key& key) {
  if (store.schema() != nullptr) {
    SOP_ASSIGN_OR_RETURN(btree::EncodedKey encoded, store.schema()->Encode(key));
    return std::move(encoded.key);
  }
  // Encoded bytes decide no schema, and so there is nothing to hold them against.
  if (!std::holds_alternative<btree::EncodedKey>(key)) {
    SOP_ASSIGN_OR_RETURN(const btree::KeySchema schema, SchemaFor(store.entry(), key));
    SOP_RETURN_IF_ERROR(schema.Encode(key).status());
  }
  SOP_RETURN_IF_ERROR(TrackEmpty(store));
  return std::nullopt;
}

KeyLookup::KeyLookup(OpenStore& store) : store_(store), tree_(store.tree(kItemsRole)) {}

absl::StatusOr<bool> KeyLookup::AcceptAny(std::string_view, btree::Item&) { return true; }

absl::StatusOr<std::optional<LookupResult>> KeyLookup::At(std::string_view stored_key,
                                                          txn::ReadMode mode, Accept accept) {
  SOP_ASSIGN_OR_RETURN(std::optional<btree::Item> item,
                       store_.transaction().Get(tree_, stored_key, mode));
  if (!item.has_value()) return std::nullopt;
  SOP_ASSIGN_OR_RETURN(const bool accepted, accept(stored_key, *item));
  if (!accepted) return std::nullopt;
  return LookupResult{std::string(stored_key), *std::move(item)};
}

absl::StatusOr<std::optional<LookupResult>> KeyLookup::First(std::string_view key,
                                                             txn::ReadMode mode, Accept accept) {
  return store_.options().uniqueness == Uniqueness::kUnique ? At(key, mode, accept)
                                                            : FirstOfEqual(key, mode, accept);
}

absl::StatusOr<std::optional<LookupResult>> KeyLookup::FirstOfEqual(std::string_view key,
                                                                    txn::ReadMode mode,
                                                                    Accept accept) {
  const auto cursor = store_.transaction().OpenCursor(tree_, mode);
  cursor->Within(key, btree::PrefixSuccessor(key));
  SOP_RETURN_IF_ERROR(cursor->Seek(key));
  while (cursor->Valid()) {
    btree::Item item(cursor->item());
    SOP_ASSIGN_OR_RETURN(const bool accepted, accept(cursor->key(), item));
    if (accepted) return LookupResult{std::string(cursor->key()), std::move(item)};
    SOP_RETURN_IF_ERROR(cursor->Next());
  }
  return std::nullopt;
}

}  // namespace sop::catalog
