#include "clients/cli/text/word_splitter.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace sop::cli {
namespace {

using testing::ElementsAre;
using testing::IsEmpty;

std::vector<std::string> Words(std::string_view text) {
  const auto words = SplitWords(text);
  EXPECT_TRUE(words.ok()) << text << ": " << words.status();
  return words.ok() ? *words : std::vector<std::string>();
}

TEST(WordSplitterTest, WordsEndAtWhiteSpaceOutsideOfQuotesAndBrackets) {
  EXPECT_THAT(Words(" put s\tk 'a b' \n"), ElementsAre("put", "s", "k", "a b"));
  EXPECT_THAT(Words("put s {\"a\": [1, \"} ]\"]} x"),
              ElementsAre("put", "s", "{\"a\": [1, \"} ]\"]}", "x"));
  EXPECT_THAT(Words("a\"b c\"'d e'f"), ElementsAre("ab cd ef"));
  EXPECT_THAT(Words("\"say \\\"so\\\"\" ''"), ElementsAre("say \"so\"", ""));
  EXPECT_THAT(Words("{\n \"a\": 1\n}"), ElementsAre("{\n \"a\": 1\n}"));
}

TEST(WordSplitterTest, ACommentBeginsOnlyWhereAWordDoes) {
  EXPECT_THAT(Words("get s a#b # all of it"), ElementsAre("get", "s", "a#b"));
  EXPECT_THAT(Words("# nothing 'here"), IsEmpty());
}

TEST(WordSplitterTest, WhatIsNeverClosedIsAnError) {
  for (const char* text : {"'a", "put \"a\\\"", "{\"a\": 1", "[1, \"]\"", "a'"}) {
    EXPECT_FALSE(SplitWords(text).ok()) << text;
  }
}

}  // namespace
}  // namespace sop::cli
