#include <algorithm>

#include <gmock/gmock.h>

#include "core/base/random.h"
#include "core/txn/test_seed.h"
#include "tests/upkeep/upkeep_fixture_test.h"

namespace sop {
namespace {

using catalog::TestDatabase;
using ::testing::HasSubstr;

// The number behind "name": in a report.
uint64_t NumberOf(std::string_view report, std::string_view name) {
  const size_t at = report.find(fmt::format("\"{}\":", name));
  EXPECT_NE(at, std::string_view::npos) << name << " in " << report;
  return std::strtoull(report.data() + at + name.size() + 3, nullptr, 10);
}

class RepairTest : public UpkeepTest {
 protected:
  static constexpr int kItems = 4000;
  static constexpr const char* kStores[] = {"a", "b", "values"};

  RepairTest() {
    {
      TestDatabase database(OpenStorage().value());
      for (const char* name : kStores) EXPECT_TRUE(database.Create(name).ok());
      for (const char* name : kStores) {
        Fill(database, name, 0, kItems / 2, ValueOf(name));
        Fill(database, name, kItems / 2, kItems, ValueOf(name));
      }
    }
    EXPECT_TRUE(OpenStorage().value()->Compact().ok());
    {
      TestDatabase database(OpenStorage().value());
      Fill(database, "a", kItems, kItems + 10, ValueOf("a"));
    }
    std::filesystem::copy(folder_, scratch_ + "/sound", std::filesystem::copy_options::recursive);
  }

  static std::string ValueOf(std::string_view store) {
    return std::string(store == "values" ? 2000 : 60, store[0]);
  }
  static uint64_t CountOf(std::string_view store) { return kItems + (store == "a" ? 10 : 0); }

  void Mend() {
    std::filesystem::remove_all(folder_);
    std::filesystem::copy(scratch_ + "/sound", folder_, std::filesystem::copy_options::recursive);
  }

  // Repairs, and sees that the database is sound, has nothing wrong in it, and lacks exactly the
  // items that the report says are lost.
  void RepairAndCompare() {
    std::string report;
    const int code = Offline({"repair", folder_, "--json"}, &report);
    ASSERT_THAT(code, ::testing::AnyOf(0, 1)) << report;
    const auto after = Check(folder_);
    ASSERT_TRUE(after.ok()) << after.status();
    EXPECT_TRUE(after->sound()) << check::ToText(*after);
    uint64_t missing = 0;
    TestDatabase database(OpenStorage().value());
    for (const char* name : kStores) {
      const auto items = ReadStore(database, name);
      if (ReasonOf(items.status()) == Reason::kStoreNotFound) {
        missing += CountOf(name);
        continue;
      }
      ASSERT_TRUE(items.ok()) << items.status();
      missing += CountOf(name) - items->size();
      const std::string value = ValueOf(name);
      for (const auto& [key, found] : *items) ASSERT_EQ(found, value) << name;
      // It goes on as if nothing had been.
      Fill(database, name, 0, 50, value);
    }
    EXPECT_EQ(NumberOf(report, "lost_items"), missing) << report;
    EXPECT_EQ(code, missing == 0 && report.find("\"losses\":[]") != std::string::npos ? 0 : 1);
  }
};

TEST_F(RepairTest, SoundDatabaseIsLeftAlone) {
  std::string report;
  EXPECT_EQ(Offline({"check", folder_}, &report), 0) << report;
  EXPECT_EQ(Offline({"repair", folder_}, &report), 0) << report;
  EXPECT_THAT(report, HasSubstr("nothing to repair"));
  EXPECT_FALSE(std::filesystem::exists(folder_ + "/db.damaged-1"));
}

TEST_F(RepairTest, DamagedBlocksCostTheirItemsAndNothingElse) {
  const uint64_t seed = txn::TestSeed(7);
  SCOPED_TRACE(fmt::format("seed {}", seed));
  base::SeededRandom random(seed);
  std::vector<std::string> tables;
  for (const std::string& name : Files()) {
    // The small ones hold the engine's own rows, without which nobody knows the last commit.
    if (std::filesystem::file_size(folder_ + "/" + name) < 16'384) continue;
    if (name.ends_with(".sst") || name.ends_with(".blob")) tables.push_back(name);
  }
  for (int i = 0; i < 12; ++i) {
    const std::string& name = tables[random.Next64() % tables.size()];
    const std::string path = folder_ + "/" + name;
    std::string bytes = ReadFile(path);
    const size_t at = random.Next64() % bytes.size();
    SCOPED_TRACE(fmt::format("byte {} of {} of {}", at, bytes.size(), name));
    bytes[at] ^= 0x10;
    WriteFile(path, bytes);
    std::string found;
    EXPECT_EQ(Offline({"check", folder_, "--json"}, &found), 1) << found;
    RepairAndCompare();
    EXPECT_TRUE(std::filesystem::exists(folder_ + "/db.damaged-1"));
    Mend();
  }
}

TEST_F(RepairTest, LostFilesOfEveryKindLeaveASoundDatabase) {
  for (const std::string& name : Files()) {
    if (name == "SOP-SEAL") continue;
    SCOPED_TRACE(name);
    std::filesystem::remove(folder_ + "/" + name);
    std::string report;
    const int code = Offline({"repair", folder_, "--json"}, &report);
    EXPECT_NE(code, -1);
    if (code != 2) {
      const auto after = Check(folder_);
      EXPECT_TRUE(after.ok() && after->sound()) << report;
    }
    // Only where there is nothing to go by it may be beyond repair.
    if (code == 2) EXPECT_TRUE(name.ends_with(".sst")) << report;
    Mend();
  }
}

TEST_F(RepairTest, InterruptedExchangeIsCompleted) {
  std::filesystem::rename(folder_ + "/db", folder_ + "/db.repaired");
  EXPECT_EQ(ReasonOf(OpenStorage().status()), Reason::kDamaged);
  std::string report;
  EXPECT_EQ(Offline({"repair", folder_}, &report), 0) << report;
  TestDatabase database(OpenStorage().value());
  EXPECT_EQ(ReadStore(database, "a")->size(), CountOf("a"));
}

TEST_F(RepairTest, OtherFoldersCannotBeDone) {
  std::string report;
  EXPECT_EQ(Offline({"check", scratch_ + "/nothing"}, &report), 2);
  EXPECT_EQ(Offline({"repair", scratch_}, &report), 2);
  EXPECT_EQ(Offline({"upgrade", scratch_ + "/nothing"}, &report), 2);
  EXPECT_EQ(Offline({"upgrade", folder_}, &report), 0);
  EXPECT_THAT(report, HasSubstr("nothing to upgrade"));
  EXPECT_EQ(Offline({"check"}, &report), 2);
  EXPECT_EQ(Offline({"serve"}, &report), -1);
  const auto storage = OpenStorage().value();
  EXPECT_EQ(Offline({"check", folder_}, &report), 2) << "a server has it open";
}

}  // namespace
}  // namespace sop
