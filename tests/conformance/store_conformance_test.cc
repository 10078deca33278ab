#include <string>
#include <thread>
#include <vector>

#include <fmt/format.h>
#include <gtest/gtest.h>

#include "tests/conformance/database_under_test.h"

namespace sop::conformance {
namespace {

using catalog::OrderedStore;
using catalog::Require;
using catalog::StoreSet;
using catalog::WriteItem;

struct Kind {
  const char* name;
  std::unique_ptr<StorageUnderTest> (*make)();
};

// What stores and transactions promise together, on every storage.
class StoreConformanceTest : public testing::TestWithParam<Kind> {
 protected:
  static constexpr int kWriters = 16;
  static constexpr int kItems = 20;

  StoreConformanceTest() : database_(GetParam().make()) {}

  static std::string DetailOf(const absl::Status& status, std::string_view name) {
    for (const auto& detail : DetailsOf(status)) {
      if (detail.first == name) return detail.second;
    }
    return "-";
  }

  // Adds the items of one writer to a store of its transaction.
  static absl::Status AddItems(catalog::OpenStore& store, int writer) {
    std::vector<WriteItem> items;
    for (int i = 0; i < kItems; ++i) {
      items.push_back({.key = int64_t{i} * kWriters + writer, .value = "v"});
    }
    return OrderedStore(store).Add(items, Require::kAll).status();
  }

  // Begins a transaction for each writer, lets all of them do `work`, and commits all at once.
  // Returns how many commits failed.
  template <typename Work>
  int RunWriters(Work work) {
    std::vector<std::unique_ptr<StoreSet>> transactions;
    for (int writer = 0; writer < kWriters; ++writer) {
      transactions.push_back(database_->Begin());
      const absl::Status worked = work(*transactions.back(), writer);
      EXPECT_TRUE(worked.ok()) << worked;
    }
    std::vector<absl::Status> statuses(kWriters);
    std::vector<std::thread> threads;
    for (size_t writer = 0; writer < kWriters; ++writer) {
      threads.emplace_back([this, writer, &transactions, &statuses] {
        statuses[writer] = database_->Commit(std::move(transactions[writer]));
      });
    }
    for (std::thread& thread : threads) thread.join();
    int failed = 0;
    for (const absl::Status& status : statuses) {
      if (!status.ok()) ++failed;
    }
    return failed;
  }

  // Every writer's items are there, in order.
  void ExpectAllItems() {
    auto stores = database_->Begin(txn::Mode::kReadOnly);
    OrderedStore words(**stores->Open("words"));
    EXPECT_EQ(*words.Count({}), static_cast<uint64_t>(kWriters * kItems));
    std::string expected;
    for (int i = 0; i < kWriters * kItems; ++i) expected += fmt::format("{} ", i);
    expected.pop_back();
    EXPECT_EQ(Listing(words, {.content = catalog::ItemContent::kKeys}), expected);
  }

  DatabaseUnderTest database_;
};

TEST_P(StoreConformanceTest, ConcurrentCreationsOfOneStoreAllSucceed) {
  const int failed = RunWriters([](StoreSet& stores, int writer) -> absl::Status {
    auto store = stores.Create("words", {});
    return store.ok() ? AddItems(**store, writer) : store.status();
  });
  EXPECT_EQ(failed, 0);
  ExpectAllItems();
  database_.Settle();
  database_.Reopen();
  ExpectAllItems();
}

TEST_P(StoreConformanceTest, ConcurrentFirstInsertsAllSucceed) {
  ASSERT_TRUE(database_->Create("words").ok());
  const int failed = RunWriters([](StoreSet& stores, int writer) -> absl::Status {
    return AddItems(**stores.Open("words"), writer);
  });
  EXPECT_EQ(failed, 0);
  ExpectAllItems();
}

TEST_P(StoreConformanceTest, ConcurrentCreationsOfManyStoresAllSucceed) {
  const int failed = RunWriters([](StoreSet& stores, int writer) -> absl::Status {
    auto store = stores.Create(fmt::format("store {}", writer), {});
    return store.ok() ? AddItems(**store, writer) : store.status();
  });
  EXPECT_EQ(failed, 0);
  auto stores = database_->Begin();
  const auto entries = stores->List("", 100);
  ASSERT_EQ(entries->size(), static_cast<size_t>(kWriters));
  for (const auto& entry : *entries) {
    OrderedStore store(**stores->Open(entry->name));
    EXPECT_EQ(*store.Count({}), static_cast<uint64_t>(kItems)) << entry->name;
  }
}

TEST_P(StoreConformanceTest, OneOfTwoSchemasIsDecided) {
  ASSERT_TRUE(database_->Create("words").ok());
  const int failed = RunWriters([](StoreSet& stores, int writer) -> absl::Status {
    WriteItem item;
    if (writer % 2 == 0) {
      item.key = int64_t{writer};
    } else {
      item.key = btree::Scalar(fmt::format("{}", writer));
    }
    return OrderedStore(**stores.Open("words")).Add({&item, 1}, Require::kAll).status();
  });
  EXPECT_EQ(failed, kWriters / 2);
  auto stores = database_->Begin();
  OrderedStore words(**stores->Open("words"));
  EXPECT_EQ(*words.Count({}), static_cast<uint64_t>(kWriters / 2));
}

TEST_P(StoreConformanceTest, RemovedStoreAbortsWritersAndServesOlderReaders) {
  ASSERT_TRUE(database_->Create("words").ok());
  for (int64_t key = 0; key < 100; ++key) {
    ASSERT_TRUE(database_->Put("words", key, std::string(2000, 'v')).ok());
  }
  auto reader = database_->Begin(txn::Mode::kReadOnly);
  auto writer = database_->Begin();
  ASSERT_TRUE(AddItems(**writer->Open("words"), 1000).ok());
  auto remover = database_->Begin();
  ASSERT_TRUE(remover->Remove("words").ok());
  ASSERT_TRUE(database_->Commit(std::move(remover)).ok());
  const absl::Status status = database_->Commit(std::move(writer));
  EXPECT_EQ(ReasonOf(status), Reason::kStoreRemoved) << status;
  EXPECT_EQ(DetailOf(status, "store"), "words");
  ASSERT_TRUE(database_->Create("words").ok());
  ASSERT_TRUE(database_->Put("words", std::string("another"), "v").ok());
  database_.Settle();
  OrderedStore before(**reader->Open("words"));
  EXPECT_EQ(*before.Count({}), 100u);
  EXPECT_EQ(ValueOf(before, int64_t{57}), std::string(2000, 'v'));
  auto stores = database_->Begin();
  OrderedStore after(**stores->Open("words"));
  EXPECT_EQ(Listing(after), "another=v");
}

TEST_P(StoreConformanceTest, OneOfManyConflictingUpdatesWinsAndTheOthersAreToldWhy) {
  ASSERT_TRUE(database_->Create("accounts").ok());
  ASSERT_TRUE(database_->Put("accounts", std::string("savings"), "0").ok());
  std::vector<std::unique_ptr<StoreSet>> transactions;
  for (int i = 0; i < kWriters; ++i) {
    transactions.push_back(database_->Begin());
    OrderedStore accounts(**transactions.back()->Open("accounts"));
    EXPECT_EQ(ValueOf(accounts, std::string("savings")), "0");
    const std::string value = fmt::format("{}", i + 1);
    const WriteItem item{.key = std::string("savings"), .value = value};
    EXPECT_EQ(Letters(accounts.Update({&item, 1}, Require::kAll)), "U");
  }
  int won = 0;
  for (auto& transaction : transactions) {
    const absl::Status status = database_->Commit(std::move(transaction));
    if (status.ok()) {
      ++won;
      continue;
    }
    EXPECT_EQ(ReasonOf(status), Reason::kConflict);
    EXPECT_EQ(DetailOf(status, "store"), "accounts");
    EXPECT_EQ(DetailOf(status, "key"), "savings");
  }
  EXPECT_EQ(won, 1);
}

TEST_P(StoreConformanceTest, UpdatesThatReadNoValueDoNotConflict) {
  ASSERT_TRUE(database_->Create("words").ok());
  ASSERT_TRUE(database_->Put("words", int64_t{1}, "0").ok());
  const int failed = RunWriters([](StoreSet& stores, int writer) -> absl::Status {
    const std::string value = fmt::format("{}", writer);
    const WriteItem item{.key = int64_t{1}, .value = value};
    return OrderedStore(**stores.Open("words")).Update({&item, 1}, Require::kAll).status();
  });
  EXPECT_EQ(failed, 0);
}

TEST_P(StoreConformanceTest, InsertionBehindAScannedRangeDoesNotConflict) {
  ASSERT_TRUE(database_->Create("words").ok());
  ASSERT_TRUE(database_->Put("words", int64_t{1}, "v").ok());
  ASSERT_TRUE(database_->Put("words", int64_t{100}, "v").ok());
  for (const int64_t inserted : {int64_t{50}, int64_t{5}}) {
    auto scanner = database_->Begin();
    OrderedStore words(**scanner->Open("words"));
    const btree::KeyBound to{int64_t{10}};
    EXPECT_EQ(Listing(words, {.range = *words.schema()->EncodeRange(std::nullopt, to)}), "1=v");
    const WriteItem item{.key = inserted + 1000, .value = "v"};
    EXPECT_EQ(Letters(words.Add({&item, 1}, Require::kAll)), "A");
    ASSERT_TRUE(database_->Put("words", inserted, "v").ok());
    const absl::Status status = database_->Commit(std::move(scanner));
    EXPECT_EQ(status.ok(), inserted > 10) << status;
  }
}

INSTANTIATE_TEST_SUITE_P(Storages, StoreConformanceTest,
                         testing::Values(Kind{"Memory", MemoryUnderTest},
                                         Kind{"RocksDb", RocksDbUnderTest}),
                         [](const auto& info) { return std::string(info.param.name); });

}  // namespace
}  // namespace sop::conformance
