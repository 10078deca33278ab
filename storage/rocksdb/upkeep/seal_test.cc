#include "storage/rocksdb/upkeep/seal.h"

#include <gtest/gtest.h>

#include "core/base/bytes.h"
#include "core/base/error.h"

namespace sop::rocksdb_storage {
namespace {

Seal Example() {
  Seal seal;
  seal.state = Seal::State::kClosed;
  seal.files = {{"000004.log", 300, 0x0102030405060708}, {"000009.sst", 4096, std::nullopt}};
  return seal;
}

TEST(SealTest, BytesAreThoseOfTheFormatPage) {
  const std::string bytes = EncodeSeal(Example());
  EXPECT_EQ(base::Hex(bytes.substr(0, bytes.size() - 8)),
            "534f505345414c31"            // SOPSEAL1
            "0102"                        // closed, two files
            "0a3030303030342e6c6f67ac02"  // 000004.log, 300 bytes
            "010807060504030201"
            "0a3030303030392e737374802000");  // 000009.sst, 4096 bytes, no checksum
  EXPECT_EQ(*DecodeSeal("seal", bytes), Example());
  EXPECT_EQ(*DecodeSeal("seal", EncodeSeal({})), Seal());
}

TEST(SealTest, EveryChangedByteIsDamage) {
  const std::string bytes = EncodeSeal(Example());
  for (size_t i = 0; i < bytes.size(); ++i) {
    std::string changed = bytes;
    changed[i] ^= 1;
    EXPECT_EQ(ReasonOf(DecodeSeal("seal", changed).status()), Reason::kDamaged) << i;
    EXPECT_EQ(ReasonOf(DecodeSeal("seal", bytes.substr(0, i)).status()), Reason::kDamaged) << i;
  }
  EXPECT_EQ(ReasonOf(DecodeSeal("seal", bytes + "x").status()), Reason::kDamaged);
}

}  // namespace
}  // namespace sop::rocksdb_storage
