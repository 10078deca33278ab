#include "clients/cli/session/table.h"

#include <gtest/gtest.h>

namespace sop::cli {
namespace {

TEST(TableTest, ColumnsAreAsWideAsTheirWidestCell) {
  Table table;
  table.Add({{"key", "a"}, {"items", 5}});
  table.Add({{"key", "größer"}, {"items", 12345}});
  EXPECT_EQ(table.Take(),
            "key     items\n"
            "------  -----\n"
            "a           5\n"
            "größer  12345\n");
  EXPECT_TRUE(table.empty());
}

TEST(TableTest, MembersOfObjectsAreColumnsAndMissingOnesAreEmpty) {
  Table table;
  table.Add({{"key", {{"country", "PT"}, {"rank", 1}}}, {"text", "x"}});
  table.Add({{"key", {{"country", "ES"}}}, {"value", Json::array({1, 2})}});
  EXPECT_EQ(table.Take(),
            "key.country  key.rank  text  value\n"
            "-----------  --------  ----  -----\n"
            "PT                  1  x\n"
            "ES                           [1,2]\n");
}

TEST(TableTest, LongCellsAreCutBetweenCharactersAndLineEndsAreEscaped) {
  Table table;
  std::string text;
  for (int i = 0; i < 100; ++i) text += "ä";
  table.Add({{"a", text}});
  table.Add({{"a", "two\nlines"}});
  const std::string lines = table.Take();
  std::string cut;
  for (size_t i = 0; i + 1 < Table::kMaxCellWidth; ++i) cut += "ä";
  EXPECT_NE(lines.find("\n" + cut + "…\n"), std::string::npos) << lines;
  EXPECT_NE(lines.find("two\\nlines\n"), std::string::npos) << lines;
}

}  // namespace
}  // namespace sop::cli
