#include "clients/cli/shell/command_text.h"

#include <gtest/gtest.h>

namespace sop::cli {
namespace {

TEST(CommandTextTest, OneLineIsACommandUnlessSomethingIsOpen) {
  CommandText command;
  EXPECT_TRUE(command.Add("get s 'a key'"));
  command.Clear();
  EXPECT_TRUE(command.empty());
  EXPECT_TRUE(command.Add("get s k # it's a comment with \\"));
}

TEST(CommandTextTest, AnOpenQuoteOrBracketGoesOnWithALineEnd) {
  CommandText command;
  EXPECT_FALSE(command.Add("put s k 'two"));
  EXPECT_TRUE(command.Add("lines'"));
  EXPECT_EQ(command.text(), "put s k 'two\nlines'");
  command.Clear();
  EXPECT_FALSE(command.Add("put s k {"));
  EXPECT_FALSE(command.Add("  \"a\": [1,"));
  EXPECT_TRUE(command.Add("2]}"));
  EXPECT_EQ(command.text(), "put s k {\n  \"a\": [1,\n2]}");
}

TEST(CommandTextTest, ABackslashAtTheEndJoinsLines) {
  CommandText command;
  EXPECT_FALSE(command.Add("scan s \\"));
  EXPECT_TRUE(command.Add("--limit 1"));
  EXPECT_EQ(command.text(), "scan s --limit 1");
  command.Clear();
  EXPECT_TRUE(command.Add("put s k a\\\\")) << "two of them are a backslash";
}

TEST(CommandTextTest, ACarriageReturnIsPartOfTheLineEnd) {
  CommandText command;
  EXPECT_FALSE(command.Add("scan s \\\r"));
  EXPECT_TRUE(command.Add("--limit 1\r"));
  EXPECT_EQ(command.text(), "scan s --limit 1");
}

}  // namespace
}  // namespace sop::cli
