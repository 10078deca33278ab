#include "core/base/file_system.h"

#include <unistd.h>

#include <filesystem>

#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "core/base/error.h"

namespace sop::base {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;

class FileSystemTest : public ::testing::Test {
 protected:
  FileSystemTest() {
    const auto* test = ::testing::UnitTest::GetInstance()->current_test_info();
    folder_ =
        fmt::format("{}/sop_file_system_{}_{}", std::filesystem::temp_directory_path().string(),
                    test->name(), ::getpid());
    EXPECT_TRUE(files_.MakeFolders(folder_).ok());
  }
  ~FileSystemTest() override { EXPECT_TRUE(files_.RemoveRecursively(folder_).ok()); }

  std::string Path(std::string_view name) const { return fmt::format("{}/{}", folder_, name); }

  std::string Contents(std::string_view name) {
    auto file = files_.OpenForRead(Path(name));
    if (!file.ok()) return file.status().ToString();
    return (*file)->ReadAt(0, (*file)->Size().value()).value();
  }

  FileSystem& files_ = SystemFileSystem();
  std::string folder_;
};

TEST_F(FileSystemTest, AppendedBytesAreRead) {
  {
    auto file = files_.OpenForAppend(Path("a"));
    ASSERT_TRUE(file.ok()) << file.status();
    EXPECT_TRUE((*file)->Append("hello ").ok());
    EXPECT_TRUE((*file)->Append("world").ok());
    EXPECT_TRUE((*file)->Sync().ok());
  }
  EXPECT_EQ(Contents("a"), "hello world");
  auto file = files_.OpenForRead(Path("a"));
  ASSERT_TRUE(file.ok());
  EXPECT_EQ((*file)->ReadAt(6, 5).value(), "world");
  EXPECT_EQ((*file)->ReadAt(11, 0).value(), "");
  EXPECT_EQ((*file)->ReadAt(6, 6).status().code(), absl::StatusCode::kOutOfRange);
  EXPECT_EQ((*file)->ReadAt(~uint64_t{0}, 6).status().code(), absl::StatusCode::kOutOfRange);
  EXPECT_EQ((*file)->ReadAt(0, ~size_t{0}).status().code(), absl::StatusCode::kOutOfRange);
}

TEST_F(FileSystemTest, OpenForAppendTruncates) {
  ASSERT_TRUE(files_.WriteDurably(Path("a"), "before").ok());
  ASSERT_TRUE(files_.OpenForAppend(Path("a")).ok());
  EXPECT_EQ(Contents("a"), "");
}

TEST_F(FileSystemTest, WriteDurablyReplacesAndLeavesNothingElse) {
  EXPECT_TRUE(files_.WriteDurably(Path("a"), "first").ok());
  EXPECT_TRUE(files_.WriteDurably(Path("a"), "second").ok());
  EXPECT_EQ(Contents("a"), "second");
  EXPECT_THAT(files_.List(folder_).value(), ElementsAre("a"));
}

TEST_F(FileSystemTest, MissingFilesAreNotFoundAndNamed) {
  for (const absl::Status& status :
       {files_.OpenForRead(Path("none")).status(), files_.OpenForAppend(Path("none/a")).status(),
        files_.WriteDurably(Path("none/a"), ""), files_.Remove(Path("none")),
        files_.List(Path("none")).status(), files_.FreeBytes(Path("none")).status()}) {
    EXPECT_EQ(status.code(), absl::StatusCode::kNotFound) << status;
    EXPECT_THAT(std::string(status.message()), HasSubstr(Path("none")));
  }
}

TEST_F(FileSystemTest, MakeFoldersMakesParentsAndIsRepeatable) {
  EXPECT_TRUE(files_.MakeFolders(Path("x/y/z")).ok());
  EXPECT_TRUE(files_.MakeFolders(Path("x/y/z")).ok());
  EXPECT_TRUE(files_.Exists(Path("x/y/z")));
  ASSERT_TRUE(files_.WriteDurably(Path("file"), "").ok());
  EXPECT_EQ(ReasonOf(files_.MakeFolders(Path("file"))), Reason::kUnavailable);
  EXPECT_EQ(ReasonOf(files_.MakeFolders(Path("file/below"))), Reason::kUnavailable);
}

TEST_F(FileSystemTest, RemovesFilesAndFolders) {
  ASSERT_TRUE(files_.MakeFolders(Path("x/y")).ok());
  ASSERT_TRUE(files_.WriteDurably(Path("x/y/a"), "1").ok());
  EXPECT_TRUE(files_.Remove(Path("x/y/a")).ok());
  EXPECT_FALSE(files_.Exists(Path("x/y/a")));
  EXPECT_TRUE(files_.RemoveRecursively(Path("x")).ok());
  EXPECT_TRUE(files_.RemoveRecursively(Path("x")).ok());
  EXPECT_FALSE(files_.Exists(Path("x")));
}

TEST_F(FileSystemTest, LockNamesItsHolderAndIsFreedByDestruction) {
  auto lock = files_.Lock(Path("LOCK"));
  ASSERT_TRUE(lock.ok()) << lock.status();
  EXPECT_EQ(Contents("LOCK"), fmt::format("{}\n", ::getpid()));

  const absl::Status refused = files_.Lock(Path("LOCK")).status();
  EXPECT_EQ(ReasonOf(refused), Reason::kFolderInUse);
  EXPECT_THAT(std::string(refused.message()), HasSubstr(fmt::format("process {}", ::getpid())));

  lock->reset();
  EXPECT_TRUE(files_.Lock(Path("LOCK")).ok());
}

TEST_F(FileSystemTest, FreeBytesIsPositive) { EXPECT_GT(files_.FreeBytes(folder_).value(), 0U); }

}  // namespace
}  // namespace sop::base
