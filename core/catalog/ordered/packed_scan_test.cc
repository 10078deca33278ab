#include <memory>
#include <string>
#include <vector>

#include <gtest/gtest.h>

#include "core/base/random.h"
#include "core/btree/node/apply.h"
#include "core/catalog/database_fixture_test.h"
#include "core/catalog/ordered_store.h"
#include "core/txn/test_seed.h"
#include "storage/memory/memory_storage.h"

namespace sop::catalog {
namespace {

constexpr uint64_t kKeys = 2'000;

// A store of random items, many to a leaf, in a transaction that may have writes of its own.
class PackedScanTest : public testing::TestWithParam<Uniqueness> {
 protected:
  PackedScanTest()
      : random_(seed_),
        database_(memory::MemoryStorage::Create(btree::Apply, base::SystemClock(),
                                                base::SystemRandom())) {
    stores_ = database_.Begin();
    GivenOptions options;
    options.uniqueness = GetParam();
    store_ =
        std::make_unique<OrderedStore>(*stores_->Create("numbers", {.options = options}).value());
  }

  uint64_t Below(uint64_t bound) { return random_.Next64() % bound; }

  // Upserts or removes some keys.
  void Change(int items) {
    for (int i = 0; i < items; ++i) {
      const auto key = static_cast<int64_t>(Below(kKeys));
      // Some above 1 KiB, which are kept outside of their leaf.
      const std::string value(Below(50) == 0 ? 1'200 : Below(60), 'v');
      const WriteItem item = {.key = key, .value = value};
      if (Below(4) == 0) {
        const WriteItem removal = {.key = key};
        ASSERT_TRUE(store_->Remove({&removal, 1}, Require::kNothing).ok());
      } else {
        ASSERT_TRUE(store_->Upsert({&item, 1}).ok());
      }
    }
  }
  void Commit() {
    store_.reset();
    ASSERT_TRUE(database_.Commit(std::move(stores_)).ok());
    stores_ = database_.Begin();
    store_ = std::make_unique<OrderedStore>(*stores_->Open("numbers").value());
  }

  ScanRequest RandomRequest() {
    ScanRequest request;
    const auto key = [this] {
      return store_->schema()->Encode(static_cast<int64_t>(Below(kKeys)))->key;
    };
    if (Below(2) == 0) request.range.begin = key();
    if (Below(2) == 0) request.range.end = key();
    if (Below(4) == 0) request.direction = ScanDirection::kBackward;
    if (Below(3) == 0) request.start = Offset{Below(kKeys)};
    request.content = static_cast<ItemContent>(Below(3));
    return request;
  }

  // Pages filled item by item and leaf by leaf are the same.
  void Compare(const ScanRequest& request) {
    const uint8_t columns =
        request.content == ItemContent::kKeys
            ? btree::PageColumns::kKeys | btree::PageColumns::kVersions
        : request.content == ItemContent::kValues
            ? btree::PageColumns::kValues
            : static_cast<uint8_t>(btree::PageColumns::kAll & ~btree::PageColumns::kItemIds);
    const btree::PageBounds bounds = {.max_items = 1 + Below(500),
                                      .max_size_bytes = 100 + Below(20'000)};
    const PageLimits limits = {.max_items = 1 + Below(700), .max_size_bytes = 1 + Below(30'000)};
    const auto one = store_->Scan(request);
    const auto other = store_->Scan(request);
    ASSERT_TRUE(one.ok() && other.ok());
    for (bool end = false; !end;) {
      btree::PackedPageBuilder slow(columns, bounds);
      btree::PackedPageBuilder fast(columns, bounds);
      const auto expected =
          (*one)->Fill(limits, [&](const btree::PackedItem& item) { return slow.Append(item); });
      const auto got = (*other)->FillPacked(limits, &fast);
      ASSERT_TRUE(expected.ok() && got.ok());
      ASSERT_EQ(got->items, expected->items);
      ASSERT_EQ(got->end, expected->end);
      ASSERT_EQ(got->next_page_token, expected->next_page_token);
      ASSERT_EQ(fast.count(), slow.count());
      ASSERT_EQ(fast.Finish(), slow.Finish());
      end = expected->end;
      pages_ += 1;
    }
  }

  const uint64_t seed_ = txn::TestSeed(20261121);
  base::SeededRandom random_;
  TestDatabase database_;
  std::unique_ptr<StoreSet> stores_;
  std::unique_ptr<OrderedStore> store_;
  int pages_ = 0;
};

TEST_P(PackedScanTest, LeafByLeafIsAsItemByItem) {
  SCOPED_TRACE(seed_);
  Change(3'000);
  Commit();
  // Small commits leave deltas pending on the leaves.
  for (int i = 0; i < 10; ++i) {
    Change(20);
    Commit();
  }
  for (int round = 0; round < 60; ++round) {
    if (round == 30) Change(50);
    Compare(RandomRequest());
    if (HasFatalFailure()) FAIL() << "in round " << round;
  }
  EXPECT_GT(pages_, 300);
}

INSTANTIATE_TEST_SUITE_P(Stores, PackedScanTest,
                         testing::Values(Uniqueness::kUnique, Uniqueness::kDuplicates));

}  // namespace
}  // namespace sop::catalog
