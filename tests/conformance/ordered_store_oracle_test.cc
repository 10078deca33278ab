#include <algorithm>
#include <random>
#include <string>
#include <vector>

#include <gtest/gtest.h>

#include "core/catalog/ordered/write_request.h"
#include "core/txn/test_seed.h"
#include "tests/conformance/database_under_test.h"
#include "tests/conformance/ordered_store_model.h"

namespace sop::conformance {
namespace {

using catalog::ItemContent;
using catalog::OrderedStore;
using catalog::Require;
using catalog::ScanDirection;
using catalog::SeekTarget;
using catalog::Uniqueness;
using catalog::WriteItem;
using catalog::WriteKind;
using catalog::WriteOutcome;
using Item = OrderedStoreModel::Item;
using Write = OrderedStoreModel::Write;

constexpr int kNumbers = 60;

struct Setup {
  const char* name;
  std::unique_ptr<StorageUnderTest> (*make)();
  KeyShape shape;
  Uniqueness uniqueness;
  int rounds;
};

// Random requests against OrderedStore and its model, in transactions of random length that commit
// or roll back.
class OrderedStoreOracleTest : public testing::TestWithParam<Setup> {
 protected:
  OrderedStoreOracleTest()
      : seed_(txn::TestSeed(20'261'120)),
        random_(seed_),
        database_(GetParam().make()),
        model_(GetParam().shape, GetParam().uniqueness) {}

  bool unique() const { return GetParam().uniqueness == Uniqueness::kUnique; }
  int Below(int n) { return static_cast<int>(random_() % static_cast<uint64_t>(n)); }
  bool OneIn(int n) { return Below(n) == 0; }

  void Begin() {
    stores_ = database_->Begin();
    auto opened = stores_->Open("items");
    ASSERT_TRUE(opened.ok()) << opened.status();
    store_.emplace(**opened);
    committed_ = model_;
  }

  void End() {
    store_.reset();
    if (OneIn(4)) {
      stores_.reset();
      model_ = committed_;
    } else {
      const absl::Status status = database_->Commit(std::move(stores_));
      ASSERT_TRUE(status.ok()) << status;
    }
    if (OneIn(16)) {
      database_.Settle();
      database_.Reopen();
    }
  }

  Write MakeWrite(WriteKind kind) {
    Write write;
    write.number = Below(kNumbers);
    if (GetParam().shape == KeyShape::kRecord && OneIn(2)) {
      write.note = std::string(1, static_cast<char>('p' + Below(5)));
    }
    // Some are kept outside the node.
    if (kind != WriteKind::kUpdateKey) {
      write.value = std::string(OneIn(8) ? 2000 : 3, static_cast<char>('A' + Below(4)));
    }
    write.with_value = kind == WriteKind::kRemove && OneIn(2);
    const Item* const there = model_.First(write.number);
    const bool by_id =
        kind == WriteKind::kUpdate || kind == WriteKind::kUpdateKey || kind == WriteKind::kRemove;
    if (!unique() && by_id && there != nullptr && OneIn(3)) {
      const size_t last = model_.UpperBound(write.number, {}) - 1;
      write.id = OneIn(5) ? Uuid{1, 2} : model_.items()[last].id;
    }
    return write;
  }

  WriteItem MakeItem(WriteKind kind, const Write& write) const {
    WriteItem item;
    item.key = model_.MakeKey(write.number, write.note);
    item.item_id = write.id;
    const bool with_value =
        kind == WriteKind::kRemove ? write.with_value : kind != WriteKind::kUpdateKey;
    if (with_value) item.value = write.value;
    return item;
  }

  absl::StatusOr<catalog::WriteReport> Run(WriteKind kind, const std::vector<WriteItem>& items,
                                           Require require) {
    switch (kind) {
      case WriteKind::kAdd:
        return store_->Add(items, require);
      case WriteKind::kAddIfNotExists:
        return store_->AddIfNotExists(items, require);
      case WriteKind::kUpdate:
        return store_->Update(items, require);
      case WriteKind::kUpsert:
        return store_->Upsert(items);
      case WriteKind::kUpdateKey:
        return store_->UpdateKey(items, require);
      case WriteKind::kRemove:
        break;
    }
    return store_->Remove(items, require);
  }

  static WriteOutcome RunModel(OrderedStoreModel& model, WriteKind kind, const Write& write,
                               Uuid id) {
    switch (kind) {
      case WriteKind::kAdd:
        return model.Add(write, id);
      case WriteKind::kAddIfNotExists:
        return model.AddIfNotExists(write, id);
      case WriteKind::kUpdate:
        return model.Update(write);
      case WriteKind::kUpsert:
        return model.Upsert(write, id);
      case WriteKind::kUpdateKey:
        return model.UpdateKey(write);
      case WriteKind::kRemove:
        break;
    }
    return model.Remove(write);
  }

  void CheckWrite() {
    auto kind = static_cast<WriteKind>(Below(6));
    if (kind == WriteKind::kUpdateKey && GetParam().shape == KeyShape::kScalar) {
      kind = WriteKind::kAdd;
    }
    const Require require = OneIn(3) ? Require::kAll : Require::kNothing;
    std::vector<Write> writes;
    std::vector<WriteItem> items;
    for (int n = 1 + Below(4); n > 0; --n) writes.push_back(MakeWrite(kind));
    if (OneIn(3)) writes.push_back(writes.front());
    for (const Write& write : writes) items.push_back(MakeItem(kind, write));
    const auto report = Run(kind, items, require);
    OrderedStoreModel after = model_;
    bool all = true;
    for (size_t i = 0; i < writes.size(); ++i) {
      const bool has_id = report.ok() && !unique();
      const Uuid id = has_id ? report->item_ids[i] : unique() ? Uuid{} : Uuid{UINT64_MAX, i};
      const WriteOutcome outcome = RunModel(after, kind, writes[i], id);
      if (report.ok()) {
        ASSERT_EQ(report->outcomes[i], outcome)
            << "kind " << static_cast<int>(kind) << " item " << i << " number " << writes[i].number;
      }
      all = all && outcome != WriteOutcome::kNotFound && outcome != WriteOutcome::kAlreadyThere;
    }
    if (require == Require::kAll && kind != WriteKind::kUpsert) {
      ASSERT_EQ(report.ok(), all) << report.status();
    } else {
      ASSERT_TRUE(report.ok()) << report.status();
    }
    if (report.ok()) model_ = std::move(after);
  }

  Item AsItem(const btree::PackedItem& packed) const {
    const btree::Key key = store_->schema()->Decode(packed.key, packed.ride_on).value();
    Item item;
    for (int n = 0; n < kNumbers; ++n) {
      const auto encoded = store_->schema()->Encode(model_.MakeKey(n, ""));
      if (encoded->key == packed.key) item.number = n;
    }
    if (const auto* record = std::get_if<btree::Record>(&key)) {
      if (const btree::Scalar* note = record->Find("note"))
        item.note = std::get<std::string>(*note);
    }
    item.id = packed.item_id;
    item.value = std::string(packed.value);
    return item;
  }
  static Item KeyOf(Item item) {
    item.value.clear();
    return item;
  }

  void CheckGet() {
    std::vector<btree::Key> keys;
    std::vector<uint32_t> missing;
    std::vector<Item> expected;
    const ItemContent content = OneIn(2) ? ItemContent::kItems : ItemContent::kKeys;
    for (uint32_t i = 0; i < 5; ++i) {
      const int number = Below(kNumbers);
      keys.push_back(model_.MakeKey(number, ""));
      const Item* const item = model_.First(number);
      if (item == nullptr) missing.push_back(i);
      if (item != nullptr)
        expected.push_back(content == ItemContent::kItems ? *item : KeyOf(*item));
    }
    std::vector<Item> found;
    const auto sink = [&](const btree::PackedItem& item) {
      found.push_back(AsItem(item));
      return true;
    };
    const auto got = store_->Get(keys, content, sink);
    ASSERT_TRUE(got.ok()) << got.status();
    ASSERT_EQ(*got, missing);
    ASSERT_EQ(found, expected);
  }

  void CheckSeek() {
    catalog::SeekRequest request;
    request.target = static_cast<SeekTarget>(Below(7));
    request.neighbours = catalog::Neighbours::kKeys;
    const int number = Below(kNumbers);
    const bool is_end = request.target == SeekTarget::kFirst || request.target == SeekTarget::kLast;
    if (!is_end) request.key = model_.MakeKey(number, "");
    const Item* const there = model_.First(number);
    if (!is_end && !unique() && there != nullptr && OneIn(2)) request.item_id = there->id;
    const auto result = store_->Seek(request);
    ASSERT_TRUE(result.ok()) << result.status();

    const auto size = static_cast<ptrdiff_t>(model_.items().size());
    const auto low = static_cast<ptrdiff_t>(model_.LowerBound(number, request.item_id));
    const auto high = static_cast<ptrdiff_t>(model_.UpperBound(number, request.item_id));
    const ptrdiff_t targets[] = {
        low < high ? low : size, low, high, high - 1, low - 1, 0, size - 1};
    const ptrdiff_t at = targets[static_cast<size_t>(request.target)];
    const bool found = at >= 0 && at < size;
    ASSERT_EQ(result->item.has_value(), found);
    const auto same = [&](const std::optional<catalog::StoreItem>& item, ptrdiff_t position) {
      if (position < 0 || position >= size) return !item.has_value();
      return item.has_value() &&
             KeyOf(AsItem(item->view())) == KeyOf(model_.items()[static_cast<size_t>(position)]);
    };
    if (found) ASSERT_EQ(AsItem(result->item->view()), model_.items()[static_cast<size_t>(at)]);
    ASSERT_EQ(result->exact, found && !is_end && at >= low && at < high);
    const bool behind =
        request.target == SeekTarget::kAfter || request.target == SeekTarget::kAtOrBefore;
    const ptrdiff_t place = behind ? high : low;
    if (is_end && !found) return;
    EXPECT_TRUE(same(result->previous, found ? at - 1 : place - 1))
        << static_cast<int>(request.target);
    EXPECT_TRUE(same(result->next, found ? at + 1 : place)) << static_cast<int>(request.target);
  }

  // A random range, and the model's items in it.
  btree::KeyRange MakeRange(std::vector<Item>* expected) {
    std::optional<btree::KeyBound> from;
    std::optional<btree::KeyBound> to;
    size_t begin = 0;
    size_t end = model_.items().size();
    const auto inclusion = [this] {
      return OneIn(2) ? btree::Inclusion::kInclusive : btree::Inclusion::kExclusive;
    };
    if (OneIn(2)) {
      const int number = Below(kNumbers);
      from = btree::KeyBound{model_.MakeKey(number, ""), inclusion()};
      begin = from->inclusion == btree::Inclusion::kInclusive ? model_.LowerBound(number, {})
                                                              : model_.UpperBound(number, {});
    }
    if (OneIn(2)) {
      const int number = Below(kNumbers);
      to = btree::KeyBound{model_.MakeKey(number, ""), inclusion()};
      end = to->inclusion == btree::Inclusion::kInclusive ? model_.UpperBound(number, {})
                                                          : model_.LowerBound(number, {});
    }
    for (size_t i = begin; i < end; ++i) expected->push_back(model_.items()[i]);
    if (store_->schema() == nullptr) return {};
    return store_->schema()->EncodeRange(from, to).value();
  }

  void CheckPages() {
    std::vector<Item> expected;
    catalog::ScanRequest request;
    request.range = MakeRange(&expected);
    const auto count = store_->Count(request.range);
    ASSERT_TRUE(count.ok()) << count.status();
    ASSERT_EQ(*count, expected.size());
    if (OneIn(2)) {
      request.direction = ScanDirection::kBackward;
      std::reverse(expected.begin(), expected.end());
    }
    if (OneIn(2)) {
      const auto skipped = static_cast<size_t>(Below(20));
      request.start = catalog::Offset{skipped};
      expected.erase(expected.begin(),
                     expected.begin() + static_cast<ptrdiff_t>(std::min(skipped, expected.size())));
    }
    std::vector<Item> found;
    const auto sink = [&](const btree::PackedItem& item) {
      found.push_back(AsItem(item));
      return true;
    };
    catalog::PageLimits limits;
    if (OneIn(2)) limits.max_items = static_cast<uint64_t>(1 + Below(10));
    if (OneIn(2)) limits.max_size_bytes = static_cast<uint64_t>(1 + Below(3000));
    for (;;) {
      const size_t before = found.size();
      const auto page = store_->ReadPage(request, limits, sink);
      ASSERT_TRUE(page.ok()) << page.status();
      ASSERT_EQ(found.size() - before, page->items);
      ASSERT_LE(page->items, limits.max_items);
      if (page->end) break;
      ASSERT_GT(page->items, 0u);
      if (OneIn(2)) {
        request.start = catalog::PageToken{page->next_page_token};
      } else {
        const Item& last = found.back();
        catalog::Position behind{model_.MakeKey(last.number, ""), {}};
        if (!unique()) behind.item_id = last.id;
        request.start = behind;
      }
    }
    ASSERT_EQ(found, expected);
  }

  void Step() {
    switch (Below(8)) {
      case 0:
        return CheckGet();
      case 1:
        return CheckSeek();
      case 2:
        return CheckPages();
      default:
        return CheckWrite();
    }
  }

  const uint64_t seed_;
  std::mt19937_64 random_;
  DatabaseUnderTest database_;
  OrderedStoreModel model_;
  OrderedStoreModel committed_{KeyShape::kScalar, Uniqueness::kUnique};
  std::unique_ptr<catalog::StoreSet> stores_;
  std::optional<OrderedStore> store_;
};

TEST_P(OrderedStoreOracleTest, EveryRequestAnswersLikeASortedList) {
  SCOPED_TRACE(testing::Message() << "SOP_SEED=" << seed_);
  catalog::GivenOptions options;
  options.uniqueness = GetParam().uniqueness;
  options.slot_length = 4;
  if (GetParam().shape == KeyShape::kRecord) {
    options.index = model_.Index();
    options.schema = btree::KeySchema::ForRecord({{"category", btree::ScalarType::kString},
                                                  {"code", btree::ScalarType::kInt64},
                                                  {"note", btree::ScalarType::kString}},
                                                 model_.Index())
                         .value();
  }
  ASSERT_TRUE(database_->Create("items", options).ok());
  for (int round = 0; round < GetParam().rounds; ++round) {
    SCOPED_TRACE(testing::Message() << "round " << round);
    Begin();
    for (int steps = 1 + Below(12); steps > 0 && !HasFatalFailure(); --steps) Step();
    if (HasFatalFailure()) return;
    End();
    if (HasFatalFailure()) return;
  }
}

INSTANTIATE_TEST_SUITE_P(
    Storages, OrderedStoreOracleTest,
    testing::Values(
        Setup{"MemoryUnique", MemoryUnderTest, KeyShape::kScalar, Uniqueness::kUnique, 400},
        Setup{"MemoryDuplicates", MemoryUnderTest, KeyShape::kScalar, Uniqueness::kDuplicates, 400},
        Setup{"MemoryRecords", MemoryUnderTest, KeyShape::kRecord, Uniqueness::kUnique, 400},
        Setup{"MemoryDuplicateRecords", MemoryUnderTest, KeyShape::kRecord, Uniqueness::kDuplicates,
              400},
        Setup{"RocksDbUnique", RocksDbUnderTest, KeyShape::kScalar, Uniqueness::kUnique, 60},
        Setup{"RocksDbDuplicateRecords", RocksDbUnderTest, KeyShape::kRecord,
              Uniqueness::kDuplicates, 60}),
    [](const auto& info) { return std::string(info.param.name); });

}  // namespace
}  // namespace sop::conformance
