#include "clients/cli/shell/completion.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cstdlib>
#include <filesystem>
#include <fstream>

namespace sop::cli {
namespace {

using testing::Contains;
using testing::ElementsAre;
using testing::IsEmpty;

// A program of some commands as `sop` has them.
class CompletionTest : public testing::Test {
 protected:
  CompletionTest() {
    program_.add_flag("--json", flag_, "");
    CLI::App* scan = program_.add_subcommand("scan", "");
    scan->add_option("STORE", text_, "");
    scan->add_option("--limit", number_, "");
    scan->add_flag("--reverse", flag_, "");
    program_.add_subcommand("shell", "");
    CLI::App* import = program_.add_subcommand("import", "");
    import->add_option("STORE", text_, "");
    import->add_option("FILE", text_, "");
    import->add_option("--format", text_, "")->check(CLI::IsMember({"csv", "jsonl"}));
    CLI::App* get = program_.add_subcommand("get", "");
    get->add_option("STORE", text_, "");
    get->add_option("KEY", texts_, "");
    CLI::App* store = program_.add_subcommand("store", "");
    store->add_subcommand("create", "")->add_option("NAME", text_, "");
    store->add_subcommand("info", "")->add_option("NAME", text_, "");
  }

  std::vector<std::string> Offered(std::string_view text) {
    return Complete(program_, text,
                    [this] {
                      ++asked_;
                      return stores_;
                    })
        .candidates;
  }

  CLI::App program_;
  bool flag_ = false;
  int number_ = 0;
  std::string text_;
  std::vector<std::string> texts_;
  std::vector<std::string> stores_ = {"cities", "citizens", "my store"};
  int asked_ = 0;
};

TEST_F(CompletionTest, CommandsAndTheirSubcommands) {
  EXPECT_THAT(Offered(""), ElementsAre("get", "import", "scan", "shell", "store"));
  EXPECT_THAT(Offered("s"), ElementsAre("scan", "shell", "store"));
  EXPECT_THAT(Offered("store "), ElementsAre("create", "info"));
  EXPECT_THAT(Offered("bogus s"), IsEmpty());
  EXPECT_EQ(asked_, 0);
}

TEST_F(CompletionTest, OptionsOfTheCommandAndOfEveryCommand) {
  EXPECT_THAT(Offered("scan --"), Contains("--limit"));
  EXPECT_THAT(Offered("scan --"), Contains("--json"));
  EXPECT_THAT(Offered("scan cities --r"), ElementsAre("--reverse"));
  EXPECT_THAT(Offered("import --format "), ElementsAre("csv", "jsonl"));
  EXPECT_THAT(Offered("import --format j"), ElementsAre("jsonl"));
}

TEST_F(CompletionTest, StoresWhereAStoreIsNamed) {
  EXPECT_THAT(Offered("scan ci"), ElementsAre("cities", "citizens"));
  EXPECT_THAT(Offered("--json scan --limit 5 ci"), ElementsAre("cities", "citizens"));
  EXPECT_THAT(Offered("scan cities "), IsEmpty());
  EXPECT_THAT(Offered("get cities c"), IsEmpty()) << "keys are not known";
  EXPECT_THAT(Offered("store info cit"), ElementsAre("cities", "citizens"));
  EXPECT_THAT(Offered("store create cit"), IsEmpty());
}

TEST_F(CompletionTest, WhatNeedsQuotesGetsThem) {
  EXPECT_THAT(Offered("scan my"), ElementsAre("'my store'"));
  EXPECT_THAT(Offered("scan 'my s"), ElementsAre("'my store'"));
  EXPECT_EQ(Complete(program_, "scan 'my s", [this] { return stores_; }).begin, 5u);
  stores_ = {"it's"};
  EXPECT_THAT(Offered("scan i"), ElementsAre("\"it's\""));
}

TEST_F(CompletionTest, CommandsOfTheShell) {
  EXPECT_THAT(Offered("\\t"), ElementsAre("\\table", "\\text", "\\tx"));
  EXPECT_THAT(Offered("\\tx "), ElementsAre("begin", "commit", "rollback"));
}

TEST_F(CompletionTest, NothingInsideOfJsonAndComments) {
  EXPECT_THAT(Offered("get cities {\"a\": s"), IsEmpty());
  EXPECT_THAT(Offered("scan # s"), IsEmpty());
}

TEST_F(CompletionTest, Files) {
  std::string folder = testing::TempDir() + "/completion-XXXXXX";
  ASSERT_NE(mkdtemp(folder.data()), nullptr);
  std::ofstream(folder + "/people.csv") << "a\n";
  std::filesystem::create_directory(folder + "/places");
  EXPECT_THAT(Offered("import cities " + folder + "/p"),
              ElementsAre(folder + "/people.csv", folder + "/places/"));
  std::filesystem::remove_all(folder);
}

TEST_F(CompletionTest, CandidatesShareTheirStart) {
  EXPECT_EQ((Completion{0, {"cities", "citizens"}}).SharedStart(), "citi");
  EXPECT_EQ((Completion{0, {"cities"}}).SharedStart(), "cities");
  EXPECT_EQ((Completion{0, {"größe", "grüße"}}).SharedStart(), "gr");
  EXPECT_EQ(Completion().SharedStart(), "");
}

}  // namespace
}  // namespace sop::cli
