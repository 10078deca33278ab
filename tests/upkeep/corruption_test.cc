#include <map>
#include <set>

#include <gmock/gmock.h>

#include "core/base/random.h"
#include "core/txn/test_seed.h"
#include "tests/upkeep/upkeep_fixture_test.h"

namespace sop {
namespace {

using catalog::TestDatabase;
using ::testing::IsEmpty;

// Three stores, one with values outside its nodes, over several tables, blob files and a log;
// `before` is a valid earlier state of every file.
class CorruptionTest : public UpkeepTest {
 protected:
  static constexpr int kItems = 3000;

  CorruptionTest() {
    {
      TestDatabase database(OpenStorage().value());
      for (const char* name : {"a", "b", "values"}) EXPECT_TRUE(database.Create(name).ok());
      for (int i = 0; i < kItems; i += 500) FillAll(database, i, i + 500, "first");
    }
    OpenStorage().value()->Compact().IgnoreError();
    std::filesystem::copy(folder_, scratch_ + "/before", std::filesystem::copy_options::recursive);
    {
      TestDatabase database(OpenStorage().value());
      FillAll(database, 100, 700, "second");
    }
    OpenStorage().value()->Compact().IgnoreError();
    {
      TestDatabase database(OpenStorage().value());
      FillAll(database, 600, 900, "third");
    }
    std::filesystem::copy(folder_, scratch_ + "/sound", std::filesystem::copy_options::recursive);
  }

  static void FillAll(TestDatabase& database, int first, int last, std::string_view value) {
    Fill(database, "a", first, last, value);
    Fill(database, "b", first, last, value);
    const std::string long_value = std::string(3000, 'v') + std::string(value);
    Fill(database, "values", first / 10, last / 10, long_value);
  }

  void Mend() {
    std::filesystem::remove_all(folder_);
    std::filesystem::copy(scratch_ + "/sound", folder_, std::filesystem::copy_options::recursive);
  }

  // Whether a check says that something is wrong. One that cannot be done says so too.
  bool Found() {
    const auto report = Check(folder_);
    return !report.ok() || !report->sound();
  }
};

TEST_F(CorruptionTest, SoundFoldersAreSound) {
  const auto report = Check(folder_);
  ASSERT_TRUE(report.ok()) << report.status();
  EXPECT_TRUE(report->sound()) << check::ToText(*report);
  EXPECT_EQ(report->items, 2U * kItems + kItems / 10 + 3);
  const auto again = Check(folder_);  // looking at it has changed nothing
  EXPECT_TRUE(again.ok() && again->sound());
}

TEST_F(CorruptionTest, EveryKindOfDamageToEveryFileIsFound) {
  const uint64_t seed = txn::TestSeed(31);
  SCOPED_TRACE(fmt::format("seed {}", seed));
  base::SeededRandom random(seed);
  std::vector<std::string> missed;
  for (const std::string& name : Files()) {
    const std::string path = folder_ + "/" + name;
    const std::string bytes = ReadFile(path);
    if (bytes.empty()) continue;
    std::map<std::string, std::string> damages;
    for (int i = 0; i < 2; ++i) {
      std::string& flipped = damages[fmt::format("bit flip {}", i)] = bytes;
      flipped[random.Next64() % bytes.size()] ^= static_cast<char>(1 << (random.Next64() % 8));
    }
    std::string& zeroed = damages["zeroed page"] = bytes;
    const size_t page = random.Next64() % bytes.size() / 4096 * 4096;
    std::fill(zeroed.begin() + static_cast<ptrdiff_t>(page),
              zeroed.begin() + static_cast<ptrdiff_t>(std::min(page + 4096, bytes.size())), '\0');
    damages["truncation"] = bytes.substr(0, random.Next64() % bytes.size());
    damages["last byte"] = bytes.substr(0, bytes.size() - 1);
    for (const auto& [damage, damaged] : damages) {
      if (damaged == bytes) continue;
      WriteFile(path, damaged);
      if (!Found()) missed.push_back(fmt::format("{} of {}", damage, name));
      Mend();
    }
    std::filesystem::remove(path);
    if (!Found()) missed.push_back("deletion of " + name);
    Mend();
  }
  EXPECT_THAT(missed, IsEmpty());
}

TEST_F(CorruptionTest, SwappedFilesAndOlderCopiesAreFound) {
  std::vector<std::string> missed;
  const std::vector<std::string> names = Files();
  for (const std::string& name : names) {
    const std::string bytes = ReadFile(folder_ + "/" + name);
    for (const std::string& other : names) {
      const bool same_kind =
          std::filesystem::path(name).extension() == std::filesystem::path(other).extension();
      const std::string swapped = ReadFile(folder_ + "/" + other);
      if (other <= name || !same_kind || swapped == bytes) continue;
      WriteFile(folder_ + "/" + name, swapped);
      WriteFile(folder_ + "/" + other, bytes);
      if (!Found()) missed.push_back(fmt::format("{} and {} swapped", name, other));
      Mend();
    }
    const std::string older = ReadFile(scratch_ + "/before/" + name);
    if (older.empty() || older == bytes) continue;
    WriteFile(folder_ + "/" + name, older);
    if (!Found()) missed.push_back("older copy of " + name);
    Mend();
  }
  // An older file under the number of a present one of its kind.
  for (const auto& entry : std::filesystem::directory_iterator(scratch_ + "/before/db")) {
    for (const std::string& name : names) {
      const std::string older = ReadFile(entry.path().string());
      if (entry.path().extension() != std::filesystem::path(name).extension() ||
          entry.path().extension().empty() || older == ReadFile(folder_ + "/" + name)) {
        continue;
      }
      WriteFile(folder_ + "/" + name, older);
      if (!Found()) missed.push_back(fmt::format("{} in place of {}", entry.path().string(), name));
      Mend();
    }
  }
  EXPECT_THAT(missed, IsEmpty());
}

}  // namespace
}  // namespace sop
