#pragma once

#include <cstdint>
#include <string>

#include "absl/functional/function_ref.h"
#include "core/base/ids.h"
#include "core/btree/packed_page.h"
#include "core/btree/value_format.h"

namespace sop::catalog {

// Which part of each item a read returns. Keys always come with an item; values only if asked for.
enum class ItemContent : uint8_t {
  kKeys,    // with the fields that ride on; values stay where they are
  kValues,  // for a caller that knows the keys
  kItems,
};

// Takes items as they are read, or refuses one: then it was not taken and reading stops. The item
// and its bytes live as long as the call. `key` (after `key_prefix`) is the encoded key without
// item id, to be decoded with the store's KeySchema. PackedPageBuilder::Append is one.
using ItemSink = absl::FunctionRef<bool(const btree::PackedItem&)>;

// A PackedItem that owns its bytes.
struct StoreItem {
  std::string key;  // encoded, without item id
  std::string ride_on;
  std::string value;
  // Of a value that is left out because of its size; 0: it is not.
  uint64_t left_out_size = 0;
  btree::ValueFormat format = btree::ValueFormat::kBytes;
  // Zero in a unique store.
  Uuid item_id;
  // The commit that last wrote it; 0 if this transaction did.
  Sequence version;

  StoreItem() = default;
  explicit StoreItem(const btree::PackedItem& item);
  btree::PackedItem view() const;
};

}  // namespace sop::catalog
