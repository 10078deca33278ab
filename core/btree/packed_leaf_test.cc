#include <algorithm>
#include <cstdlib>
#include <map>
#include <random>
#include <string>

#include <gtest/gtest.h>

#include "core/btree/node/node_version.h"
#include "core/btree/packed_page.h"

namespace sop::btree {
namespace {

// Leaves of items of all lengths around those that are copied in different ways.
class LeafDraw {
 public:
  explicit LeafDraw(uint64_t seed) : random_(seed) {}

  uint64_t Below(uint64_t limit) { return random_() % limit; }

  Item DrawItem() {
    Item item;
    if (Below(10) == 0) item.flags = kItemValueIsReference;
    item.format = static_cast<uint8_t>(Below(4));
    item.version = Sequence{random_()};
    item.ride_on = Bytes(Below(3) == 0 ? Below(40) : 0);
    item.value = Bytes(Below(4) == 0 ? Below(1000) : Below(40));
    return item;
  }

  NodeRef Draw() {
    std::map<std::string, Item> items;
    const std::string prefix = Bytes(Below(30));
    for (uint64_t count = 1 + Below(80); count > 0; --count) {
      items[prefix + Bytes(Below(20))] = DrawItem();
    }
    NodeImageBuilder builder(NodeKind::kLeaf, 0);
    for (const auto& [key, item] : items) builder.AddItem(key, item.view());
    NodeRef leaf = NodeVersion::FromImage(NodeImage::Adopt(builder.Build({})));
    for (uint64_t deltas = Below(2) * Below(4); deltas > 0; --deltas) {
      const std::string key = prefix + Bytes(Below(20));
      const Item item = DrawItem();
      DeltaOperation put = {.sequence = item.version, .key = key, .item = item.view()};
      leaf =
          *NodeVersion::Extend(leaf, EncodeDelta({.sequence = item.version, .operations = {put}}));
    }
    return leaf;
  }

 private:
  std::string Bytes(uint64_t size) {
    std::string bytes(size, '\0');
    for (char& byte : bytes) byte = static_cast<char>('a' + Below(4));
    return bytes;
  }

  std::mt19937_64 random_;
};

struct Wanted {
  uint8_t columns = 0;
  PageBounds bounds;
  uint64_t budget_bytes = 0;
};

// What AppendLeaf says it does, item by item.
uint32_t AppendOneByOne(const NodeVersion& leaf, uint32_t begin, const Wanted& wanted,
                        uint64_t* budget_bytes, PackedPageBuilder* page) {
  const bool keys = (wanted.columns & PageColumns::kKeys) != 0;
  const bool values = (wanted.columns & PageColumns::kValues) != 0;
  uint32_t index = begin;
  for (; index < leaf.item_count() && *budget_bytes > 0; ++index) {
    const ItemView view = leaf.item(index);
    if (values && view.is_reference()) break;
    std::string key;
    leaf.AssignKey(index, &key);
    PackedItem item;
    item.key = key;
    item.ride_on = view.ride_on;
    item.value = view.value;
    item.version = view.version.value;
    if (view.format != 0) item.format = static_cast<ValueFormat>(view.format);
    const size_t added =
        (keys ? key.size() + view.ride_on.size() : 0) + (values ? view.value.size() : 0);
    if (page->count() == 0) {
      // Append takes a first item of any size.
      PackedPageBuilder alone(wanted.columns, PageBounds{});
      alone.Append(item);
      if (alone.size_bytes() > wanted.bounds.max_size_bytes) break;
    }
    if (!page->Append(item)) break;
    *budget_bytes -= std::min<uint64_t>(*budget_bytes, added);
  }
  return index - begin;
}

TEST(PackedLeafTest, CopiesWhatAppendingItemByItemCopies) {
  const char* given = std::getenv("SOP_TEST_SEED");
  const uint64_t seed = given != nullptr ? std::strtoull(given, nullptr, 10) : 20262;
  SCOPED_TRACE(seed);
  LeafDraw draw(seed);
  size_t copied = 0;
  for (int round = 0; round < 2000; ++round) {
    Wanted wanted;
    wanted.columns = static_cast<uint8_t>(1 + draw.Below(PageColumns::kAll)) &
                     static_cast<uint8_t>(~PageColumns::kItemIds);
    if (wanted.columns == 0) continue;
    wanted.bounds.max_items = draw.Below(3) == 0 ? 1 + draw.Below(100) : 65'536;
    wanted.bounds.max_size_bytes = draw.Below(3) == 0 ? 24 + draw.Below(3000) : 1 << 20;
    wanted.budget_bytes = draw.Below(3) == 0 ? 1 + draw.Below(3000) : 1 << 20;
    PackedPageBuilder by_leaf(wanted.columns, wanted.bounds);
    PackedPageBuilder by_item(wanted.columns, wanted.bounds);
    uint64_t budget_of_leaf = wanted.budget_bytes;
    uint64_t budget_of_items = wanted.budget_bytes;
    for (int leaves = 0; leaves < 3; ++leaves) {
      const NodeRef leaf = draw.Draw();
      const auto count = static_cast<uint32_t>(leaf->item_count());
      const auto begin = static_cast<uint32_t>(draw.Below(count));
      const uint32_t taken = by_leaf.AppendLeaf(*leaf, begin, count, &budget_of_leaf);
      EXPECT_EQ(taken, AppendOneByOne(*leaf, begin, wanted, &budget_of_items, &by_item));
      EXPECT_EQ(budget_of_leaf, budget_of_items);
      copied += taken;
    }
    EXPECT_EQ(by_leaf.count(), by_item.count());
    ASSERT_EQ(by_leaf.Finish(), by_item.Finish()) << "round " << round;
  }
  EXPECT_GT(copied, 10'000u);
}

}  // namespace
}  // namespace sop::btree
