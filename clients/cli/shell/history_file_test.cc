#include "clients/cli/shell/history_file.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cstdlib>
#include <filesystem>
#include <fstream>

namespace sop::cli {
namespace {

using testing::ElementsAre;
using testing::IsEmpty;

class HistoryFileTest : public testing::Test {
 protected:
  HistoryFileTest() {
    std::string folder = testing::TempDir() + "/history-XXXXXX";
    EXPECT_NE(mkdtemp(folder.data()), nullptr);
    folder_ = folder;
    path_ = folder + "/sop/history";
  }
  ~HistoryFileTest() override { std::filesystem::remove_all(folder_); }

  mode_t Mode() const {
    struct stat status {};
    EXPECT_EQ(stat(path_.c_str(), &status), 0);
    return status.st_mode & 0777;
  }

  std::string folder_;
  std::string path_;
};

TEST_F(HistoryFileTest, CommandsComeBackAsTheyWereTyped) {
  const HistoryFile history(path_);
  EXPECT_THAT(history.Load(), IsEmpty());
  history.Append("put s k 'two\nlines'");
  history.Append("\\tx begin");
  HistoryFile(path_).Append("put s k a\\nb");
  EXPECT_THAT(history.Load(), ElementsAre("put s k 'two\nlines'", "\\tx begin", "put s k a\\nb"));
}

TEST_F(HistoryFileTest, OnlyItsOwnerMayReadIt) {
  std::filesystem::create_directories(folder_ + "/sop");
  std::ofstream(path_) << "ping\n";
  chmod(path_.c_str(), 0644);
  const HistoryFile history(path_);
  history.Append("get s k");
  EXPECT_EQ(Mode(), 0600u);
  std::filesystem::remove_all(folder_ + "/sop");
  history.Append("get s k");
  EXPECT_EQ(Mode(), 0600u);
}

TEST_F(HistoryFileTest, WhatBeginsWithASpaceIsNotKept) {
  const HistoryFile history(path_);
  history.Append(" put s k secret");
  EXPECT_FALSE(std::filesystem::exists(path_));
}

TEST_F(HistoryFileTest, ItIsShortenedWhenItHasGrownToTwiceWhatIsKept) {
  const HistoryFile history(path_);
  for (size_t i = 0; i < 2 * HistoryFile::kKept; ++i) history.Append("get s " + std::to_string(i));
  const std::vector<std::string> commands = history.Load();
  ASSERT_EQ(commands.size(), HistoryFile::kKept);
  EXPECT_EQ(commands.front(), "get s 1000");
  EXPECT_EQ(commands.back(), "get s 1999");
  std::ifstream file(path_);
  size_t lines = 0;
  for (std::string line; std::getline(file, line);) ++lines;
  EXPECT_EQ(lines, HistoryFile::kKept);
  EXPECT_EQ(Mode(), 0600u);
}

TEST_F(HistoryFileTest, WithoutAPlaceNothingIsKept) {
  const HistoryFile history("");
  history.Append("get s k");
  EXPECT_THAT(history.Load(), IsEmpty());
}

}  // namespace
}  // namespace sop::cli
