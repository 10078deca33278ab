#include "clients/cli/transfer/export_file.h"

#include <gtest/gtest.h>

#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <iterator>

namespace sop::cli {
namespace {

class ExportFileTest : public testing::Test {
 protected:
  ExportFileTest() {
    folder_ = testing::TempDir() + "/export-XXXXXX";
    EXPECT_NE(mkdtemp(folder_.data()), nullptr);
    path_ = folder_ + "/store.jsonl";
  }
  ~ExportFileTest() override { std::filesystem::remove_all(folder_); }

  static std::string ContentOf(const std::string& path) {
    std::ifstream stream(path, std::ios::binary);
    return {std::istreambuf_iterator<char>(stream), {}};
  }
  size_t Files() const {
    return static_cast<size_t>(std::distance(std::filesystem::directory_iterator(folder_), {}));
  }

  std::string folder_;
  std::string path_;
};

TEST_F(ExportFileTest, ItHasItsNameWhenItIsComplete) {
  auto file = ExportFile::Open(path_);
  ASSERT_TRUE(file.ok());
  ASSERT_TRUE((*file)->Write("a\n").ok());
  ASSERT_TRUE((*file)->SaveState({{"key", "a"}}).ok());
  EXPECT_FALSE(std::filesystem::exists(path_));
  ASSERT_TRUE((*file)->Close().ok());
  EXPECT_EQ(ContentOf(path_), "a\n");
  EXPECT_EQ(Files(), 1u);
  EXPECT_FALSE(ExportFile::FindUnfinished(path_));
}

TEST_F(ExportFileTest, WhatFollowsTheLastStateIsWrittenAgain) {
  {
    auto file = ExportFile::Open(path_);
    ASSERT_TRUE((*file)->Write("a\nb\n").ok());
    ASSERT_TRUE((*file)->SaveState({{"key", "b"}}).ok());
    ASSERT_TRUE((*file)->Write("c\nhalf of").ok());
  }
  const auto unfinished = ExportFile::FindUnfinished(path_);
  ASSERT_TRUE(unfinished);
  EXPECT_EQ(unfinished->state["key"], "b");
  auto file = ExportFile::Resume(path_, *unfinished);
  ASSERT_TRUE(file.ok()) << file.status();
  ASSERT_TRUE((*file)->Write("c\nd\n").ok());
  ASSERT_TRUE((*file)->Close().ok());
  EXPECT_EQ(ContentOf(path_), "a\nb\nc\nd\n");
}

TEST_F(ExportFileTest, AStateWithoutItsRowsIsNone) {
  {
    auto file = ExportFile::Open(path_);
    ASSERT_TRUE((*file)->Write("a\nb\n").ok());
    ASSERT_TRUE((*file)->SaveState({{"key", "b"}}).ok());
  }
  std::filesystem::resize_file(path_ + ".partial", 2);
  EXPECT_FALSE(ExportFile::FindUnfinished(path_));
  std::ofstream(path_ + ".partial.state") << "{";
  EXPECT_FALSE(ExportFile::FindUnfinished(path_));
}

TEST_F(ExportFileTest, AnotherExportForgetsTheStateOfTheOneBefore) {
  {
    auto file = ExportFile::Open(path_);
    ASSERT_TRUE((*file)->Write("a\n").ok());
    ASSERT_TRUE((*file)->SaveState({{"key", "a"}}).ok());
  }
  {
    auto file = ExportFile::Open(path_);
    ASSERT_TRUE((*file)->Write("other\n").ok());
  }
  EXPECT_FALSE(ExportFile::FindUnfinished(path_));
}

}  // namespace
}  // namespace sop::cli
