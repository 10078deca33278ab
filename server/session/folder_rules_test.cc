#include "server/session/folder_rules.h"

#include <filesystem>

#include "core/base/error.h"
#include "fmt/format.h"
#include "gtest/gtest.h"

namespace sop::session {
namespace {

namespace fs = std::filesystem;

// A folder with a root in it, gone after the test.
class FolderRulesTest : public ::testing::Test {
 protected:
  void SetUp() override {
    std::string name = (fs::temp_directory_path() / "sop-folders-XXXXXX").string();
    ASSERT_NE(mkdtemp(name.data()), nullptr);
    base_ = fs::canonical(name).string();
    fs::create_directories(base_ + "/root/inside");
    fs::create_directories(base_ + "/outside");
    rules_.roots = {base_ + "/root"};
  }
  void TearDown() override { fs::remove_all(base_); }

  Reason Refusal(const std::string& given) {
    return ReasonOf(ResolveFolder(given, rules_).status());
  }

  std::string base_;
  FolderRules rules_;
};

TEST_F(FolderRulesTest, FoldersUnderARootAreResolved) {
  EXPECT_EQ(*ResolveFolder(base_ + "/root/inside", rules_), base_ + "/root/inside");
  EXPECT_EQ(*ResolveFolder(base_ + "/root/not/yet/there/", rules_), base_ + "/root/not/yet/there");
  EXPECT_EQ(*ResolveFolder(base_ + "/root/inside/../other", rules_), base_ + "/root/other");
}

TEST_F(FolderRulesTest, LinksAreIdentity) {
  fs::create_directory_symlink(base_ + "/root/inside", base_ + "/root/link");
  EXPECT_EQ(*ResolveFolder(base_ + "/root/link/db", rules_), base_ + "/root/inside/db");
}

TEST_F(FolderRulesTest, NothingOutsideTheRootsIsAllowed) {
  EXPECT_EQ(Refusal(base_ + "/outside"), Reason::kFolderNotAllowed);
  EXPECT_EQ(Refusal(base_ + "/root"), Reason::kFolderNotAllowed);
  EXPECT_EQ(Refusal(base_ + "/rooted"), Reason::kFolderNotAllowed);
  EXPECT_EQ(Refusal(base_ + "/root/../outside"), Reason::kFolderNotAllowed);
  EXPECT_EQ(Refusal(base_ + "/root/not-there/../../outside"), Reason::kFolderNotAllowed);
  fs::create_directory_symlink(base_ + "/outside", base_ + "/root/escape");
  EXPECT_EQ(Refusal(base_ + "/root/escape/db"), Reason::kFolderNotAllowed);
  rules_.roots.clear();
  EXPECT_EQ(Refusal(base_ + "/root/inside"), Reason::kFolderNotAllowed);
}

TEST_F(FolderRulesTest, PathsThatAreNoneAreInvalid) {
  EXPECT_EQ(Refusal(""), Reason::kInvalidArgument);
  EXPECT_EQ(Refusal("relative/path"), Reason::kInvalidArgument);
  EXPECT_EQ(Refusal(base_ + "/root/a" + std::string(1, '\0') + "b"), Reason::kInvalidArgument);
}

TEST(FoldersOverlapTest, ComparesWholeParts) {
  EXPECT_TRUE(FoldersOverlap("/a/b", "/a/b"));
  EXPECT_TRUE(FoldersOverlap("/a/b/c", "/a/b"));
  EXPECT_TRUE(FoldersOverlap("/a", "/a/b"));
  EXPECT_FALSE(FoldersOverlap("/a/bc", "/a/b"));
}

}  // namespace
}  // namespace sop::session
