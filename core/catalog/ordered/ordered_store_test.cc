#include "core/catalog/ordered_store.h"

#include <optional>
#include <string>
#include <vector>

#include <gtest/gtest.h>

#include "core/btree/node/apply.h"
#include "core/catalog/database_fixture_test.h"
#include "storage/memory/memory_storage.h"

namespace sop::catalog {
namespace {

using Fields = std::vector<btree::NamedScalar>;

class OrderedStoreTest : public testing::Test {
 protected:
  OrderedStoreTest() : OrderedStoreTest(txn::Limits{}) {}
  explicit OrderedStoreTest(const txn::Limits& limits)
      : database_(
            memory::MemoryStorage::Create(btree::Apply, base::SystemClock(), base::SystemRandom()),
            limits) {
    stores_ = database_.Begin();
  }

  OrderedStore& Create(std::string_view name, const GivenOptions& options = {}) {
    return store_.emplace(**stores_->Create(name, {.options = options}));
  }
  // Commits, and opens the store in a further transaction, in the place of what Create returned.
  void Commit(std::string_view name) {
    const absl::Status status = database_.Commit(std::move(stores_));
    EXPECT_TRUE(status.ok()) << status;
    stores_ = database_.Begin();
    store_.emplace(**stores_->Open(name));
  }

  static WriteItem Write(const btree::Key& key, std::string_view value = "v") {
    return {.key = key, .value = value};
  }
  static std::string Add(OrderedStore& store, const std::vector<WriteItem>& items,
                         Require require = Require::kNothing) {
    return Letters(store.Add(items, require));
  }
  static Sequence VersionOf(OrderedStore& store, const btree::Key& key) {
    Sequence version;
    const auto sink = [&version](const btree::PackedItem& item) {
      version = Sequence{item.version};
      return true;
    };
    EXPECT_TRUE(store.Get({&key, 1}, ItemContent::kItems, sink).ok());
    return version;
  }

  TestDatabase database_;
  std::unique_ptr<StoreSet> stores_;
  std::optional<OrderedStore> store_;
};

TEST_F(OrderedStoreTest, RequestThatFailsAsAWholeChangesNothing) {
  OrderedStore& store = Create("words");
  ASSERT_EQ(Add(store, {Write(int64_t{1}), Write(int64_t{2})}), "AA");
  EXPECT_EQ(Add(store, {Write(int64_t{3}), Write(int64_t{2})}, Require::kAll), "KEY_EXISTS");
  EXPECT_EQ(Add(store, {Write(int64_t{3}), Write(int64_t{3})}, Require::kAll), "KEY_EXISTS");
  EXPECT_EQ(Add(store, {Write(int64_t{3}), Write(std::string("3"))}), "KEY_TYPE_DIFFERS");
  const WriteItem removals[] = {{.key = int64_t{1}}, {.key = int64_t{9}}};
  EXPECT_EQ(Letters(store.Remove(removals, Require::kAll)), "KEY_NOT_FOUND");
  const WriteItem twice[] = {{.key = int64_t{1}}, {.key = int64_t{1}}};
  EXPECT_EQ(Letters(store.Remove(twice, Require::kAll)), "KEY_NOT_FOUND");
  EXPECT_EQ(Listing(store), "1=v 2=v");
  EXPECT_EQ(Letters(store.Remove(twice, Require::kNothing)), "-N");
  EXPECT_EQ(Listing(store), "2=v");
}

TEST_F(OrderedStoreTest, FailureNamesStoreAndKey) {
  OrderedStore& store = Create("words");
  ASSERT_EQ(Add(store, {Write(int64_t{1})}), "A");
  const WriteItem item = Write(int64_t{1});
  const ErrorDetails expected = {{"store", "words"}, {"key", "1"}};
  EXPECT_EQ(DetailsOf(store.Add({&item, 1}, Require::kAll).status()), expected);
}

TEST_F(OrderedStoreTest, ExpectedVersionMustStillHold) {
  OrderedStore& store = Create("words");
  ASSERT_EQ(Add(store, {Write(int64_t{1})}), "A");
  EXPECT_EQ(VersionOf(store, int64_t{1}), Sequence{0});
  Commit("words");
  const Sequence version = VersionOf(store, int64_t{1});
  EXPECT_GT(version, Sequence{0});
  WriteItem item = Write(int64_t{1}, "w");
  item.expected_version = Sequence{version.value + 1};
  EXPECT_EQ(Letters(store.Update({&item, 1}, Require::kNothing)), "PRECONDITION_NOT_MET");
  item.expected_version = version;
  EXPECT_EQ(Letters(store.Update({&item, 1}, Require::kNothing)), "U");
  EXPECT_EQ(Letters(store.Upsert({&item, 1})), "PRECONDITION_NOT_MET");
  item.expected_version = Sequence{0};
  EXPECT_EQ(Letters(store.Upsert({&item, 1})), "R");
  EXPECT_EQ(Letters(store.Add({&item, 1}, Require::kNothing)), "INVALID_ARGUMENT");
  item.key = int64_t{2};
  EXPECT_EQ(Letters(store.Upsert({&item, 1})), "PRECONDITION_NOT_MET");
  Commit("words");
  EXPECT_GT(VersionOf(store, int64_t{1}), version);
}

TEST_F(OrderedStoreTest, RidingFieldsAreReplacedOnlyWhenGiven) {
  OrderedStore& store = Create("people", {.index = {{{"id"}}}});
  const auto person = [](Fields fields) { return btree::Key(btree::Record{std::move(fields)}); };
  const btree::Key anna = person({{"id", int64_t{1}}, {"name", "anna"}, {"age", int64_t{5}}});
  const btree::Key only_id = person({{"id", int64_t{1}}});
  ASSERT_EQ(Add(store, {Write(anna, "one")}), "A");
  Commit("people");
  EXPECT_EQ(Listing(store), "{age: 5, id: 1, name: anna}=one");
  const WriteItem value_only = Write(only_id, "two");
  EXPECT_EQ(Letters(store.Update({&value_only, 1}, Require::kAll)), "U");
  EXPECT_EQ(Listing(store), "{age: 5, id: 1, name: anna}=two");
  const WriteItem patch{.key = person({{"id", int64_t{1}}, {"age", int64_t{6}}})};
  EXPECT_EQ(Letters(store.UpdateKey({&patch, 1}, Require::kAll)), "U");
  EXPECT_EQ(Listing(store), "{age: 6, id: 1, name: anna}=two");
  const WriteItem whole = Write(person({{"id", int64_t{1}}, {"name", "berta"}}), "three");
  EXPECT_EQ(Letters(store.Upsert({&whole, 1})), "R");
  EXPECT_EQ(Listing(store), "{id: 1, name: berta}=three");
  const WriteItem with_value = Write(only_id);
  EXPECT_EQ(Letters(store.UpdateKey({&with_value, 1}, Require::kAll)), "INVALID_ARGUMENT");
  Commit("people");
  EXPECT_EQ(Listing(store), "{id: 1, name: berta}=three");
}

TEST_F(OrderedStoreTest, LaterKeysMayBringFieldsThatRideOn) {
  OrderedStore& store = Create("people", {.index = {{{"id"}}}});
  const auto person = [](Fields fields) { return btree::Key(btree::Record{std::move(fields)}); };
  // Within one request, by an update of the key, and not by what fails or only reads.
  EXPECT_EQ(Add(store, {Write(person({{"id", int64_t{1}}, {"name", "anna"}})),
                        Write(person({{"zip", int64_t{8}}, {"id", int64_t{2}}, {"age", 1.5}}))}),
            "AA");
  EXPECT_EQ(Listing(store), "{id: 1, name: anna}=v {id: 2, age: 1.5, zip: 8}=v");
  const WriteItem patch{.key = person({{"id", int64_t{1}}, {"height", int64_t{6}}})};
  EXPECT_EQ(Letters(store.UpdateKey({&patch, 1}, Require::kAll)), "U");
  const WriteItem twice = Write(person({{"id", int64_t{1}}, {"shoe", int64_t{6}}}));
  EXPECT_EQ(Letters(store.Add({&twice, 1}, Require::kAll)), "KEY_EXISTS");
  EXPECT_EQ(Letters(store.Remove({&twice, 1}, Require::kNothing)), "FIELD_UNKNOWN");
  EXPECT_EQ(Add(store, {Write(person({{"id", int64_t{3}}, {"height", "tall"}}))}),
            "KEY_TYPE_DIFFERS");
  Commit("people");
  EXPECT_EQ(Listing(store), "{id: 1, name: anna, height: 6}=v {id: 2, age: 1.5, zip: 8}=v");
  EXPECT_EQ(store.schema()->fields().size(), 5u);
}

TEST_F(OrderedStoreTest, DeclaredAndWhollyOrderedKeysTakeNoFurtherFields) {
  const auto key = [](Fields fields) { return btree::Key(btree::Record{std::move(fields)}); };
  const btree::IndexSpecification by_id = {{"id"}};
  GivenOptions declared;
  declared.index = by_id;
  declared.schema = *btree::KeySchema::ForRecord({{"id", btree::ScalarType::kInt64}}, by_id);
  OrderedStore& typed = Create("typed", declared);
  EXPECT_EQ(Add(typed, {Write(key({{"id", int64_t{1}}, {"name", "anna"}}))}), "FIELD_UNKNOWN");
  OrderedStore& whole = Create("whole");
  EXPECT_EQ(Add(whole, {Write(key({{"id", int64_t{1}}}))}), "A");
  EXPECT_EQ(Add(whole, {Write(key({{"id", int64_t{1}}, {"name", "anna"}}))}), "FIELD_UNKNOWN");
}

TEST_F(OrderedStoreTest, NothingRidesOnScalarKeys) {
  OrderedStore& store = Create("words");
  ASSERT_EQ(Add(store, {Write(int64_t{1})}), "A");
  const WriteItem item{.key = int64_t{1}};
  EXPECT_EQ(Letters(store.UpdateKey({&item, 1}, Require::kNothing)), "INVALID_KEY");
}

TEST_F(OrderedStoreTest, ValuesAreLimited) {
  OrderedStore& store = Create("words");
  const std::string too_long(btree::kMaxValueSizeBytes + 1, 'x');
  const auto of_size = [&](size_t size) { return std::string_view(too_long).substr(0, size); };
  EXPECT_EQ(Add(store, {Write(int64_t{1}, of_size(btree::kMaxValueSizeBytes - 1))}), "A");
  Commit("words");
  EXPECT_EQ(Add(store, {Write(int64_t{3}, of_size(btree::kMaxValueSizeBytes))}), "A");
  EXPECT_EQ(Add(store, {Write(int64_t{4}, too_long)}), "INVALID_VALUE");
  WriteItem text = Write(int64_t{2}, "\xff");
  text.format = btree::ValueFormat::kText;
  EXPECT_EQ(Add(store, {text}), "INVALID_VALUE");
  Commit("words");
  for (const int64_t key : {1, 3}) {
    const StoredValue value = store.FindValue(key, std::nullopt).value().value();
    EXPECT_EQ(value.size, btree::kMaxValueSizeBytes - (key == 1 ? 1 : 0));
  }
}

TEST_F(OrderedStoreTest, LargeValuesAreLeftOutAndReadInParts) {
  OrderedStore& store = Create("words");
  std::string large(persistence::kMaxWholeValueBytes + 1, 'x');
  for (size_t i = 0; i < large.size(); i += 4096) large[i] = static_cast<char>('a' + i / 4096 % 26);
  const std::string whole = large.substr(1);
  ASSERT_EQ(Add(store, {Write(int64_t{1}, large), Write(int64_t{2}, whole)}), "AA");
  for (int round = 0; round < 2; ++round) {
    uint64_t left_out = 0;
    uint64_t whole_bytes = 0;
    const btree::Key keys[] = {int64_t{1}, int64_t{2}};
    ASSERT_TRUE(store
                    .Get(keys, ItemContent::kItems,
                         [&](const btree::PackedItem& item) {
                           left_out += item.value_size;
                           whole_bytes += item.value.size();
                           return true;
                         })
                    .ok());
    EXPECT_EQ(left_out, large.size());
    EXPECT_EQ(whole_bytes, whole.size());
    for (const int64_t key : {1, 2}) {
      const std::string& expected = key == 1 ? large : whole;
      const StoredValue value = store.FindValue(key, std::nullopt).value().value();
      EXPECT_EQ(value.size, expected.size());
      EXPECT_EQ(value.checksum.has_value(), key == 1 && round == 1);
      for (const uint64_t start : {uint64_t{0}, uint64_t{300'001}}) {
        std::string read;
        while (read.size() + start < value.size) {
          const std::string part = store.ReadPart(value, start + read.size()).value();
          ASSERT_FALSE(part.empty());
          read += part;
        }
        EXPECT_EQ(read, expected.substr(start));
      }
      EXPECT_EQ(store.ReadPart(value, value.size).value(), "");
    }
    EXPECT_EQ(store.FindValue(int64_t{3}, std::nullopt).value(), std::nullopt);
    EXPECT_EQ(ReasonOf(store.FindValue(int64_t{1}, Uuid{1, 2}).status()), Reason::kInvalidArgument);
    if (round == 0) Commit("words");
  }
  WriteItem removal = Write(int64_t{1}, whole);
  EXPECT_EQ(Letters(store.Remove({&removal, 1}, Require::kNothing)), "N");
  removal.value = large;
  EXPECT_EQ(Letters(store.Remove({&removal, 1}, Require::kNothing)), "-");
}

TEST_F(OrderedStoreTest, BigValuesStayOutOfKeyOnlyReads) {
  OrderedStore& store = Create("words", {.value_placement = ValuePlacement::kBig});
  ASSERT_EQ(Add(store, {Write(int64_t{1}, "value")}), "A");
  Commit("words");
  EXPECT_EQ(Listing(store, {.content = ItemContent::kKeys}), "1");
  EXPECT_EQ(Listing(store), "1=value");
  const WriteItem other{.key = int64_t{1}, .value = "other"};
  EXPECT_EQ(Letters(store.Remove({&other, 1}, Require::kNothing)), "N");
  const WriteItem same{.key = int64_t{1}, .value = "value"};
  EXPECT_EQ(Letters(store.Remove({&same, 1}, Require::kNothing)), "-");
}

TEST_F(OrderedStoreTest, DuplicatesKeepTheOrderOfTheirAddition) {
  OrderedStore& store = Create("words", {.uniqueness = Uniqueness::kDuplicates});
  ASSERT_EQ(Add(store, {Write(int64_t{1}, "a"), Write(int64_t{1}, "b")}), "AA");
  ASSERT_EQ(Add(store, {Write(int64_t{1}, "c")}), "A");
  EXPECT_EQ(Listing(store), "1=a 1=b 1=c");
  const WriteItem more = Write(int64_t{1}, "d");
  EXPECT_EQ(Letters(store.AddIfNotExists({&more, 1}, Require::kNothing)), "L");
  WriteItem update = Write(int64_t{1}, "B");
  SeekRequest second{.target = SeekTarget::kFirst, .neighbours = Neighbours::kKeys};
  update.item_id = store.Seek(second)->next->item_id;
  EXPECT_EQ(Letters(store.Update({&update, 1}, Require::kNothing)), "U");
  EXPECT_EQ(Listing(store), "1=a 1=B 1=c");
  EXPECT_EQ(Letters(store.Add({&update, 1}, Require::kNothing)), "INVALID_ARGUMENT");
  const WriteItem by_value{.key = int64_t{1}, .value = "c"};
  const WriteItem by_key{.key = int64_t{1}};
  EXPECT_EQ(Letters(store.Remove({&by_value, 1}, Require::kNothing)), "-");
  EXPECT_EQ(Letters(store.Remove({&by_key, 1}, Require::kNothing)), "-");
  EXPECT_EQ(Listing(store), "1=B");
}

TEST_F(OrderedStoreTest, UntypedStoreIsEmptyForEveryWellFormedKey) {
  ASSERT_TRUE(database_.Create("words").ok());
  stores_ = database_.Begin();
  OrderedStore store(**stores_->Open("words"));
  EXPECT_EQ(store.schema(), nullptr);
  EXPECT_EQ(ValueOf(store, int64_t{1}), "-");
  EXPECT_EQ(ValueOf(store, std::string("a")), "-");
  EXPECT_EQ(ValueOf(store, std::string("\xff")), "INVALID_KEY");
  EXPECT_EQ(Listing(store), "");
  EXPECT_EQ(*store.Count({}), 0u);
  EXPECT_FALSE(store.Seek({.target = SeekTarget::kFirst})->item.has_value());
  EXPECT_FALSE(store.Seek({.key = int64_t{1}})->item.has_value());
  const WriteItem item{.key = int64_t{1}};
  EXPECT_EQ(Letters(store.Remove({&item, 1}, Require::kNothing)), "N");
  EXPECT_EQ(Letters(store.Update({&item, 1}, Require::kAll)), "KEY_NOT_FOUND");
  EXPECT_TRUE(stores_->transaction().IsEmpty());
}

TEST_F(OrderedStoreTest, TokensGoWithTheReadingThatMadeThem) {
  OrderedStore& store = Create("words");
  ASSERT_EQ(Add(store, {Write(int64_t{1}), Write(int64_t{2}), Write(int64_t{3})}), "AAA");
  const auto take = [](const btree::PackedItem&) { return true; };
  const auto page = store.ReadPage({}, {.max_items = 1}, take);
  ASSERT_TRUE(page.ok());
  EXPECT_FALSE(page->end);
  ScanRequest next{.start = PageToken{page->next_page_token}};
  EXPECT_EQ(Listing(store, next), "2=v 3=v");
  next.direction = ScanDirection::kBackward;
  EXPECT_EQ(Listing(store, next), "INVALID_ARGUMENT");
  next.direction = ScanDirection::kForward;
  next.range.end = store.schema()->Encode(int64_t{3})->key;
  EXPECT_EQ(Listing(store, next), "INVALID_ARGUMENT");
  for (size_t i = 0; i < page->next_page_token.size(); ++i) {
    std::string damaged = page->next_page_token;
    damaged[i] = static_cast<char>(damaged[i] ^ 1);
    EXPECT_EQ(Listing(store, {.start = PageToken{damaged}}), "INVALID_ARGUMENT") << i;
    EXPECT_EQ(Listing(store, {.start = PageToken{damaged.substr(0, i)}}), "INVALID_ARGUMENT") << i;
  }
}

TEST_F(OrderedStoreTest, ScanFillsPackedPages) {
  OrderedStore& store = Create("words");
  std::vector<WriteItem> items;
  for (int64_t i = 0; i < 100; ++i) items.push_back(Write(i, "value"));
  Add(store, items);
  const auto scan = store.Scan({.direction = ScanDirection::kBackward});
  ASSERT_TRUE(scan.ok());
  int64_t expected = 99;
  for (bool end = false; !end;) {
    btree::PackedPageBuilder builder(btree::PageColumns::kAll, {.max_size_bytes = 500});
    const auto page =
        (*scan)->Fill({}, [&builder](const btree::PackedItem& i) { return builder.Append(i); });
    ASSERT_TRUE(page.ok());
    end = page->end;
    const std::string bytes = builder.Finish();
    const auto parsed = btree::PackedPage::Parse(bytes);
    ASSERT_EQ(parsed->count(), page->items);
    for (size_t i = 0; i < parsed->count(); ++i) {
      EXPECT_EQ(parsed->item(i).key, store.schema()->Encode(expected--)->key);
    }
  }
  EXPECT_EQ(expected, -1);
}

TEST_F(OrderedStoreTest, SeekRefusesWhatItsTargetHasNoUseFor) {
  OrderedStore& store = Create("words");
  ASSERT_EQ(Add(store, {Write(int64_t{1})}), "A");
  EXPECT_EQ(ReasonOf(store.Seek({.target = SeekTarget::kAfter}).status()),
            Reason::kInvalidArgument);
  EXPECT_EQ(ReasonOf(store.Seek({.target = SeekTarget::kLast, .key = int64_t{1}}).status()),
            Reason::kInvalidArgument);
  EXPECT_EQ(ReasonOf(store.Seek({.key = int64_t{1}, .item_id = Uuid{1, 1}}).status()),
            Reason::kInvalidArgument);
}

class SmallLimitsTest : public OrderedStoreTest {
 protected:
  SmallLimitsTest() : OrderedStoreTest(txn::Limits{.transaction_writes = 3}) {}
};

TEST_F(SmallLimitsTest, RequestAboveALimitChangesNothing) {
  OrderedStore& store = Create("words");
  ASSERT_EQ(Add(store, {Write(int64_t{1}), Write(int64_t{2})}), "AA");
  EXPECT_EQ(Add(store, {Write(int64_t{3}), Write(int64_t{4})}), "LIMIT_EXCEEDED");
  EXPECT_EQ(Listing(store), "1=v 2=v");
  EXPECT_EQ(Add(store, {Write(int64_t{3})}), "A");
}

}  // namespace
}  // namespace sop::catalog
