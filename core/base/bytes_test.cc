#include "core/base/bytes.h"

#include <gtest/gtest.h>

#include <cstdint>
#include <limits>
#include <string>
#include <string_view>
#include <vector>

#include "core/base/random.h"

namespace sop::base {
namespace {

TEST(FixedWidthTest, StoresLeastSignificantByteFirst) {
  char buffer[8];
  StoreLittle32(buffer, 0x01020304);
  EXPECT_EQ(std::string(buffer, 4), std::string("\x04\x03\x02\x01"));
  StoreLittle16(buffer, 0x0102);
  EXPECT_EQ(std::string(buffer, 2), std::string("\x02\x01"));
  StoreBig64(buffer, 0x0102030405060708);
  EXPECT_EQ(std::string(buffer, 8), std::string("\x01\x02\x03\x04\x05\x06\x07\x08"));
}

TEST(FixedWidthTest, LoadsWhatWasAppendedAtAnyAlignment) {
  SeededRandom random(1);
  for (int round = 0; round < 1000; ++round) {
    const uint64_t v = random.Next64();
    std::string bytes(round % 8, 'x');
    const size_t start = bytes.size();
    AppendLittle64(&bytes, v);
    AppendBigEndian64(&bytes, v);
    AppendLittle32(&bytes, static_cast<uint32_t>(v));
    AppendBigEndian32(&bytes, static_cast<uint32_t>(v));
    const char* p = bytes.data() + start;
    EXPECT_EQ(LoadLittle64(p), v);
    EXPECT_EQ(LoadBig64(p + 8), v);
    EXPECT_EQ(LoadLittle32(p + 16), static_cast<uint32_t>(v));
    EXPECT_EQ(LoadBig32(p + 20), static_cast<uint32_t>(v));
  }
}

TEST(VarintTest, EncodesTheDocumentedExamples) {
  std::string bytes;
  AppendVarint(&bytes, 0);
  AppendVarint(&bytes, 127);
  AppendVarint(&bytes, 128);
  AppendVarint(&bytes, 300);
  EXPECT_EQ(Hex(bytes), "007f8001ac02");
}

TEST(VarintTest, RoundTripsEveryWidthAndKnowsItsSize) {
  for (int bits = 0; bits <= 64; ++bits) {
    for (const int64_t step : {-1, 0, 1}) {
      const uint64_t v = (bits == 64 ? 0 : uint64_t{1} << bits) + static_cast<uint64_t>(step);
      std::string bytes;
      AppendVarint(&bytes, v);
      EXPECT_EQ(static_cast<int>(bytes.size()), VarintSize(v)) << v;
      ByteReader reader(bytes);
      uint64_t back = 0;
      ASSERT_TRUE(reader.GetVarint(&back)) << v;
      EXPECT_EQ(back, v);
      EXPECT_TRUE(reader.empty());
    }
  }
}

TEST(VarintTest, SignedKeepsSmallNegativesShort) {
  for (const int64_t v :
       {int64_t{0}, int64_t{-1}, int64_t{1}, int64_t{-64}, int64_t{63},
        std::numeric_limits<int64_t>::min(), std::numeric_limits<int64_t>::max()}) {
    std::string bytes;
    AppendSignedVarint(&bytes, v);
    if (v >= -64 && v < 64) EXPECT_EQ(bytes.size(), 1u) << v;
    ByteReader reader(bytes);
    int64_t back = 0;
    ASSERT_TRUE(reader.GetSignedVarint(&back));
    EXPECT_EQ(back, v);
  }
}

TEST(VarintTest, RefusesMoreThan64BitsAndUnterminated) {
  uint64_t v;
  ByteReader eleven_bytes("\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01");
  EXPECT_FALSE(eleven_bytes.GetVarint(&v));
  ByteReader high_bits("\xff\xff\xff\xff\xff\xff\xff\xff\xff\x02");
  EXPECT_FALSE(high_bits.GetVarint(&v));
  ByteReader cut("\x80");
  EXPECT_FALSE(cut.GetVarint(&v));
  EXPECT_TRUE(cut.failed());
}

TEST(ByteReaderTest, ReadsInOrder) {
  std::string bytes("\x07", 1);
  AppendLittle32(&bytes, 5);
  AppendLittle64(&bytes, 6);
  AppendBigEndian64(&bytes, 7);
  AppendLengthPrefixed(&bytes, "abc");
  AppendLengthPrefixed(&bytes, "");
  bytes += "rest";
  ByteReader reader(bytes);
  uint8_t byte = 0;
  uint32_t four = 0;
  uint64_t eight = 0;
  std::string_view text = "unset";
  EXPECT_TRUE(reader.GetByte(&byte));
  EXPECT_EQ(byte, 7);
  EXPECT_TRUE(reader.GetLittle32(&four));
  EXPECT_EQ(four, 5u);
  EXPECT_TRUE(reader.GetLittle64(&eight));
  EXPECT_EQ(eight, 6u);
  EXPECT_TRUE(reader.GetBig64(&eight));
  EXPECT_EQ(eight, 7u);
  EXPECT_TRUE(reader.GetLengthPrefixed(&text));
  EXPECT_EQ(text, "abc");
  EXPECT_TRUE(reader.GetLengthPrefixed(&text));
  EXPECT_EQ(text, "");
  EXPECT_EQ(reader.rest(), "rest");
  EXPECT_TRUE(reader.GetBytes(4, &text));
  EXPECT_TRUE(reader.empty());
  EXPECT_FALSE(reader.failed());
}

TEST(ByteReaderTest, AFailedReaderKeepsFailing) {
  ByteReader reader("ab");
  uint32_t four = 0;
  uint8_t byte = 0;
  EXPECT_FALSE(reader.GetLittle32(&four));
  EXPECT_FALSE(reader.GetByte(&byte));
  EXPECT_TRUE(reader.failed());
}

TEST(ByteReaderTest, RefusesALengthBeyondTheEnd) {
  std::string bytes;
  AppendVarint(&bytes, std::numeric_limits<uint64_t>::max());
  bytes += "abc";
  ByteReader reader(bytes);
  std::string_view text;
  EXPECT_FALSE(reader.GetLengthPrefixed(&text));
}

TEST(ByteReaderTest, NeverReadsPastRandomBytes) {
  constexpr uint64_t kSeed = 20;
  SeededRandom random(kSeed);
  for (int round = 0; round < 5000; ++round) {
    // On the heap and of exact size, so that AddressSanitizer sees a read past the end.
    std::vector<char> bytes(random.Next64() % 24);
    for (char& c : bytes) c = static_cast<char>(random.Next64());
    ByteReader reader({bytes.data(), bytes.size()});
    size_t left = bytes.size();
    while (!reader.empty()) {
      uint64_t v;
      std::string_view text;
      const bool read =
          random.Next64() % 2 == 0 ? reader.GetVarint(&v) : reader.GetLengthPrefixed(&text);
      EXPECT_EQ(read, !reader.failed()) << "seed " << kSeed;
      EXPECT_LT(reader.rest().size(), left) << "seed " << kSeed;
      left = reader.rest().size();
    }
  }
}

TEST(PrintableTest, EscapesAndCuts) {
  EXPECT_EQ(Printable("plain text"), "plain text");
  EXPECT_EQ(Printable(std::string_view("a\0b\n\xff\\", 6)), "a\\x00b\\x0a\\xff\\x5c");
  EXPECT_EQ(Printable(std::string(64, 'a')), std::string(64, 'a'));
  EXPECT_EQ(Printable(std::string(65, 'a')), std::string(64, 'a') + "...");
}

TEST(HexTest, TwoDigitsPerByte) {
  EXPECT_EQ(Hex(std::string_view("\x00\x7f\xff", 3)), "007fff");
  EXPECT_EQ(Hex(""), "");
}

TEST(CommonPrefixTest, CountsEqualLeadingBytes) {
  EXPECT_EQ(CommonPrefix("", "abc"), 0u);
  EXPECT_EQ(CommonPrefix("abc", "abd"), 2u);
  EXPECT_EQ(CommonPrefix("abc", "abcdef"), 3u);
  EXPECT_EQ(CommonPrefix("abcdef", "abc"), 3u);
  EXPECT_EQ(CommonPrefix("xbc", "abc"), 0u);
}

}  // namespace
}  // namespace sop::base
