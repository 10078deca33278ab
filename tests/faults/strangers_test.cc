// Files in a database's folder that nobody knows. SOP_SEED replays a run's choices, SOP_CASES sets
// how many folders there are.

#include <set>

#include <fmt/format.h>
#include <gtest/gtest.h>

#include "core/base/bytes.h"
#include "core/base/random.h"
#include "tests/crash/workload.h"
#include "tests/faults/engine_on_disk.h"
#include "tests/faults/recorded_load.h"

namespace sop::faults {
namespace {

using model_disk::Disk;
using model_disk::DiskFiles;
using model_disk::DiskState;

// Names that something else could have left, and how they are to be taken.
struct Leftover {
  const char* name;  // {} becomes a number
  bool is_stranger;  // else ours or RocksDB's, interrupted: may be removed
};
constexpr Leftover kLeftovers[] = {
    {"notes {}.txt", true},          {".nfs0000{}", true},
    {"SOP-FORMAT~{}", true},         {"sop-format", true},
    {"lost+found/{}", true},         {"core.{}", true},
    {"db/readme {}", true},          {"db/{}.sst.bak", true},
    {"db/.DS_Store", true},          {"db/copy of {}.sst", true},
    {"db/CURRENT{}.bak", false},     {"SOP-FORMAT.unfinished", false},
    {"SOP-SEAL.unfinished", false},  {"db/9{}.sst", false},
    {"db/9{}.dbtmp", false},         {"db/LOG.old.{}", false},
    {"db/OPTIONS-9{}.dbtmp", false}, {"spill/{}", false},
    {"db/MANIFEST-9{}", false},      {"db/9{}.blob", false},
};

class StrangersTest : public ::testing::Test {
 protected:
  uint64_t Below(uint64_t bound) { return random_.Next64() % bound; }

  std::string Bytes() {
    std::string bytes(Below(200), '\0');
    for (char& byte : bytes) byte = static_cast<char>(random_.Next64());
    return bytes;
  }

  const uint64_t seed_ = NumberFrom("SOP_SEED", 1);
  base::SeededRandom random_{seed_};
};

TEST_F(StrangersTest, AlwaysStartsReportsStrangersAndLeavesThemAlone) {
  const uint64_t cases = NumberFrom("SOP_CASES", 20);
  uint64_t files = 0;
  Disk made;
  LoadResult result;
  {
    auto opened = EngineOnDisk::Open(made);
    ASSERT_TRUE(opened.ok()) << opened.status();
    ASSERT_TRUE(crash::MakeAccounts((*opened)->engine()).ok());
    CommitPlans(**opened, made, {seed_, 1, 12}, &result);
  }
  for (uint64_t i = 0; i < cases && !HasFailure(); ++i) {
    // A folder that is there, or one that is to become a database.
    const bool fresh = Below(4) == 0;
    Disk disk(fresh ? DiskState() : made.state());
    DiskFiles on_disk(disk);
    ASSERT_TRUE(on_disk.MakeFolders(fmt::format("{}/{}", kDatabasePath, "db")).ok());
    std::map<std::string, std::string> strangers;
    std::string plan =
        fmt::format("plan: SOP_SEED={}, folder {}{}:", seed_, i, fresh ? ", fresh" : "");
    for (uint64_t count = 1 + Below(8); count > 0; --count) {
      const Leftover& leftover = kLeftovers[Below(std::size(kLeftovers))];
      const std::string name = fmt::format(fmt::runtime(leftover.name), 100 + Below(900));
      const std::string path = fmt::format("{}/{}", kDatabasePath, name);
      ASSERT_TRUE(on_disk.MakeFolders(model_disk::ParentOf(path)).ok());
      const std::string bytes = Bytes();
      ASSERT_TRUE(on_disk.WriteDurably(path, bytes).ok());
      plan += fmt::format(" '{}'", name);
      ++files;
      if (leftover.is_stranger) strangers[name] = bytes;
    }
    SCOPED_TRACE(plan);
    std::string reported;
    auto opened = EngineOnDisk::Open(
        disk, {.report = [&](std::string_view line) { reported.append(line).append("\n"); }});
    ASSERT_TRUE(opened.ok()) << opened.status();
    if (!fresh) EXPECT_EQ(CheckPrefix(**opened, seed_, result.commits), "");
    ASSERT_TRUE(crash::TurnTide((*opened)->engine()).ok());
    ASSERT_TRUE((*opened)->storage().Compact().ok());
    opened->reset();
    for (const auto& [name, bytes] : strangers) {
      const auto node = disk.Find(fmt::format("{}/{}", kDatabasePath, name));
      ASSERT_TRUE(node.has_value()) << name << " was deleted";
      EXPECT_EQ(disk.state().file(node->file).bytes, bytes);
      const std::string shown = name.substr(0, name.find('/', name.starts_with("db/") ? 3 : 0));
      EXPECT_NE(reported.find(base::Printable(shown)), std::string::npos) << name << "\n"
                                                                          << reported;
    }
  }
  fmt::print("counter folders {}\ncounter leftover_files {}\n", cases, files);
}

}  // namespace
}  // namespace sop::faults
