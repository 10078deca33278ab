#include "core/catalog/store_item.h"

namespace sop::catalog {

StoreItem::StoreItem(const btree::PackedItem& item)
    : key(item.key_prefix),
      ride_on(item.ride_on),
      value(item.value),
      left_out_size(item.value_size),
      format(item.format),
      item_id(item.item_id),
      version(Sequence{item.version}) {
  key.append(item.key);
}

btree::PackedItem StoreItem::view() const {
  btree::PackedItem item;
  item.key = key;
  item.ride_on = ride_on;
  item.value = value;
  item.version = version.value;
  item.item_id = item_id;
  item.format = format;
  item.value_size = left_out_size;
  if (left_out_size > 0) item.flags = btree::PackedItemFlags::kValueLeftOut;
  return item;
}

}  // namespace sop::catalog
