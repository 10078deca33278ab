#include <map>

#include <gmock/gmock.h>

#include "core/base/status_macros.h"
#include "tests/upkeep/upkeep_fixture_test.h"

namespace sop {
namespace {

using catalog::TestDatabase;

std::string Detail(const absl::Status& status, std::string_view name) {
  for (const auto& [key, value] : DetailsOf(status)) {
    if (key == name) return value;
  }
  return "none";
}

// Three stores in one table of RocksDB, one block of which is then damaged.
class DamageTest : public UpkeepTest {
 protected:
  static constexpr int kItems = 20'000;
  static constexpr const char* kStores[] = {"a", "b", "c"};

  DamageTest() {
    {
      TestDatabase database(OpenStorage().value());
      for (const char* name : kStores) EXPECT_TRUE(database.Create(name).ok());
      for (const char* name : kStores) Fill(database, name, 0, kItems, std::string(100, *name));
    }
    EXPECT_TRUE(OpenStorage().value()->Compact().ok());
  }

  // Changes one byte in the middle of the largest table, where store "b" is.
  void DamageB() {
    std::string largest;
    uintmax_t size = 0;
    for (const std::string& name : Files()) {
      const std::string path = folder_ + "/" + name;
      if (!name.ends_with(".sst") || std::filesystem::file_size(path) < size) continue;
      size = std::filesystem::file_size(path);
      largest = path;
    }
    std::string bytes = ReadFile(largest);
    bytes[bytes.size() / 2] ^= 0x20;
    WriteFile(largest, bytes);
  }

  // Reads every item of a store.
  static absl::Status ReadAll(TestDatabase& database, std::string_view store) {
    auto stores = database.Begin(txn::Mode::kReadOnly);
    const auto read = [&]() -> absl::Status {
      SOP_ASSIGN_OR_RETURN(catalog::OpenStore * opened, stores->Open(store));
      catalog::OrderedStore ordered(*opened);
      SOP_ASSIGN_OR_RETURN(const auto scan, ordered.Scan({}));
      int items = 0;
      bool right = true;
      for (bool end = false; !end;) {
        SOP_ASSIGN_OR_RETURN(const auto page,
                             scan->Fill({.max_items = 1000}, [&](const btree::PackedItem& item) {
                               ++items;
                               right = right && item.value == std::string(100, store[0]);
                               return true;
                             }));
        end = page.end;
      }
      EXPECT_TRUE(right) << store;
      EXPECT_EQ(items, kItems) << store;
      return absl::OkStatus();
    };
    return stores->Explain(read());
  }

  static void ExpectOnlyBIsOffline(TestDatabase& database) {
    EXPECT_TRUE(ReadAll(database, "a").ok()) << ReadAll(database, "a");
    EXPECT_TRUE(ReadAll(database, "c").ok()) << ReadAll(database, "c");
    for (int i = 0; i < 2; ++i) {
      const absl::Status lost = ReadAll(database, "b");
      EXPECT_EQ(ReasonOf(lost), Reason::kDamaged) << lost;
      EXPECT_EQ(Detail(lost, "store"), "b");
    }
    // From then on it is off as a whole, for what could still be read as well.
    const absl::Status put = database.Put("b", KeyOf(0), "x");
    EXPECT_EQ(ReasonOf(put), Reason::kDamaged) << put;
    EXPECT_EQ(Detail(put, "store"), "b");
  }
};

TEST_F(DamageTest, DamagedBlockTakesItsStoreOfflineAndNoOther) {
  DamageB();
  TestDatabase database(OpenStorage().value());
  ExpectOnlyBIsOffline(database);
  for (int i = 0; i < 100; ++i) {
    ASSERT_TRUE(database.Put("a", KeyOf(i), std::string(100, 'a')).ok());
    ASSERT_TRUE(database.Put("c", KeyOf(i), std::string(100, 'c')).ok());
  }
  ExpectOnlyBIsOffline(database);
}

TEST_F(DamageTest, CompactionThatMeetsDamageStopsNoWrites) {
  DamageB();
  {
    auto opened = OpenStorage().value();
    auto& storage = *opened;
    TestDatabase database(std::move(opened));
    ASSERT_TRUE(database.Put("a", KeyOf(1), std::string(100, 'a')).ok());
    EXPECT_FALSE(storage.Compact().ok());
    for (int i = 0; i < 50; ++i) {
      ASSERT_TRUE(database.Put("c", KeyOf(i), std::string(100, 'c')).ok());
    }
    EXPECT_EQ(ReasonOf(storage.damage()), Reason::kDamaged);
    EXPECT_TRUE(storage.KeepHouse().ok());
    ExpectOnlyBIsOffline(database);
  }
  // Nor after the next start.
  TestDatabase database(OpenStorage().value());
  ASSERT_TRUE(database.Put("a", KeyOf(1), std::string(100, 'a')).ok());
  ExpectOnlyBIsOffline(database);
}

TEST_F(DamageTest, DamagedStoreCanBeRemovedAndMadeAnew) {
  DamageB();
  TestDatabase database(OpenStorage().value());
  EXPECT_EQ(ReasonOf(ReadAll(database, "b")), Reason::kDamaged);
  auto stores = database.Begin();
  ASSERT_TRUE(stores->Remove("b").ok());
  ASSERT_TRUE(database.Commit(std::move(stores)).ok());
  ASSERT_TRUE(database.Create("b").ok());
  Fill(database, "b", 0, kItems, std::string(100, 'b'));
  for (const char* name : kStores) EXPECT_TRUE(ReadAll(database, name).ok()) << name;
}

TEST_F(DamageTest, LostTableIsNotAnEmptyOne) {
  for (const std::string& name : Files()) {
    if (name.ends_with(".sst")) std::filesystem::remove(folder_ + "/" + name);
  }
  auto storage = OpenStorage();
  if (!storage.ok()) {
    EXPECT_EQ(ReasonOf(storage.status()), Reason::kDamaged);
    return;
  }
  TestDatabase database(*std::move(storage));
  for (const char* name : kStores) {
    EXPECT_EQ(ReasonOf(ReadAll(database, name)), Reason::kDamaged) << name;
  }
}

TEST_F(DamageTest, LogThatWasCutOrTurnedBackIsDamageAndNotACrash) {
  {
    TestDatabase database(OpenStorage().value());
    ASSERT_TRUE(database.Put("a", KeyOf(1), "later").ok());
  }
  for (const std::string& name : Files()) {
    if (!name.ends_with(".log") && !name.starts_with("db/MANIFEST")) continue;
    const std::string bytes = ReadFile(folder_ + "/" + name);
    if (bytes.empty()) continue;
    WriteFile(folder_ + "/" + name, bytes.substr(0, bytes.size() / 2));
    const auto refused = OpenStorage();
    EXPECT_EQ(ReasonOf(refused.status()), Reason::kDamaged) << name << refused.status();
    EXPECT_EQ(Detail(refused.status(), "file"), name);
    WriteFile(folder_ + "/" + name, bytes);
  }
  TestDatabase database(OpenStorage().value());
  EXPECT_TRUE(database.Put("a", KeyOf(1), std::string(100, 'a')).ok());
}

}  // namespace
}  // namespace sop
