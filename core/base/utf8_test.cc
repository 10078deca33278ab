#include "core/base/utf8.h"

#include <cstdint>
#include <string>
#include <vector>

#include <gtest/gtest.h>

namespace sop::base {
namespace {

std::string EncodePoint(uint32_t point) {
  std::string out;
  if (point < 0x80) {
    out.push_back(static_cast<char>(point));
  } else if (point < 0x800) {
    out.push_back(static_cast<char>(0xc0 | (point >> 6)));
    out.push_back(static_cast<char>(0x80 | (point & 0x3f)));
  } else if (point < 0x10000) {
    out.push_back(static_cast<char>(0xe0 | (point >> 12)));
    out.push_back(static_cast<char>(0x80 | ((point >> 6) & 0x3f)));
    out.push_back(static_cast<char>(0x80 | (point & 0x3f)));
  } else {
    out.push_back(static_cast<char>(0xf0 | (point >> 18)));
    out.push_back(static_cast<char>(0x80 | ((point >> 12) & 0x3f)));
    out.push_back(static_cast<char>(0x80 | ((point >> 6) & 0x3f)));
    out.push_back(static_cast<char>(0x80 | (point & 0x3f)));
  }
  return out;
}

TEST(Utf8Test, AcceptsEveryCodePointButSurrogates) {
  for (uint32_t point = 0; point < 0x110000; ++point) {
    const bool surrogate = point >= 0xd800 && point < 0xe000;
    ASSERT_EQ(IsValidUtf8(EncodePoint(point)), !surrogate) << point;
  }
  EXPECT_FALSE(IsValidUtf8(EncodePoint(0x110000)));
}

TEST(Utf8Test, CountsExactlyTheWellFormedTwoByteStrings) {
  int valid = 0;
  for (int a = 0; a < 256; ++a) {
    for (int b = 0; b < 256; ++b) {
      const char text[] = {static_cast<char>(a), static_cast<char>(b)};
      valid += IsValidUtf8({text, 2}) ? 1 : 0;
    }
  }
  // Two ASCII characters, or one of the 1920 code points of two bytes.
  EXPECT_EQ(valid, 128 * 128 + 1920);
}

TEST(Utf8Test, FindsBadBytesAfterLongAsciiAndAtTheEnd) {
  for (size_t length = 0; length < 40; ++length) {
    const std::string ascii(length, 'x');
    EXPECT_TRUE(IsValidUtf8(ascii));
    EXPECT_TRUE(IsValidUtf8(ascii + "\xf0\x9f\x98\x80"));
    EXPECT_FALSE(IsValidUtf8(ascii + "\xff" + ascii));
    EXPECT_FALSE(IsValidUtf8(ascii + "\xf0\x9f\x98"));
    EXPECT_FALSE(IsValidUtf8(ascii + "\xc3"));
    EXPECT_FALSE(IsValidUtf8(ascii + "\xe2\x82x"));
    EXPECT_FALSE(IsValidUtf8(ascii + "\xc0\x80"));
  }
}

TEST(Utf8CheckerTest, AgreesWithTheWholeHoweverItIsCut) {
  const std::string valid = "a\u00e9\u20ac\U0001f600z";
  std::vector<std::string> texts = {
      valid,      "",      "\xc3",         "\xe2\x82",         "\xf0\x9f\x98",
      "\x80",     "a\xff", "\xed\xa0\x80", "\xf4\x90\x80\x80", "\xc3(",
      "\xe2\x82("};
  for (size_t i = 0; i < valid.size(); ++i) {
    for (const char byte : {'\x80', '\xff', 'x', '\xe2'}) {
      texts.push_back(valid);
      texts.back()[i] = byte;
    }
  }
  for (const std::string& text : texts) {
    for (size_t first = 0; first <= text.size(); ++first) {
      for (size_t second = first; second <= text.size(); ++second) {
        Utf8Checker checker;
        const std::string_view view = text;
        const bool taken = checker.Add(view.substr(0, first)) &&
                           checker.Add(view.substr(first, second - first)) &&
                           checker.Add(view.substr(second));
        EXPECT_EQ(taken && checker.AtEnd(), IsValidUtf8(text)) << text << " " << first << second;
      }
    }
  }
}

}  // namespace
}  // namespace sop::base
