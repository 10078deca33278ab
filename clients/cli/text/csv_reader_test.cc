#include "clients/cli/text/csv_reader.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <random>
#include <sstream>
#include <string>
#include <vector>

namespace sop::cli {
namespace {

using testing::ElementsAre;

// Every row as "line|field|field", a malformed one as "line!complaint".
std::vector<std::string> ReadAll(const std::string& text, CsvDialect dialect = {}) {
  std::istringstream stream(text);
  LineReader lines(stream);
  CsvReader reader(lines, dialect);
  std::vector<std::string> rows;
  std::vector<std::string> fields;
  RowOutcome outcome = RowOutcome::kRow;
  while ((outcome = reader.Next(&fields)) != RowOutcome::kEnd) {
    std::string row = std::to_string(reader.line());
    if (outcome == RowOutcome::kMalformed) {
      row += "!" + reader.complaint();
    } else {
      for (const std::string& field : fields) {
        row += "|" + field;
      }
    }
    rows.push_back(row);
  }
  return rows;
}

TEST(CsvReaderTest, SplitsPlainFieldsAndKeepsEmptyOnes) {
  EXPECT_THAT(ReadAll("a,b,c\n,,\nlast,1,"), ElementsAre("1|a|b|c", "2|||", "3|last|1|"));
}

TEST(CsvReaderTest, QuotedFieldsHoldSeparatorsQuotesAndLineEnds) {
  EXPECT_THAT(ReadAll("\"a,b\",\"say \"\"hi\"\"\",\"two\nlines\"\nnext,,\n"),
              ElementsAre("1|a,b|say \"hi\"|two\nlines", "3|next||"));
}

TEST(CsvReaderTest, CarriageReturnsEndLinesAndStayInsideQuotes) {
  EXPECT_THAT(ReadAll("a,b\r\n\"x\r\ny\",z\r\n"), ElementsAre("1|a|b", "2|x\r\ny|z"));
}

TEST(CsvReaderTest, EmptyLinesAndAByteOrderMarkArePassedOver) {
  EXPECT_THAT(ReadAll("\xef\xbb\xbfname\n\n\nvalue\n"), ElementsAre("1|name", "4|value"));
}

TEST(CsvReaderTest, EmptyQuotedFieldIsAnEmptyField) {
  EXPECT_THAT(ReadAll("\"\",\"\"\n\"\"\n"), ElementsAre("1||", "2|"));
}

TEST(CsvReaderTest, AnySeparatorMayBeChosenAndQuotesSwitchedOff) {
  EXPECT_THAT(ReadAll("0041;LATIN CAPITAL LETTER A;Lu\n", {';', '"'}),
              ElementsAre("1|0041|LATIN CAPITAL LETTER A|Lu"));
  EXPECT_THAT(ReadAll("5\" disk\t\"loose\n", {'\t', std::nullopt}),
              ElementsAre("1|5\" disk|\"loose"));
}

TEST(CsvReaderTest, MalformedRowsAreNamedByTheirFirstLineAndReadingGoesOnBehindIt) {
  EXPECT_THAT(
      ReadAll("a,b\nc\"c,d\n\"e\"x,f\n\"g,h\ni,j\n"),
      ElementsAre("1|a|b", "2!a quote inside a field that is not quoted",
                  "3!text behind a closing quote", "4!a quote that is never closed", "5|i|j"));
}

TEST(CsvReaderTest, UnclosedQuoteInALongFileIsFoundWithoutReadingAllOfIt) {
  std::string text = "\"never closed\n";
  const std::string line = std::string(1023, 'x') + "\n";
  for (int i = 0; i < 6 * 1024; ++i) {
    text += line;
  }
  const std::vector<std::string> rows = ReadAll(text);
  ASSERT_EQ(rows.size(), 1u + 6 * 1024);
  EXPECT_EQ(rows[0], "1!a quote that is never closed");
  EXPECT_EQ(rows[1], "2|" + line.substr(0, 1023));
}

TEST(CsvReaderTest, OneLineMustBeOneRow) {
  EXPECT_EQ(SplitCsvLine("Lu,65", {}), (std::vector<std::string>{"Lu", "65"}));
  EXPECT_EQ(SplitCsvLine("", {}), (std::vector<std::string>{""}));
  EXPECT_EQ(SplitCsvLine("a\nb", {}), std::nullopt);
  EXPECT_EQ(SplitCsvLine("\"a", {}), std::nullopt);
}

TEST(CsvReaderTest, WhatIsQuotedReadsBackAsItWas) {
  constexpr uint32_t kSeed = 20'261'120;
  SCOPED_TRACE("seed " + std::to_string(kSeed));
  std::mt19937 random(kSeed);
  const std::string alphabet = "ab,;\"\n\r ";
  for (int round = 0; round < 2000; ++round) {
    std::vector<std::string> fields(1 + random() % 4);
    std::string line;
    for (std::string& field : fields) {
      for (size_t size = random() % 6; size > 0; --size) {
        field += alphabet[random() % alphabet.size()];
      }
      line += (&field == fields.data() ? "" : ",") + QuotedCsvField(field, {});
    }
    if (line.empty()) {
      continue;  // an empty line is no row
    }
    std::istringstream stream(line + "\n");
    LineReader lines(stream);
    CsvReader reader(lines, {});
    std::vector<std::string> read;
    ASSERT_EQ(reader.Next(&read), RowOutcome::kRow) << testing::PrintToString(line);
    ASSERT_EQ(read, fields) << testing::PrintToString(line);
  }
}

}  // namespace
}  // namespace sop::cli
