#include <gmock/gmock.h>

#include "core/base/random.h"
#include "tests/upkeep/upkeep_fixture_test.h"

namespace sop {
namespace {

using catalog::TestDatabase;

// Space of what was removed comes back, and not before its last reader has gone.
class ReclaimTest : public UpkeepTest {
 protected:
  static constexpr int kItems = 3000;

  ReclaimTest() {
    auto opened = OpenStorage().value();
    storage_ = opened.get();
    database_ = std::make_unique<TestDatabase>(std::move(opened));
    for (const char* name : {"goes", "stays"}) {
      EXPECT_TRUE(database_->Create(name).ok());
      FillWithNoise(name);
    }
    EXPECT_TRUE(storage_->Compact().ok());
  }

  void FillWithNoise(std::string_view store) {
    base::SeededRandom random(1);
    auto stores = database_->Begin();
    catalog::OrderedStore ordered(**stores->Open(store));
    for (int i = 0; i < kItems; ++i) {
      // Every other value is outside its node.
      std::string value(i % 2 == 0 ? 800 : 3000, '\0');
      for (char& c : value) c = static_cast<char>(random.Next64());
      const catalog::WriteItem item{.key = KeyOf(i), .value = value};
      ASSERT_TRUE(ordered.Upsert({&item, 1}).ok());
    }
    ASSERT_TRUE(database_->Commit(std::move(stores)).ok());
  }

  uint64_t DiskBytes() const {
    uint64_t bytes = 0;
    for (const auto& entry : std::filesystem::directory_iterator(folder_ + "/db")) {
      const auto extension = entry.path().extension();
      if (extension == ".sst" || extension == ".blob") bytes += entry.file_size();
    }
    return bytes;
  }
  void Remove(std::string_view store) {
    auto stores = database_->Begin();
    ASSERT_TRUE(stores->Remove(store).ok());
    ASSERT_TRUE(database_->Commit(std::move(stores)).ok());
  }

  rocksdb_storage::RocksDbStorage* storage_ = nullptr;
  std::unique_ptr<TestDatabase> database_;
};

TEST_F(ReclaimTest, RemovedStoreGivesItsSpaceBackOnceNoSnapshotSeesIt) {
  const uint64_t full = DiskBytes();
  auto reader = database_->Begin(txn::Mode::kReadOnly);
  ASSERT_TRUE(reader->Open("goes").ok());
  Remove("goes");
  EXPECT_EQ(storage_->Statistics().at("pending_trees_count"), 1U);
  ASSERT_TRUE(storage_->KeepHouse().ok());
  EXPECT_EQ(storage_->Statistics().at("pending_trees_count"), 1U);
  {
    catalog::OrderedStore ordered(**reader->Open("goes"));
    EXPECT_EQ(*ordered.Count(btree::KeyRange()), static_cast<uint64_t>(kItems));
  }
  EXPECT_GE(DiskBytes(), full);
  reader.reset();
  ASSERT_TRUE(storage_->KeepHouse().ok());
  EXPECT_EQ(storage_->Statistics().at("pending_trees_count"), 0U);
  EXPECT_EQ(storage_->Statistics().at("reclaimed_trees_count"), 1U);
  EXPECT_LT(DiskBytes(), full * 6 / 10);
  EXPECT_EQ(ReadStore(*database_, "stays")->size(), static_cast<size_t>(kItems));
}

TEST_F(ReclaimTest, WhatWasPendingIsReclaimedAfterARestart) {
  const uint64_t full = DiskBytes();
  Remove("goes");
  database_.reset();
  auto opened = OpenStorage().value();
  EXPECT_EQ(opened->Statistics().at("pending_trees_count"), 1U);
  ASSERT_TRUE(opened->KeepHouse().ok());
  EXPECT_LT(DiskBytes(), full * 6 / 10);
  opened.reset();
  EXPECT_EQ(OpenStorage().value()->Statistics().at("pending_trees_count"), 0U);
  const auto report = Check(folder_);
  EXPECT_TRUE(report.ok() && report->sound());
}

TEST_F(ReclaimTest, FreedValuesGiveTheirSpaceBack) {
  auto stores = database_->Begin();
  catalog::OrderedStore ordered(**stores->Open("goes"));
  for (int i = 0; i < kItems; ++i) {
    const catalog::WriteItem item{.key = KeyOf(i), .value = "short"};
    ASSERT_TRUE(ordered.Upsert({&item, 1}).ok());
  }
  const uint64_t before = storage_->Statistics().at("blob_files_bytes");
  ASSERT_TRUE(database_->Commit(std::move(stores)).ok());
  stores.reset();
  ASSERT_TRUE(storage_->KeepHouse().ok());
  EXPECT_LT(storage_->Statistics().at("blob_files_bytes"), before * 6 / 10);
  EXPECT_EQ(ReadStore(*database_, "stays")->size(), static_cast<size_t>(kItems));
  EXPECT_EQ(ReadStore(*database_, "goes")->size(), static_cast<size_t>(kItems));
}

TEST_F(ReclaimTest, AFreedLargeValueGivesItsSpaceBackAtOnceButToASnapshot) {
  const auto put = [this](std::string_view value) {
    auto stores = database_->Begin();
    catalog::OpenStore& store = **stores->Open("stays");
    const auto tree = stores->transaction().tree_id(store.tree(catalog::kItemsRole));
    catalog::WriteItem item{.key = KeyOf(0)};
    if (value.size() > persistence::kMaxWholeValueBytes) {
      auto staged = (**database_).engine().StageValue(tree.value()).value();
      EXPECT_TRUE(staged->Append(value).ok());
      EXPECT_TRUE(staged->Seal().ok());
      item.staged = std::move(staged);
    } else {
      item.value = value;
    }
    EXPECT_TRUE(catalog::OrderedStore(store).Upsert({&item, 1}).ok());
    EXPECT_TRUE(database_->Commit(std::move(stores)).ok());
  };
  std::string noise(16 << 20, '\0');
  base::SeededRandom random(1);
  for (char& byte : noise) byte = static_cast<char>(random.Next64());
  put("small");
  const uint64_t before = DiskBytes();
  put(noise);
  EXPECT_GE(DiskBytes(), before + noise.size());
  auto reader = database_->Begin(txn::Mode::kReadOnly);
  catalog::OrderedStore ordered(**reader->Open("stays"));
  put("small");
  ASSERT_TRUE(storage_->KeepHouse().ok());
  EXPECT_GE(DiskBytes(), before + noise.size());
  const auto value = ordered.FindValue(KeyOf(0), std::nullopt).value().value();
  for (uint64_t at = 0; at < value.size;) {
    const std::string part = ordered.ReadPart(value, at).value();
    ASSERT_TRUE(noise.compare(at, part.size(), part) == 0);
    at += part.size();
  }
  reader.reset();
  ASSERT_TRUE(storage_->KeepHouse().ok());
  EXPECT_LT(DiskBytes(), before + noise.size() / 4);
  database_.reset();
  const auto report = Check(folder_);
  EXPECT_TRUE(report.ok() && report->sound());
}

}  // namespace
}  // namespace sop
