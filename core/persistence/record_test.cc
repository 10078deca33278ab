#include "core/persistence/record.h"

#include <cstdlib>

#include <gtest/gtest.h>

#include "core/base/bytes.h"
#include "core/base/checksum.h"
#include "core/base/error.h"
#include "core/base/random.h"

namespace sop::persistence {
namespace {

// The example of docs/formats/record.md.
CommitRecord GoldenRecord() {
  CommitRecord record;
  record.first = Sequence{300};
  record.last = Sequence{301};
  record.nodes = {
      {TreeId{7}, kRootNode, NodeAction::kMerge, "delta"},
      {TreeId{7}, NodeId{MakeSerial(Sequence{300}, 2).value}, NodeAction::kPut, "image"},
      {TreeId{9}, NodeId{5}, NodeAction::kRemove, ""}};
  record.rows = {{Space::kMeta, "k", "v"}, {Space::kOutcomes, "gone", std::nullopt}};
  record.values = {{TreeId{7}, Serial{8}, "big"}, {TreeId{7}, Serial{4}, std::nullopt}};
  record.dropped_trees = {TreeId{200}};
  record.writes = {{TreeId{7}, Sequence{300}, WriteKind::kPut, true, "a"},
                   {TreeId{7}, Sequence{301}, WriteKind::kErase, false, "b"}};
  return record;
}

constexpr std::string_view kGoldenHex =
    "01ac0201"
    "03"
    "0107010564656c7461"
    "0207828080960105696d616765"
    "03090500"
    "02"
    "01016b010176"
    "0204676f6e6500"
    "02"
    "07080103626967"
    "070400"
    "01c801"
    "02"
    "010107000161"
    "020007010162"
    "e17a2a5956e5e1a8";

std::string FromHex(std::string_view hex) {
  std::string out;
  for (size_t i = 0; i + 1 < hex.size(); i += 2) {
    out.push_back(static_cast<char>(std::stoi(std::string(hex.substr(i, 2)), nullptr, 16)));
  }
  return out;
}

std::string WithChecksum(std::string body) {
  base::AppendLittle64(&body, base::Checksum64(body));
  return body;
}

uint64_t Seed() {
  const char* seed = std::getenv("SOP_SEED");
  return seed != nullptr ? std::strtoull(seed, nullptr, 10) : 20240607;
}

class RandomRecords {
 public:
  explicit RandomRecords(uint64_t seed) : random_(seed) {}

  uint64_t Below(uint64_t limit) { return random_.Next64() % limit; }

  CommitRecord Next() {
    CommitRecord record;
    record.first.value = 1 + Below(kMaxSequence - 100);
    record.last.value = record.first.value + Below(100);
    for (uint64_t i = Below(5); i > 0; --i) {
      record.nodes.push_back({Tree(), NodeId{random_.Next64()}, NodeAction(1 + Below(3)), Bytes()});
    }
    for (uint64_t i = Below(5); i > 0; --i) {
      record.rows.push_back({Space(1 + Below(2)), Bytes(), Perhaps()});
    }
    for (uint64_t i = Below(5); i > 0; --i) {
      record.values.push_back({Tree(), Serial{random_.Next64()}, Perhaps()});
    }
    for (uint64_t i = Below(5); i > 0; --i) record.dropped_trees.push_back(Tree());
    for (uint64_t i = Below(5); i > 0; --i) {
      const uint64_t sequence =
          record.first.value + Below(record.last.value - record.first.value + 1);
      record.writes.push_back(
          {Tree(), Sequence{sequence}, WriteKind(1 + Below(3)), Below(2) == 1, Bytes()});
    }
    return record;
  }

 private:
  TreeId Tree() { return TreeId{static_cast<uint32_t>(random_.Next64())}; }
  std::optional<std::string> Perhaps() {
    return Below(2) == 0 ? std::nullopt : std::optional(Bytes());
  }
  std::string Bytes() {
    std::string bytes(Below(200), '\0');
    for (char& c : bytes) c = static_cast<char>(random_.Next64());
    return bytes;
  }

  base::SeededRandom random_;
};

TEST(RecordTest, GoldenBytes) {
  EXPECT_EQ(base::Hex(EncodeRecord(GoldenRecord())), kGoldenHex);
  const auto decoded = DecodeRecord(FromHex(kGoldenHex));
  ASSERT_TRUE(decoded.ok()) << decoded.status();
  EXPECT_EQ(*decoded, GoldenRecord());
}

TEST(RecordTest, RandomRecordsComeBack) {
  SCOPED_TRACE(Seed());
  RandomRecords records(Seed());
  for (int i = 0; i < 2000; ++i) {
    const CommitRecord record = records.Next();
    const auto decoded = DecodeRecord(EncodeRecord(record));
    ASSERT_TRUE(decoded.ok()) << decoded.status();
    ASSERT_EQ(*decoded, record);
  }
}

TEST(RecordTest, EveryFlippedBitAndEveryCutIsDamaged) {
  const std::string bytes = EncodeRecord(GoldenRecord());
  for (size_t bit = 0; bit < bytes.size() * 8; ++bit) {
    std::string damaged = bytes;
    damaged[bit / 8] = static_cast<char>(damaged[bit / 8] ^ (1 << (bit % 8)));
    ASSERT_EQ(ReasonOf(DecodeRecord(damaged).status()), Reason::kDamaged) << bit;
  }
  for (size_t size = 0; size < bytes.size(); ++size) {
    ASSERT_EQ(ReasonOf(DecodeRecord(bytes.substr(0, size)).status()), Reason::kDamaged) << size;
  }
}

// With a checksum that agrees, so that the fields themselves are what has to hold.
TEST(RecordTest, DecoderIsTotalOnDamagedFields) {
  SCOPED_TRACE(Seed());
  RandomRecords records(Seed());
  int decoded_count = 0;
  for (int i = 0; i < 20000; ++i) {
    std::string body = EncodeRecord(records.Next());
    body.resize(body.size() - 8);
    for (uint64_t change = 1 + records.Below(3); change > 0; --change) {
      body[records.Below(body.size())] = static_cast<char>(records.Below(256));
    }
    const auto decoded = DecodeRecord(WithChecksum(body));
    if (!decoded.ok()) {
      ASSERT_EQ(ReasonOf(decoded.status()), Reason::kDamaged);
      continue;
    }
    ++decoded_count;
    const auto again = DecodeRecord(EncodeRecord(*decoded));
    ASSERT_TRUE(again.ok()) << again.status();
    ASSERT_EQ(*again, *decoded);
  }
  EXPECT_GT(decoded_count, 1000);
}

TEST(RecordTest, UnknownFormatIsNamed) {
  std::string body = EncodeRecord(GoldenRecord());
  body.resize(body.size() - 8);
  body[0] = 2;
  const absl::Status status = DecodeRecord(WithChecksum(body)).status();
  EXPECT_EQ(ReasonOf(status), Reason::kDamaged);
  EXPECT_NE(std::string(status.message()).find("format 2 is unknown"), std::string::npos);
}

TEST(RecordTest, HugeCountsDoNotAllocate) {
  std::string body;
  body.push_back(1);
  base::AppendVarint(&body, 1);
  base::AppendVarint(&body, 0);
  base::AppendVarint(&body, uint64_t{1} << 60);
  EXPECT_EQ(ReasonOf(DecodeRecord(WithChecksum(body)).status()), Reason::kDamaged);
}

}  // namespace
}  // namespace sop::persistence
