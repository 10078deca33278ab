#include "core/btree/packed_page.h"

#include <cstdlib>
#include <random>
#include <string>
#include <vector>

#include <gtest/gtest.h>

#include "core/base/bytes.h"
#include "core/base/error.h"
#include "core/btree/golden_file.h"
#include "core/btree/key.h"

namespace sop::btree {
namespace {

uint64_t Seed() {
  const char* given = std::getenv("SOP_TEST_SEED");
  return given != nullptr ? std::strtoull(given, nullptr, 10) : 20261;
}

uint8_t ColumnOf(const std::string& name) {
  if (name == "keys") return PageColumns::kKeys;
  if (name == "ride_on") return PageColumns::kRideOn;
  if (name == "versions") return PageColumns::kVersions;
  if (name == "item_ids") return PageColumns::kItemIds;
  EXPECT_EQ(name, "values");
  return PageColumns::kValues;
}

ValueFormat FormatOf(const std::string& name) {
  if (name == "json") return ValueFormat::kJson;
  return name == "text" ? ValueFormat::kText : ValueFormat::kBytes;
}

// An item that owns its bytes.
struct OwnedItem {
  std::string key;
  std::string ride_on;
  std::string value;
  PackedItem fields;

  PackedItem View() const {
    PackedItem item = fields;
    item.key = key;
    item.ride_on = ride_on;
    item.value = value;
    return item;
  }
};

OwnedItem ItemOf(const GoldenNode& example) {
  OwnedItem item;
  const auto text = [&](std::string_view name) {
    return example.Has(name) ? example.Text(name) : std::string();
  };
  item.key = FromHex(text("key"));
  item.ride_on = FromHex(text("ride_on"));
  item.value = FromHex(text("value"));
  if (example.Has("version")) item.fields.version = std::stoull(text("version"));
  if (example.Has("flags")) item.fields.flags = static_cast<uint8_t>(std::stoi(text("flags")));
  item.fields.format = FormatOf(text("format"));
  if (example.Has("item_id")) {
    std::string digits = text("item_id");
    std::erase(digits, '-');
    item.fields.item_id = UuidFromBytes(FromHex(digits));
  }
  return item;
}

void ExpectEqual(const PackedItem& actual, const PackedItem& expected, uint8_t columns) {
  const auto has = [columns](uint8_t column) { return (columns & column) != 0; };
  const std::string key = std::string(expected.key_prefix) + std::string(expected.key);
  EXPECT_EQ(actual.key_prefix, "");
  EXPECT_EQ(actual.key, has(PageColumns::kKeys) ? key : "");
  EXPECT_EQ(actual.ride_on, has(PageColumns::kRideOn) ? expected.ride_on : "");
  EXPECT_EQ(actual.version, has(PageColumns::kVersions) ? expected.version : 0);
  EXPECT_EQ(actual.item_id, has(PageColumns::kItemIds) ? expected.item_id : Uuid());
  const bool values = has(PageColumns::kValues);
  EXPECT_EQ(actual.value, values ? expected.value : "");
  EXPECT_EQ(actual.flags, values ? expected.flags : 0);
  EXPECT_EQ(actual.format, values ? expected.format : ValueFormat::kBytes);
}

TEST(PackedPageTest, BuildsAndReadsTheExamplesOfThePage) {
  const GoldenNode golden = GoldenNode::Load("page_golden.json");
  ASSERT_GE(golden["pages"].list().size(), 5u);
  for (const GoldenNode& example : golden["pages"].list()) {
    uint8_t columns = 0;
    for (const GoldenNode& name : example["columns"].list()) columns |= ColumnOf(name.text());
    PackedPageBuilder builder(columns, PageBounds{});
    std::vector<OwnedItem> items;
    for (const GoldenNode& item : example["items"].list()) {
      items.push_back(ItemOf(item));
      ASSERT_TRUE(builder.Append(items.back().View()));
    }
    const size_t predicted = builder.size_bytes();
    const std::string built = builder.Finish();
    EXPECT_EQ(base::Hex(built), example.Text("page")) << example.Text("name");
    EXPECT_EQ(built.size(), predicted);

    const std::string bytes = example.Hex("page");
    const auto page = PackedPage::Parse(bytes);
    ASSERT_TRUE(page.ok()) << page.status();
    ASSERT_EQ(page->count(), items.size());
    EXPECT_EQ(page->columns(), columns);
    for (size_t i = 0; i < items.size(); ++i) {
      ExpectEqual(page->item(i), items[i].View(), columns);
    }
  }
}

TEST(PackedPageTest, RefusesTheMalformedExamplesOfThePage) {
  const GoldenNode golden = GoldenNode::Load("page_golden.json");
  ASSERT_GT(golden["refused"].list().size(), 10u);
  for (const GoldenNode& example : golden["refused"].list()) {
    const std::string bytes = example.Hex("page");
    EXPECT_EQ(ReasonOf(PackedPage::Parse(bytes).status()), Reason::kInvalidArgument)
        << example.Text("why");
  }
}

TEST(PackedPageTest, ThePageShowsEveryExample) {
  const GoldenNode golden = GoldenNode::Load("page_golden.json");
  const std::string page = ReadFormatsFile("page.md");
  for (std::string_view kind : {"pages", "refused"}) {
    for (const GoldenNode& example : golden[kind].list()) {
      const std::string& hex = example.Text("page");
      EXPECT_TRUE(hex.empty() || page.find("`" + hex + "`") != page.npos) << hex;
    }
  }
}

TEST(PackedPageTest, AnotherFormatIsNotSupported) {
  std::string bytes = PackedPageBuilder(PageColumns::kAll, PageBounds{}).Finish();
  bytes[0] = 2;
  EXPECT_EQ(ReasonOf(PackedPage::Parse(bytes).status()), Reason::kFormatNotSupported);
}

TEST(PackedPageTest, StopsAtItsItemBoundAndStartsAgain) {
  PackedPageBuilder builder(PageColumns::kKeys, PageBounds{.max_items = 2});
  PackedItem item;
  item.key_prefix = "pre";
  item.key = "fix";
  EXPECT_TRUE(builder.Append(item));
  EXPECT_TRUE(builder.Append(item));
  EXPECT_FALSE(builder.Append(item));
  EXPECT_EQ(builder.count(), 2u);
  const std::string bytes = builder.Finish();
  EXPECT_EQ(PackedPage::Parse(bytes)->item(1).key, "prefix");
  EXPECT_EQ(builder.count(), 0u);
  item.key = "ed";
  EXPECT_TRUE(builder.Append(item));
  const std::string second = builder.Finish();
  EXPECT_EQ(PackedPage::Parse(second)->count(), 1u);
  EXPECT_EQ(PackedPage::Parse(second)->item(0).key, "preed");
}

TEST(PackedPageTest, StaysWithinItsByteBoundExceptForOneLargeItem) {
  constexpr uint8_t kColumns = PageColumns::kKeys | PageColumns::kValues;
  const std::string value(100, 'v');
  PackedPageBuilder builder(kColumns, PageBounds{.max_size_bytes = 1000});
  PackedItem item;
  item.key = "k";
  item.value = value;
  while (builder.Append(item)) {
  }
  // 24 bytes of header; 101 of key and value and 10 of offsets, flags and format per item.
  EXPECT_EQ(builder.count(), 8u);
  EXPECT_EQ(builder.Finish().size(), 24u + 8 * 111);

  const std::string large(5000, 'v');
  item.value = large;
  EXPECT_TRUE(builder.Append(item));
  item.value = "";
  EXPECT_FALSE(builder.Append(item));
  EXPECT_EQ(builder.Finish().size(), 24u + 5011);
}

class Pages {
 public:
  explicit Pages(uint64_t seed) : random_(seed) {}

  uint64_t Below(uint64_t limit) { return random_() % limit; }

  OwnedItem Draw() {
    OwnedItem item;
    item.key = std::string(Below(20), 'k');
    item.ride_on = std::string(Below(4), 'r');
    item.value = std::string(Below(50), 'v');
    item.fields.version = random_();
    item.fields.item_id = Uuid{random_(), random_()};
    item.fields.flags = static_cast<uint8_t>(Below(2));
    item.fields.format = static_cast<ValueFormat>(1 + Below(3));
    return item;
  }

  std::string Page() {
    PackedPageBuilder builder(static_cast<uint8_t>(1 + Below(PageColumns::kAll)), PageBounds{});
    for (uint64_t n = Below(6); n > 0; --n) {
      const OwnedItem item = Draw();
      builder.Append(item.View());
    }
    return builder.Finish();
  }

 private:
  std::mt19937_64 random_;
};

TEST(PackedPageTest, RandomItemsComeBackUnderEveryChoiceOfColumns) {
  SCOPED_TRACE(testing::Message() << "SOP_TEST_SEED=" << Seed());
  Pages pages(Seed());
  for (int columns = 1; columns <= PageColumns::kAll; ++columns) {
    PackedPageBuilder builder(static_cast<uint8_t>(columns), PageBounds{});
    std::vector<OwnedItem> items;
    for (int i = 0; i < 200; ++i) {
      items.push_back(pages.Draw());
      ASSERT_TRUE(builder.Append(items.back().View()));
    }
    const std::string bytes = builder.Finish();
    const auto page = PackedPage::Parse(bytes);
    ASSERT_TRUE(page.ok()) << page.status();
    for (size_t i = 0; i < items.size(); ++i) {
      ExpectEqual(page->item(i), items[i].View(), static_cast<uint8_t>(columns));
    }
  }
}

// A sanitizer build shows that no accessor leaves the bytes; any build, that slices stay inside.
TEST(PackedPageTest, DamagedPagesAreRefusedOrReadWithinTheirBytes) {
  SCOPED_TRACE(testing::Message() << "SOP_TEST_SEED=" << Seed());
  Pages pages(Seed() + 1);
  size_t accepted = 0;
  for (int round = 0; round < 100'000; ++round) {
    std::string bytes = pages.Page();
    for (uint64_t n = pages.Below(4); n > 0 && !bytes.empty(); --n) {
      bytes[pages.Below(bytes.size())] = static_cast<char>(pages.Below(256));
      if (pages.Below(8) == 0) bytes.resize(pages.Below(bytes.size() + 8));
    }
    const auto page = PackedPage::Parse(bytes);
    if (!page.ok()) continue;
    ++accepted;
    size_t total = 0;
    for (size_t i = 0; i < page->count(); ++i) {
      const PackedItem item = page->item(i);
      for (std::string_view slice : {item.key, item.ride_on, item.value}) {
        if (slice.empty()) continue;
        ASSERT_GE(slice.data(), bytes.data());
        ASSERT_LE(slice.data() + slice.size(), bytes.data() + bytes.size());
        total += slice.size();
      }
    }
    ASSERT_LE(total, bytes.size());
  }
  EXPECT_GT(accepted, 10'000u);
}

}  // namespace
}  // namespace sop::btree
