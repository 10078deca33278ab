#include "clients/cli/transfer/import_input.h"

#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>
#include <string>
#include <vector>

#include "clients/cli/session/failure.h"

namespace sop::cli {
namespace {

class ImportInputTest : public testing::Test {
 protected:
  void SetUp() override {
    const auto* test = testing::UnitTest::GetInstance()->current_test_info();
    folder_ = std::filesystem::path(testing::TempDir()) / (std::string("sop_") + test->name());
    std::filesystem::create_directories(folder_);
  }
  void TearDown() override { std::filesystem::remove_all(folder_); }

  InputFlags Written(const std::string& name, const std::string& content) {
    const std::string path = (folder_ / name).string();
    std::ofstream(path, std::ios::binary) << content;
    InputFlags flags;
    flags.path = path;
    return flags;
  }

  static InputFormat FormatOf(const InputFlags& flags) {
    const auto input = ImportInput::Open(Session(), flags);
    EXPECT_TRUE(input.ok()) << input.status();
    return input.ok() ? (*input)->format() : InputFormat::kExport;
  }

  std::filesystem::path folder_;
};

TEST_F(ImportInputTest, TheFormatIsToldFromNameFlagsAndFirstLine) {
  EXPECT_EQ(FormatOf(Written("a.csv", "id\n")), InputFormat::kCsv);
  EXPECT_EQ(FormatOf(Written("a.tsv", "id\n")), InputFormat::kCsv);
  EXPECT_EQ(FormatOf(Written("a.jsonl", "{}\n")), InputFormat::kJsonLines);
  EXPECT_EQ(FormatOf(Written("words", "apple\n")), InputFormat::kLines);
  EXPECT_EQ(FormatOf(Written("a.out", "{\"id\":1}\n")), InputFormat::kJsonLines);
  EXPECT_EQ(FormatOf(Written("b.jsonl", "{\"sop_export\":1}\n")), InputFormat::kExport);
  EXPECT_EQ(FormatOf(Written("empty", "")), InputFormat::kLines);
  InputFlags separated = Written("UnicodeData.txt", "0041;A\n");
  separated.separator = ";";
  EXPECT_EQ(FormatOf(separated), InputFormat::kCsv);
  InputFlags columns = Written("c.txt", "0041,A\n");
  columns.has_columns = true;
  EXPECT_EQ(FormatOf(columns), InputFormat::kCsv);
  InputFlags told = Written("d.csv", "word\n");
  told.format = "lines";
  EXPECT_EQ(FormatOf(told), InputFormat::kLines);
}

TEST_F(ImportInputTest, TheDialectIsToldFromNameAndFlags) {
  EXPECT_EQ((*ImportInput::Open(Session(), Written("a.tsv", "id\n")))->dialect().separator, '\t');
  InputFlags flags = Written("b.csv", "id\n");
  flags.separator = "\\t";
  flags.quote = "";
  const auto input = ImportInput::Open(Session(), flags);
  EXPECT_EQ((*input)->dialect().separator, '\t');
  EXPECT_EQ((*input)->dialect().quote, std::nullopt);
}

TEST_F(ImportInputTest, WhatCannotBeReadIsWrongUsage) {
  InputFlags missing;
  missing.path = (folder_ / "missing").string();
  InputFlags folder;
  folder.path = folder_.string();
  InputFlags separator = Written("a.csv", "id\n");
  separator.separator = ";;";
  InputFlags quote = Written("a.csv", "id\n");
  quote.quote = ",";
  for (const InputFlags& flags : {missing, folder, separator, quote}) {
    const auto input = ImportInput::Open(Session(), flags);
    ASSERT_FALSE(input.ok());
    EXPECT_EQ(DescribeFailure(input.status()).exit_code, kExitUsage) << input.status();
  }
}

TEST_F(ImportInputTest, TheInputCanBeReadTwice) {
  const auto input = ImportInput::Open(Session(), Written("words", "a\nb\n"));
  ASSERT_TRUE(input.ok());
  EXPECT_EQ((*input)->size_bytes(), 4u);
  EXPECT_EQ((*input)->first_line(), "a");
  for (int round = 0; round < 2; ++round) {
    std::istream& stream = (*input)->Rewind();
    const std::string content(std::istreambuf_iterator<char>(stream), {});
    EXPECT_EQ(content, "a\nb\n");
  }
}

}  // namespace
}  // namespace sop::cli
