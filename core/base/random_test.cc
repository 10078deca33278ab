#include "core/base/random.h"

#include <gtest/gtest.h>

#include <cstdint>
#include <set>
#include <string>
#include <thread>
#include <vector>

namespace sop::base {
namespace {

TEST(SeededRandomTest, GivesTheReferenceSequence) {
  // First outputs of SplitMix64 for seed 1234567, as published with the algorithm.
  SeededRandom random(1234567);
  EXPECT_EQ(random.Next64(), 6457827717110365317u);
  EXPECT_EQ(random.Next64(), 3203168211198807973u);
  EXPECT_EQ(random.Next64(), 9817491932198370423u);
}

TEST(SystemRandomTest, DoesNotRepeatAcrossThreads) {
  std::vector<std::vector<uint64_t>> drawn(4);
  std::vector<std::thread> threads;
  for (std::vector<uint64_t>& numbers : drawn) {
    threads.emplace_back([&numbers] {
      for (int i = 0; i < 1000; ++i) numbers.push_back(SystemRandom().Next64());
    });
  }
  for (std::thread& thread : threads) thread.join();
  std::set<uint64_t> all;
  for (const std::vector<uint64_t>& numbers : drawn) all.insert(numbers.begin(), numbers.end());
  EXPECT_EQ(all.size(), 4000u);
}

TEST(Uuid7Test, CarriesTimeVersionAndVariant) {
  ManualClock clock(absl::FromUnixMillis(0x0123456789ab));
  SeededRandom random(7);
  for (int i = 0; i < 100; ++i) {
    const Uuid id = MakeUuid7(clock, random);
    EXPECT_EQ(id.high >> 16, 0x0123456789abu);
    EXPECT_EQ((id.high >> 12) & 0xf, 7u);
    EXPECT_EQ(id.low >> 62, 0b10u);
  }
}

TEST(UuidTest, ParseAcceptsExactlyWhatToStringWrites) {
  SeededRandom random(9);
  for (int i = 0; i < 100; ++i) {
    const Uuid id{random.Next64(), random.Next64()};
    EXPECT_EQ(Uuid::Parse(id.ToString()), id);
  }
  for (const char* text :
       {"", "01890a5dac96774bbcceb302099a8057", "01890A5D-ac96-774b-bcce-b302099a8057",
        "01890a5d-ac96-774b-bcce-b302099a805", "01890a5d-ac96-774b-bcce-b302099a805g",
        "01890a5da-c96-774b-bcce-b302099a8057"}) {
    EXPECT_FALSE(Uuid::Parse(text).has_value()) << text;
  }
}

TEST(Uuid7Test, LaterMillisecondsSortLaterInEveryForm) {
  ManualClock clock;
  SeededRandom random(8);
  Uuid before = MakeUuid7(clock, random);
  for (int i = 0; i < 1000; ++i) {
    clock.Advance(absl::Milliseconds(1));
    const Uuid id = MakeUuid7(clock, random);
    EXPECT_LT(before, id);
    EXPECT_LT(before.Bytes(), id.Bytes());
    EXPECT_LT(before.ToString(), id.ToString());
    before = id;
  }
}

TEST(Uuid7Test, DiffersWithinOneMillisecond) {
  ManualClock clock;
  std::set<Uuid> ids;
  for (int i = 0; i < 10000; ++i) ids.insert(MakeUuid7(clock, SystemRandom()));
  EXPECT_EQ(ids.size(), 10000u);
}

TEST(UuidTest, FormatsAllDigits) {
  const Uuid id{.high = 0x0102030405067708, .low = 0x890a0b0c0d0e0f00};
  EXPECT_EQ(id.ToString(), "01020304-0506-7708-890a-0b0c0d0e0f00");
  EXPECT_EQ(id.Bytes(), std::string("\x01\x02\x03\x04\x05\x06\x77\x08"
                                    "\x89\x0a\x0b\x0c\x0d\x0e\x0f\x00",
                                    16));
  EXPECT_FALSE(id.IsZero());
  EXPECT_TRUE(Uuid{}.IsZero());
}

TEST(SerialTest, OrdersBySequenceThenOrdinal) {
  EXPECT_LT(MakeSerial(Sequence{1}, kSerialsPerSequence - 1), MakeSerial(Sequence{2}, 0));
  EXPECT_LT(MakeSerial(Sequence{2}, 0), MakeSerial(Sequence{2}, 1));
  const Serial last = MakeSerial(Sequence{kMaxSequence}, kSerialsPerSequence - 1);
  EXPECT_EQ(FirstPieceOf(1).value, last.value + 1 + (1 << kStagedPieceBits));
  EXPECT_EQ(StagedIdOf(last), 0U);
  EXPECT_EQ(StagedIdOf(Serial{FirstPieceOf(7).value + 255}), 7U);
  EXPECT_EQ(FirstPieceOf(kMaxStagedId).value + (1 << kStagedPieceBits) - 1, UINT64_MAX);
}

}  // namespace
}  // namespace sop::base
