#include "storage/rocksdb/database_format.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "core/base/bytes.h"
#include "core/base/checksum.h"
#include "core/base/error.h"

namespace sop::rocksdb_storage {
namespace {

using ::testing::HasSubstr;

// The example of docs/formats/folder.md.
const DatabaseFormat kGolden{{0x01890a5dac96774b, 0xbcceb302099a8057}, {}, "sopd 0.1.0"};
constexpr std::string_view kGoldenHex =
    "534f50464f524d54"
    "01000000"
    "05302e312e30"
    "01890a5dac96774bbcceb302099a8057"
    "00"
    "0a736f706420302e312e30"
    "980bae2b3c4ecb4e";

std::string WithChecksum(std::string body) {
  base::AppendLittle64(&body, base::Checksum64(body));
  return body;
}

TEST(DatabaseFormatTest, GoldenBytes) {
  const std::string bytes = EncodeFormat(kGolden);
  EXPECT_EQ(base::Hex(bytes), kGoldenHex);
  EXPECT_EQ(DecodeFormat("f", bytes).value(), kGolden);
}

TEST(DatabaseFormatTest, UnknownFlagIsRefusedByNameAndRelease) {
  DatabaseFormat format = kGolden;
  format.flags = {{"ingested-values", "0.2.0"}};
  const std::string bytes = EncodeFormat(format);
  EXPECT_THAT(base::Hex(bytes), HasSubstr("010f" + base::Hex("ingested-values") + "05302e322e30"));
  const absl::Status status = DecodeFormat("/d/SOP-FORMAT", bytes).status();
  EXPECT_EQ(ReasonOf(status), Reason::kFormatNotSupported);
  EXPECT_THAT(std::string(status.message()), HasSubstr("/d/SOP-FORMAT"));
  EXPECT_THAT(std::string(status.message()), HasSubstr("\"ingested-values\""));
  EXPECT_THAT(std::string(status.message()), HasSubstr("release 0.2.0"));
}

TEST(DatabaseFormatTest, LaterVersionIsRefusedByItsRelease) {
  std::string body = "SOPFORMT";
  base::AppendLittle32(&body, 2);
  base::AppendLengthPrefixed(&body, "3.1.0");
  body += "whatever that version has here";
  const absl::Status status = DecodeFormat("f", WithChecksum(body)).status();
  EXPECT_EQ(ReasonOf(status), Reason::kFormatNotSupported);
  EXPECT_THAT(std::string(status.message()), HasSubstr("version 2"));
  EXPECT_THAT(std::string(status.message()), HasSubstr("release 3.1.0"));
}

TEST(DatabaseFormatTest, EveryFlippedBitAndEveryCutIsDamaged) {
  const std::string bytes = EncodeFormat(kGolden);
  for (size_t bit = 0; bit < bytes.size() * 8; ++bit) {
    std::string damaged = bytes;
    damaged[bit / 8] = static_cast<char>(damaged[bit / 8] ^ (1 << (bit % 8)));
    ASSERT_EQ(ReasonOf(DecodeFormat("f", damaged).status()), Reason::kDamaged) << bit;
  }
  for (size_t size = 0; size < bytes.size(); ++size) {
    ASSERT_EQ(ReasonOf(DecodeFormat("f", bytes.substr(0, size)).status()), Reason::kDamaged);
    // A body cut short under a checksum that agrees.
    const auto cut = DecodeFormat("f", WithChecksum(bytes.substr(0, size)));
    if (size != bytes.size() - 8) {
      ASSERT_EQ(ReasonOf(cut.status()), Reason::kDamaged) << size;
    }
  }
}

}  // namespace
}  // namespace sop::rocksdb_storage
