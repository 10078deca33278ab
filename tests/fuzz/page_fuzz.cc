// Packed pages, which clients send: well formed inside their bytes, or refused.
#include "core/base/check.h"
#include "core/btree/packed_page.h"
#include "tests/fuzz/fuzz_target.h"

namespace sop::fuzz {

std::vector<std::string> Seeds() {
  std::vector<std::string> seeds;
  for (const uint8_t columns : {0x01, 0x11, 0x1f, 0x10, 0x0b}) {
    btree::PackedPageBuilder builder(columns, {});
    for (const char* key : {"a", "bb", "ccc"}) {
      btree::PackedItem item;
      item.key = key;
      item.ride_on = "r";
      item.value = "value";
      item.version = 5;
      item.item_id = {1, 2};
      builder.Append(item);
    }
    seeds.push_back(builder.Finish());
  }
  return seeds;
}

void RunInput(std::string_view input) {
  const auto page = btree::PackedPage::Parse(input);
  // Without columns there are no items either.
  if (!page.ok() || page->columns() == 0) return;
  btree::PackedPageBuilder builder(page->columns(), {1 << 20, 64 << 20});
  for (size_t i = 0; i < page->count(); ++i) SOP_CHECK(builder.Append(page->item(i)));
  const std::string rebuilt = builder.Finish();
  const auto again = btree::PackedPage::Parse(rebuilt);
  SOP_CHECK(again.ok() && again->count() == page->count());
  for (size_t i = 0; i < page->count(); ++i) {
    const btree::PackedItem a = page->item(i);
    const btree::PackedItem b = again->item(i);
    SOP_CHECK(a.key == b.key && a.ride_on == b.ride_on && a.value == b.value);
    SOP_CHECK(a.version == b.version && a.item_id == b.item_id && a.flags == b.flags);
  }
}

}  // namespace sop::fuzz
