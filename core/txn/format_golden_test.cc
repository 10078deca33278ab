// Golden bytes of docs/formats/count_record.md, meta.md and outcome.md, and what readers refuse.

#include <string>
#include <vector>

#include <gtest/gtest.h>

#include "core/base/bytes.h"
#include "core/base/error.h"
#include "core/btree/golden_file.h"
#include "core/txn/commit/meta_rows.h"
#include "core/txn/commit/outcome.h"
#include "core/txn/count_ledger.h"

namespace sop::txn {
namespace {

const Uuid kToken{0x0190'0000'0000'7123ULL, 0x8000'0000'0000'0456ULL};

std::string Golden(std::string_view name) {
  return btree::GoldenNode::Load("txn_golden.json").Text(name);
}

std::string ExampleCountRecord() {
  const std::vector<TreeCountChange> changes = {
      {TreeId{7}, {kRootNode, NodeId{314572802}, 300}},
      {TreeId{7}, {kRootNode, NodeId{5}, -2}},
  };
  return EncodeCountRecord(changes);
}

TEST(CountRecordFormatTest, HasGoldenBytes) {
  EXPECT_EQ(base::Hex(CountRecordKey(Sequence{300})), Golden("count_record_key"));
  EXPECT_EQ(base::Hex(ExampleCountRecord()), Golden("count_record"));
  const auto changes = DecodeCountRecord(btree::FromHex(Golden("count_record")));
  ASSERT_TRUE(changes.ok());
  ASSERT_EQ(changes->size(), 2U);
  EXPECT_EQ((*changes)[0].change.child, NodeId{314572802});
  EXPECT_EQ((*changes)[0].change.amount, 300);
  EXPECT_EQ((*changes)[1].change.amount, -2);
}

TEST(CountRecordFormatTest, EveryCutAndEveryFlippedBitIsRefused) {
  const std::string bytes = ExampleCountRecord();
  for (size_t size = 0; size < bytes.size(); ++size) {
    EXPECT_EQ(ReasonOf(DecodeCountRecord(bytes.substr(0, size)).status()), Reason::kDamaged);
  }
  for (size_t bit = 0; bit < bytes.size() * 8; ++bit) {
    std::string flipped = bytes;
    flipped[bit / 8] = static_cast<char>(flipped[bit / 8] ^ (1 << (bit % 8)));
    EXPECT_EQ(ReasonOf(DecodeCountRecord(flipped).status()), Reason::kDamaged) << bit;
  }
}

TEST(CountRecordFormatTest, AmountsOfAnySizeComeBack) {
  for (const int64_t amount : {INT64_MIN, int64_t{-1}, int64_t{0}, INT64_MAX}) {
    const std::vector<TreeCountChange> changes = {
        {TreeId{UINT32_MAX}, {NodeId{UINT64_MAX}, NodeId{UINT64_MAX}, amount}}};
    const auto decoded = DecodeCountRecord(EncodeCountRecord(changes));
    ASSERT_TRUE(decoded.ok());
    EXPECT_EQ(decoded->front().change.amount, amount);
    EXPECT_EQ(decoded->front().tree, TreeId{UINT32_MAX});
  }
}

TEST(MetaRowFormatTest, HasGoldenBytes) {
  EXPECT_EQ(base::Hex(EncodeNextTree(TreeId{300})), Golden("next_tree"));
  EXPECT_EQ(DecodeNextTree(btree::FromHex(Golden("next_tree"))), TreeId{300});
  EXPECT_EQ(base::Hex(EncodeOutcomeTotals({1000, kToken})), Golden("outcome_totals"));
  const auto totals = DecodeOutcomeTotals(btree::FromHex(Golden("outcome_totals")));
  ASSERT_TRUE(totals.has_value());
  EXPECT_EQ(totals->bytes, 1000U);
  EXPECT_EQ(totals->removed_through, kToken);
}

TEST(MetaRowFormatTest, CutLongerAndTooLargeRowsAreRefused) {
  EXPECT_EQ(DecodeNextTree(""), std::nullopt);
  EXPECT_EQ(DecodeNextTree(EncodeNextTree(TreeId{1}) + "x"), std::nullopt);
  EXPECT_EQ(DecodeNextTree(EncodeNextTree(TreeId{UINT32_MAX})), TreeId{UINT32_MAX});
  std::string beyond;
  base::AppendVarint(&beyond, uint64_t{UINT32_MAX} + 1);
  EXPECT_EQ(DecodeNextTree(beyond), std::nullopt);
  const std::string totals = EncodeOutcomeTotals({UINT64_MAX, kToken});
  EXPECT_TRUE(DecodeOutcomeTotals(totals).has_value());
  for (size_t size = 0; size < totals.size(); ++size) {
    EXPECT_FALSE(DecodeOutcomeTotals(totals.substr(0, size)).has_value()) << size;
  }
  EXPECT_FALSE(DecodeOutcomeTotals(totals + "x").has_value());
}

TEST(OutcomeFormatTest, HasGoldenBytes) {
  EXPECT_EQ(base::Hex(EncodeOutcome({Sequence{300}, "reply"})), Golden("outcome"));
  const auto outcome = DecodeOutcome(btree::FromHex(Golden("outcome")));
  ASSERT_TRUE(outcome.ok());
  EXPECT_EQ(outcome->version, Sequence{300});
  EXPECT_EQ(outcome->reply, "reply");
  EXPECT_EQ(base::Hex(kToken.Bytes()), Golden("outcome_key"));
  EXPECT_EQ(absl::ToUnixMillis(TokenTime(kToken)), 0x019000000000);
}

TEST(OutcomeFormatTest, CutLongerAndUnknownBytesAreRefused) {
  const std::string bytes = EncodeOutcome({Sequence{kMaxSequence}, "reply"});
  for (size_t size = 0; size < bytes.size(); ++size) {
    EXPECT_EQ(ReasonOf(DecodeOutcome(bytes.substr(0, size)).status()), Reason::kDamaged);
  }
  EXPECT_FALSE(DecodeOutcome(bytes + "x").ok());
  std::string later = bytes;
  later[0] = 2;
  EXPECT_FALSE(DecodeOutcome(later).ok());
  EXPECT_TRUE(DecodeOutcome(EncodeOutcome({Sequence{0}, ""})).ok());
}

}  // namespace
}  // namespace sop::txn
