#include "clients/cli/text/line_reader.h"

#include <gtest/gtest.h>

#include <random>
#include <sstream>
#include <string>
#include <vector>

namespace sop::cli {
namespace {

std::vector<LineReader::Line> All(LineReader& reader) {
  std::vector<LineReader::Line> lines;
  for (LineReader::Line line; reader.Next(&line);) lines.push_back(line);
  return lines;
}

TEST(LineReaderTest, LinesHaveNumbersPositionsAndTheirEnds) {
  std::istringstream stream(
      "\xef\xbb\xbf"
      "a\r\n\nlast");
  LineReader reader(stream);
  const auto lines = All(reader);
  ASSERT_EQ(lines.size(), 3u);
  EXPECT_EQ(lines[0].text, "a");
  EXPECT_TRUE(lines[0].carriage_return);
  EXPECT_EQ(lines[1].text, "");
  EXPECT_EQ(lines[1].position, 6u);
  EXPECT_EQ(lines[2].text, "last");
  EXPECT_EQ(lines[2].number, 3u);
  EXPECT_FALSE(lines[2].carriage_return);
  EXPECT_EQ(reader.position(), 11u);
  EXPECT_EQ(reader.lines_passed(), 3u);
}

TEST(LineReaderTest, ALineThatIsGivenBackIsTheNextOneAgain) {
  std::istringstream stream("a\nb\n");
  LineReader reader(stream);
  LineReader::Line line;
  ASSERT_TRUE(reader.Next(&line));
  reader.Return(line);
  EXPECT_EQ(reader.position(), 0u);
  EXPECT_EQ(reader.lines_passed(), 0u);
  EXPECT_EQ(All(reader).size(), 2u);
  EXPECT_EQ(reader.position(), 4u);
}

// Against std::getline, over blocks of any cut and from any line.
TEST(LineReaderTest, LongAndShortLinesAreReadFromAnyOfThem) {
  std::mt19937 random(7);
  std::string text;
  for (int i = 0; i < 300; ++i) {
    const size_t size = i % 50 == 0 ? 700'000 : random() % 300;
    text.append(size, static_cast<char>('a' + i % 26));
    text.push_back('\n');
  }
  std::istringstream whole(text);
  std::vector<std::string> expected;
  for (std::string line; std::getline(whole, line);) expected.push_back(line);
  std::istringstream stream(text);
  LineReader reader(stream);
  const auto lines = All(reader);
  ASSERT_EQ(lines.size(), expected.size());
  for (size_t i = 0; i < lines.size(); ++i) ASSERT_EQ(lines[i].text, expected[i]) << i;
  for (const size_t from : {0u, 49u, 51u, 299u}) {
    reader.GoTo(lines[from].position, from);
    LineReader::Line line;
    ASSERT_TRUE(reader.Next(&line));
    EXPECT_EQ(line.number, from + 1);
    EXPECT_EQ(line.text, expected[from]);
  }
}

}  // namespace
}  // namespace sop::cli
