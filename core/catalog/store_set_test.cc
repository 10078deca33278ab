#include "core/catalog/store_set.h"

#include <string>
#include <vector>

#include <gtest/gtest.h>

#include "core/btree/node/apply.h"
#include "core/catalog/database_fixture_test.h"
#include "storage/memory/memory_storage.h"

namespace sop::catalog {
namespace {

class StoreSetTest : public testing::Test {
 protected:
  StoreSetTest()
      : database_(memory::MemoryStorage::Create(btree::Apply, base::SystemClock(),
                                                base::SystemRandom())) {}

  static std::string Names(StoreSet& stores, std::string_view after = {}, size_t limit = 100) {
    const auto entries = stores.List(after, limit);
    if (!entries.ok()) return entries.status().ToString();
    std::string names;
    for (const auto& entry : *entries) names += (names.empty() ? "" : " ") + entry->name;
    return names;
  }
  static std::string Add(OpenStore& store, const btree::Key& key) {
    const WriteItem item{.key = key, .value = "v"};
    return Letters(OrderedStore(store).Add({&item, 1}, Require::kNothing));
  }
  StoreId IdOf(std::string_view name) { return (*database_.Begin()->Open(name))->entry().id; }

  TestDatabase database_;
};

std::string DetailOf(const absl::Status& status, std::string_view name) {
  for (const auto& detail : DetailsOf(status)) {
    if (detail.first == name) return detail.second;
  }
  return "-";
}

TEST_F(StoreSetTest, SoManyStoresAreInADatabase) {
  auto first = database_.Begin();
  for (uint64_t i = 0; i < kMaxStores - 2; ++i) {
    ASSERT_TRUE(first->Create(fmt::format("s{}", i), {}).ok()) << i;
  }
  ASSERT_TRUE(database_.Commit(std::move(first)).ok());
  auto stores = database_.Begin();
  EXPECT_TRUE(stores->Create("one below the limit", {}).ok());
  EXPECT_TRUE(stores->Create("at the limit", {}).ok());
  const absl::Status refused = stores->Create("beyond it", {}).status();
  EXPECT_EQ(ReasonOf(refused), Reason::kLimitExceeded);
  EXPECT_EQ(DetailOf(refused, "limit"), "100000");
  ASSERT_TRUE(database_.Commit(std::move(stores)).ok());
  EXPECT_EQ(ReasonOf(database_.Create("later")), Reason::kLimitExceeded);
}

TEST_F(StoreSetTest, CreatedStoreIsSeenByItsOwnTransactionAndByLaterOnes) {
  auto before = database_.Begin(txn::Mode::kReadOnly);
  auto stores = database_.Begin();
  auto store = stores->Create("words", {});
  ASSERT_TRUE(store.ok()) << store.status();
  EXPECT_TRUE((*store)->created());
  EXPECT_EQ(Names(*stores), "words");
  EXPECT_EQ(*stores->Open("words"), *store);
  ASSERT_TRUE(database_.Commit(std::move(stores)).ok());
  EXPECT_EQ(Names(*before), "");
  EXPECT_EQ(ReasonOf(before->Open("words").status()), Reason::kStoreNotFound);
  auto after = database_.Begin();
  auto opened = after->Create("words", {});
  ASSERT_TRUE(opened.ok());
  EXPECT_FALSE((*opened)->created());
  EXPECT_EQ((*opened)->entry().id.value, (*opened)->entry().trees.front().tree.value);
}

TEST_F(StoreSetTest, OpeningNamesWhatDiffers) {
  ASSERT_TRUE(database_.Create("words", {.slot_length = 100}).ok());
  auto stores = database_.Begin();
  EXPECT_TRUE(stores->Create("words", {.options = {.slot_length = 100}}).ok());
  const absl::Status slots = stores->Create("words", {.options = {.slot_length = 101}}).status();
  EXPECT_EQ(ReasonOf(slots), Reason::kOptionsDiffer);
  EXPECT_EQ(DetailOf(slots, "option"), "slot_length");
  EXPECT_EQ(ReasonOf(stores->Create("words", {.kind = StoreKind::kText}).status()),
            Reason::kWrongKind);
  EXPECT_EQ(ReasonOf(stores->Open("words", StoreKind::kBlob).status()), Reason::kWrongKind);
  EXPECT_EQ(ReasonOf(stores->Open("others").status()), Reason::kStoreNotFound);
  EXPECT_EQ(ReasonOf(stores->Open("a/b").status()), Reason::kInvalidName);
  EXPECT_EQ(ReasonOf(stores->Create("", {}).status()), Reason::kInvalidName);
  EXPECT_EQ(ReasonOf(stores->Create("x", {.options = {.slot_length = 1}}).status()),
            Reason::kInvalidArgument);
}

TEST_F(StoreSetTest, ReadOnlyTransactionsMakeAndRemoveNothing) {
  ASSERT_TRUE(database_.Create("words").ok());
  auto stores = database_.Begin(txn::Mode::kReadOnly);
  EXPECT_TRUE(stores->Create("words", {}).ok());
  EXPECT_EQ(ReasonOf(stores->Create("others", {}).status()), Reason::kReadOnlyTransaction);
  EXPECT_EQ(ReasonOf(stores->Remove("words")), Reason::kReadOnlyTransaction);
  EXPECT_EQ(Add(**stores->Open("words"), int64_t{1}), "READ_ONLY_TRANSACTION");
}

TEST_F(StoreSetTest, CreatingAndRemovingInOneTransactionWorksInEveryOrder) {
  ASSERT_TRUE(database_.Create("old").ok());
  ASSERT_TRUE(database_.Put("old", int64_t{1}, "before").ok());
  const StoreId old_id = IdOf("old");
  auto stores = database_.Begin();
  ASSERT_TRUE(stores->Remove("old").ok());
  EXPECT_EQ(ReasonOf(stores->Remove("old")), Reason::kStoreNotFound);
  EXPECT_EQ(ReasonOf(stores->Open("old").status()), Reason::kStoreNotFound);
  auto again = stores->Create("old", {});
  ASSERT_TRUE(again.ok());
  EXPECT_EQ(Add(**again, std::string("other type")), "A");
  auto brief = stores->Create("brief", {});
  ASSERT_TRUE(brief.ok());
  EXPECT_EQ(Add(**brief, int64_t{1}), "A");
  ASSERT_TRUE(stores->Remove("brief").ok());
  EXPECT_TRUE((*brief)->removed());
  auto kept = stores->Create("kept", {});
  ASSERT_TRUE(stores->Remove("kept").ok());
  kept = stores->Create("kept", {.options = {.uniqueness = Uniqueness::kDuplicates}});
  EXPECT_EQ(Add(**kept, true), "A");
  EXPECT_EQ(Names(*stores), "kept old");
  const absl::Status status = database_.Commit(std::move(stores));
  ASSERT_TRUE(status.ok()) << status;

  auto after = database_.Begin();
  EXPECT_EQ(Names(*after), "kept old");
  OpenStore* const old = *after->Open("old");
  EXPECT_NE(old->entry().id, old_id);
  OrderedStore items(*old);
  EXPECT_EQ(Listing(items), "other type=v");
  EXPECT_EQ((*after->Open("kept"))->options().uniqueness, Uniqueness::kDuplicates);
  EXPECT_EQ(ReasonOf(after->Open("brief").status()), Reason::kStoreNotFound);
}

TEST_F(StoreSetTest, ListPagesByNameAndShowsOwnChanges) {
  for (const char* name : {"a", "c", "e", "g"}) ASSERT_TRUE(database_.Create(name).ok());
  auto stores = database_.Begin();
  ASSERT_TRUE(stores->Remove("c").ok());
  ASSERT_TRUE(stores->Create("b", {}).ok());
  ASSERT_TRUE(stores->Create("h", {}).ok());
  EXPECT_EQ(Names(*stores), "a b e g h");
  EXPECT_EQ(Names(*stores, "", 2), "a b");
  EXPECT_EQ(Names(*stores, "b", 2), "e g");
  EXPECT_EQ(Names(*stores, "g", 2), "h");
  EXPECT_EQ(Names(*stores, "h", 2), "");
}

TEST_F(StoreSetTest, EqualCreationsMeanwhileAreAdopted) {
  auto first = database_.Begin();
  auto second = database_.Begin();
  EXPECT_EQ(Add(**first->Create("words", {}), int64_t{1}), "A");
  EXPECT_EQ(Add(**second->Create("words", {}), int64_t{2}), "A");
  ASSERT_TRUE(database_.Commit(std::move(first)).ok());
  const absl::Status status = database_.Commit(std::move(second));
  ASSERT_TRUE(status.ok()) << status;
  auto stores = database_.Begin();
  OrderedStore words(**stores->Open("words"));
  EXPECT_EQ(Listing(words), "1=v 2=v");
}

TEST_F(StoreSetTest, AdoptedCreationsStillConflictOverOneKey) {
  auto first = database_.Begin();
  auto second = database_.Begin();
  EXPECT_EQ(Add(**first->Create("words", {}), int64_t{7}), "A");
  EXPECT_EQ(Add(**second->Create("words", {}), int64_t{7}), "A");
  ASSERT_TRUE(database_.Commit(std::move(first)).ok());
  const absl::Status status = database_.Commit(std::move(second));
  EXPECT_EQ(ReasonOf(status), Reason::kConflict);
  EXPECT_EQ(DetailOf(status, "store"), "words");
  EXPECT_EQ(DetailOf(status, "key"), "7");
}

TEST_F(StoreSetTest, DifferentCreationsMeanwhileAbort) {
  auto first = database_.Begin();
  auto second = database_.Begin();
  ASSERT_TRUE(first->Create("words", {}).ok());
  ASSERT_TRUE(second->Create("words", {.options = {.uniqueness = Uniqueness::kDuplicates}}).ok());
  ASSERT_TRUE(database_.Commit(std::move(first)).ok());
  const absl::Status status = database_.Commit(std::move(second));
  EXPECT_EQ(ReasonOf(status), Reason::kSchemaDecided);
  EXPECT_EQ(DetailOf(status, "store"), "words");
  EXPECT_EQ(DetailOf(status, "option"), "unique");
}

TEST_F(StoreSetTest, FirstItemsDecideTheSchemaOnce) {
  ASSERT_TRUE(database_.Create("words").ok());
  auto number = database_.Begin();
  auto same = database_.Begin();
  auto text = database_.Begin();
  EXPECT_EQ(Add(**number->Open("words"), int64_t{1}), "A");
  EXPECT_EQ(Add(**same->Open("words"), int64_t{2}), "A");
  EXPECT_EQ(Add(**text->Open("words"), std::string("a")), "A");
  EXPECT_EQ(Add(**text->Open("words"), int64_t{2}), "KEY_TYPE_DIFFERS");
  ASSERT_TRUE(database_.Commit(std::move(number)).ok());
  ASSERT_TRUE(database_.Commit(std::move(same)).ok());
  const absl::Status status = database_.Commit(std::move(text));
  EXPECT_EQ(ReasonOf(status), Reason::kSchemaDecided);
  EXPECT_EQ(DetailOf(status, "option"), "schema");
  auto stores = database_.Begin();
  EXPECT_EQ((*stores->Open("words"))->entry().schema_version, 1u);
  OrderedStore words(**stores->Open("words"));
  EXPECT_EQ(Listing(words), "1=v 2=v");
}

TEST_F(StoreSetTest, ExtensionsOfASchemaAreAdoptedOrAbort) {
  const auto person = [](int64_t id, std::vector<btree::NamedScalar> rides) {
    rides.push_back({"id", id});
    return btree::Key(btree::Record{std::move(rides)});
  };
  ASSERT_TRUE(database_.Create("people", {.index = {{{"id"}}}}).ok());
  ASSERT_TRUE(database_.Put("people", person(1, {{"name", "anna"}}), "v").ok());
  std::vector<std::unique_ptr<StoreSet>> sets;
  const auto add = [&](const btree::Key& key) {
    sets.push_back(database_.Begin());
    EXPECT_EQ(Add(**sets.back()->Open("people"), key), "A");
  };
  add(person(2, {{"age", int64_t{3}}}));
  add(person(3, {{"age", int64_t{4}}}));
  add(person(4, {{"age", int64_t{5}}, {"zip", int64_t{1}}}));
  add(person(5, {{"name", "berta"}}));
  add(person(6, {{"zip", int64_t{1}}}));
  add(person(7, {{"age", "old"}}));
  for (size_t i = 0; i < 4; ++i) EXPECT_TRUE(database_.Commit(std::move(sets[i])).ok()) << i;
  for (size_t i = 4; i < 6; ++i) {
    EXPECT_EQ(ReasonOf(database_.Commit(std::move(sets[i]))), Reason::kSchemaDecided) << i;
  }
  auto stores = database_.Begin();
  EXPECT_EQ((*stores->Open("people"))->entry().schema_version, 3u);
  OrderedStore people(**stores->Open("people"));
  EXPECT_EQ(Listing(people),
            "{id: 1, name: anna}=v {id: 2, age: 3}=v {id: 3, age: 4}=v {id: 4, age: 5, zip: 1}=v "
            "{id: 5, name: berta}=v");
  // Whoever declares a beginning of it means this store.
  const btree::IndexSpecification by_id = {{"id"}};
  GivenOptions given;
  given.index = by_id;
  given.schema = *btree::KeySchema::ForRecord(
      {{"name", btree::ScalarType::kString}, {"id", btree::ScalarType::kInt64}}, by_id);
  EXPECT_TRUE(stores->Create("people", {.options = given}).ok());
  given.schema = *btree::KeySchema::ForRecord(
      {{"name", btree::ScalarType::kBytes}, {"id", btree::ScalarType::kInt64}}, by_id);
  EXPECT_EQ(ReasonOf(stores->Create("people", {.options = given}).status()),
            Reason::kOptionsDiffer);
}

TEST_F(StoreSetTest, FailedFirstItemDecidesNothing) {
  ASSERT_TRUE(database_.Create("words").ok());
  auto stores = database_.Begin();
  OpenStore* const words = *stores->Open("words");
  const WriteItem items[] = {{.key = int64_t{1}}, {.key = std::string("a")}};
  EXPECT_EQ(Letters(OrderedStore(*words).Add(items, Require::kNothing)), "KEY_TYPE_DIFFERS");
  EXPECT_EQ(words->schema(), nullptr);
  EXPECT_TRUE(stores->transaction().IsEmpty());
}

TEST_F(StoreSetTest, WriterOfARemovedStoreAborts) {
  ASSERT_TRUE(database_.Create("words").ok());
  ASSERT_TRUE(database_.Put("words", int64_t{1}, "one").ok());
  auto writer = database_.Begin();
  auto reader = database_.Begin(txn::Mode::kReadOnly);
  auto late_reader = database_.Begin(txn::Mode::kReadOnly);
  EXPECT_EQ(Add(**writer->Open("words"), int64_t{2}), "A");
  OrderedStore seen(**reader->Open("words"));
  auto remover = database_.Begin();
  auto second_remover = database_.Begin();
  ASSERT_TRUE(remover->Remove("words").ok());
  ASSERT_TRUE(second_remover->Remove("words").ok());
  ASSERT_TRUE(database_.Commit(std::move(remover)).ok());
  const absl::Status status = database_.Commit(std::move(writer));
  EXPECT_EQ(ReasonOf(status), Reason::kStoreRemoved);
  EXPECT_EQ(DetailOf(status, "store"), "words");
  EXPECT_EQ(ReasonOf(database_.Commit(std::move(second_remover))), Reason::kStoreRemoved);
  EXPECT_EQ(Listing(seen), "1=one");
  OrderedStore seen_late(**late_reader->Open("words"));
  EXPECT_EQ(ValueOf(seen_late, int64_t{1}), "one");
  EXPECT_EQ(ReasonOf(database_.Begin()->Open("words").status()), Reason::kStoreNotFound);
  ASSERT_TRUE(database_.Create("words").ok());
  auto stores = database_.Begin();
  OrderedStore fresh(**stores->Open("words"));
  EXPECT_EQ(Listing(fresh), "");
}

TEST_F(StoreSetTest, StoreThatWasNotThereIsRemembered) {
  ASSERT_TRUE(database_.Create("log").ok());
  auto stores = database_.Begin();
  EXPECT_EQ(ReasonOf(stores->Open("words").status()), Reason::kStoreNotFound);
  EXPECT_EQ(Add(**stores->Open("log"), std::string("no words")), "A");
  ASSERT_TRUE(database_.Create("words").ok());
  const absl::Status status = database_.Commit(std::move(stores));
  EXPECT_EQ(ReasonOf(status), Reason::kConflict);
  EXPECT_EQ(DetailOf(status, "store"), "words");
}

TEST_F(StoreSetTest, EmptinessOfAnUntypedStoreIsRemembered) {
  ASSERT_TRUE(database_.Create("words").ok());
  ASSERT_TRUE(database_.Create("log").ok());
  auto stores = database_.Begin();
  OrderedStore words(**stores->Open("words"));
  EXPECT_EQ(ValueOf(words, int64_t{1}), "-");
  EXPECT_EQ(Add(**stores->Open("log"), std::string("no words")), "A");
  ASSERT_TRUE(database_.Put("words", int64_t{1}, "one").ok());
  EXPECT_EQ(ReasonOf(database_.Commit(std::move(stores))), Reason::kConflict);
}

TEST_F(StoreSetTest, ItemIdsAscend) {
  auto stores = database_.Begin();
  Uuid last;
  for (int i = 0; i < 10'000; ++i) {
    const Uuid id = stores->NextItemId();
    ASSERT_LT(last, id);
    last = id;
  }
}

}  // namespace
}  // namespace sop::catalog
