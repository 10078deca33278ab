// Folders of every released storage format, as that release wrote them: opened, read, written and
// opened again. SOP_WRITE_GOLDEN=FOLDER with --gtest_also_run_disabled_tests writes them anew,
// which is right only before a release.

#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <iterator>

#include <fmt/format.h>
#include <gtest/gtest.h>

#include "core/base/error.h"
#include "storage/rocksdb/database_format.h"
#include "tests/faults/database_on_disk.h"
#include "tests/faults/engine_on_disk.h"

namespace sop::faults {
namespace {

using model_disk::Disk;
using model_disk::DiskFiles;
using model_disk::DiskState;
using Content = DatabaseOnDisk::Content;

// What the release wrote. Never changes for a released format.
Content Words() {
  Content content;
  for (int i = 0; i < 400; ++i) {
    if (i % 7 == 3) continue;  // removed again
    content[fmt::format("word {:03}", i)] = fmt::format("{} of {}", i % 5 == 0 ? 2 : 1, i);
  }
  return content;
}

Content Whales() {
  Content content;
  for (int i = 0; i < 9; ++i) {
    const size_t size = i % 2 == 0 ? 700 : 5000;  // in the node; in a blob file
    content[fmt::format("whale {}", i)] = std::string(size, static_cast<char>('a' + i));
  }
  return content;
}

Content Late() { return {{"late", "in the log"}, {"", "an empty key"}, {"ü", "two bytes"}}; }

absl::Status WriteAll(DatabaseOnDisk& database) {
  Content first;
  for (int i = 0; i < 400; ++i) first[fmt::format("word {:03}", i)] = fmt::format("1 of {}", i);
  if (auto put = database.Put("words", first); !put.ok()) return put;
  if (auto put = database.Put("removed", first); !put.ok()) return put;
  if (auto put = database.Put("whales", Whales()); !put.ok()) return put;
  if (auto compacted = database.Compact(); !compacted.ok()) return compacted;
  Content again;
  std::vector<std::string> gone;
  for (int i = 0; i < 400; ++i) {
    const std::string key = fmt::format("word {:03}", i);
    if (i % 7 == 3) {
      gone.push_back(key);
    } else if (i % 5 == 0) {
      again[key] = fmt::format("2 of {}", i);
    }
  }
  if (auto put = database.Put("words", again); !put.ok()) return put;
  if (auto removed = database.Remove("words", gone); !removed.ok()) return removed;
  if (auto removed = database.RemoveStore("removed"); !removed.ok()) return removed;
  return database.Put("late", Late());
}

void Export(const DiskState& state, const std::string& folder) {
  std::filesystem::remove_all(folder);
  const std::string root = std::string(kDatabasePath) + "/";
  for (const std::string& path : state.Files()) {
    if (!path.starts_with(root) || path.ends_with("LOCK")) continue;
    const std::filesystem::path target = folder + "/" + path.substr(root.size());
    std::filesystem::create_directories(target.parent_path());
    std::ofstream(target, std::ios::binary) << state.file(state.Find(path)->file).bytes;
  }
}

DiskState Import(const std::filesystem::path& folder) {
  Disk disk;
  EXPECT_TRUE(DiskFiles(disk).MakeFolders(fmt::format("{}/db", kDatabasePath)).ok());
  DiskState state = disk.state();
  for (const auto& entry : std::filesystem::recursive_directory_iterator(folder)) {
    if (!entry.is_regular_file()) continue;
    std::ifstream file(entry.path(), std::ios::binary);
    std::string bytes((std::istreambuf_iterator<char>(file)), std::istreambuf_iterator<char>());
    const std::string name = std::filesystem::relative(entry.path(), folder).string();
    state.Overwrite(fmt::format("{}/{}", kDatabasePath, name), std::move(bytes));
  }
  return state;
}

std::vector<std::filesystem::path> GoldenFolders() {
  std::vector<std::filesystem::path> folders;
  for (const auto& format : std::filesystem::directory_iterator(SOP_GOLDEN_FOLDER)) {
    for (const auto& folder : std::filesystem::directory_iterator(format)) {
      folders.push_back(folder.path());
    }
  }
  return folders;
}

void ExpectContent(DatabaseOnDisk& database) {
  const std::pair<std::string_view, Content> stores[] = {
      {"words", Words()}, {"whales", Whales()}, {"late", Late()}};
  for (const auto& [name, expected] : stores) {
    const auto content = database.Read(name);
    ASSERT_TRUE(content.ok()) << content.status();
    EXPECT_EQ(*content, expected) << name;
  }
  EXPECT_EQ(ReasonOf(database.Read("removed").status()), Reason::kStoreNotFound);
  const auto report = database.Check();
  ASSERT_TRUE(report.ok()) << report.status();
  EXPECT_TRUE(report->sound()) << check::ToText(*report);
}

void WriteFolders(const std::string& folder) {
  Disk disk;
  auto opened = DatabaseOnDisk::Open(disk);
  ASSERT_TRUE(opened.ok()) << opened.status();
  const absl::Status written = WriteAll(**opened);
  ASSERT_TRUE(written.ok()) << written;
  Export(disk.state(), fmt::format("{}/killed", folder));
  opened->reset();
  Export(disk.state(), fmt::format("{}/closed", folder));
}

TEST(GoldenTest, EveryReleasedFormatIsOpenedReadWrittenAndOpenedAgain) {
  if (const char* folder = std::getenv("SOP_WRITE_GOLDEN")) WriteFolders(folder);
  const std::vector<std::filesystem::path> folders = GoldenFolders();
  ASSERT_GE(folders.size(), 2U);
  for (const auto& folder : folders) {
    SCOPED_TRACE("plan: " + folder.string());
    Disk disk(Import(folder));
    for (const bool first : {true, false}) {
      auto opened = DatabaseOnDisk::Open(disk);
      ASSERT_TRUE(opened.ok()) << opened.status();
      ExpectContent(**opened);
      if (!first) continue;
      ASSERT_TRUE((*opened)->Put("words", {{"word 003", "back"}}).ok());
      ASSERT_TRUE((*opened)->Compact().ok());
      ASSERT_TRUE((*opened)->Remove("words", {"word 003"}).ok());
    }
  }
  fmt::print("counter golden_folders {}\n", folders.size());
}

TEST(GoldenTest, UnknownFlagIsRefusedByName) {
  for (const auto& folder : GoldenFolders()) {
    SCOPED_TRACE("plan: " + folder.string());
    DiskState state = Import(folder);
    const std::string path = fmt::format("{}/SOP-FORMAT", kDatabasePath);
    const std::string bytes = state.file(state.Find(path)->file).bytes;
    auto format = rocksdb_storage::DecodeFormat(path, bytes);
    ASSERT_TRUE(format.ok()) << format.status();
    format->flags.push_back({"time-travel", "9.9.0"});
    state.Overwrite(path, rocksdb_storage::EncodeFormat(*format));
    Disk disk(state);
    const absl::Status refused = DatabaseOnDisk::Open(disk).status();
    EXPECT_EQ(ReasonOf(refused), Reason::kFormatNotSupported);
    EXPECT_NE(refused.message().find("time-travel"), std::string::npos) << refused;
    EXPECT_NE(refused.message().find("9.9.0"), std::string::npos) << refused;
    // Nothing was touched: with the flag gone it opens.
    DiskState left = disk.state();
    left.Overwrite(path, bytes);
    Disk again(left);
    auto opened = DatabaseOnDisk::Open(again);
    ASSERT_TRUE(opened.ok()) << opened.status();
    ExpectContent(**opened);
  }
}

}  // namespace
}  // namespace sop::faults
