// Golden bytes of docs/formats/node.md and delta.md, and proof that Apply is total.

#include <string>
#include <vector>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "core/base/bytes.h"
#include "core/base/checksum.h"
#include "core/base/error.h"
#include "core/base/random.h"
#include "core/btree/golden_file.h"
#include "core/btree/node/apply.h"
#include "core/btree/node/delta.h"
#include "core/btree/node/node_image.h"
#include "core/btree/node/node_version.h"

namespace sop::btree {
namespace {

std::string ExampleLeaf() {
  NodeImageBuilder builder(NodeKind::kLeaf, 0);
  ItemView apple{0, 1, Sequence{3}, "", "red"};
  ItemView apricot{0, 2, Sequence{5}, "ride", "orange"};
  builder.AddItem("apple", apple);
  builder.AddItem("apricot", apricot);
  return builder.Build({Sequence{5}, Sequence{0}, 7});
}

std::string ExampleInner() {
  NodeImageBuilder builder(NodeKind::kInner, 1);
  builder.AddChild("", {NodeId{2}, 10});
  builder.AddChild("m", {NodeId{3}, 20});
  return builder.Build({Sequence{9}, Sequence{9}, 0});
}

std::string ExampleDelta() {
  DeltaView delta;
  delta.sequence = Sequence{6};
  DeltaOperation erase;
  erase.kind = DeltaKind::kErase;
  erase.key = "apple";
  DeltaOperation put;
  put.kind = DeltaKind::kPut;
  put.sequence = Sequence{5};
  put.key = "banana";
  put.item = {0, 1, Sequence{5}, "", "yellow"};
  delta.operations = {erase, put};
  return EncodeDelta(delta);
}

std::string Golden(std::string_view name) {
  return GoldenNode::Load("node_golden.json").Text(name);
}

TEST(NodeFormatTest, LeafHasGoldenBytes) { EXPECT_EQ(base::Hex(ExampleLeaf()), Golden("leaf")); }

TEST(NodeFormatTest, InnerNodeHasGoldenBytes) {
  EXPECT_EQ(base::Hex(ExampleInner()), Golden("inner"));
}

TEST(NodeFormatTest, DeltaHasGoldenBytes) { EXPECT_EQ(base::Hex(ExampleDelta()), Golden("delta")); }

TEST(NodeFormatTest, AppliedDeltaGivesGoldenLeaf) {
  const std::string delta = ExampleDelta();
  const std::string_view deltas[] = {delta};
  EXPECT_EQ(base::Hex(Apply(ExampleLeaf(), deltas)), Golden("applied"));
}

TEST(ApplyTest, SkipsDeltasThatTheImageHas) {
  const std::string delta = ExampleDelta();
  const std::string_view once[] = {delta};
  const std::string_view twice[] = {delta, delta};
  EXPECT_EQ(Apply(ExampleLeaf(), once), Apply(ExampleLeaf(), twice));
  EXPECT_EQ(Apply(Apply(ExampleLeaf(), once), once), Apply(ExampleLeaf(), once));
}

// Fuzzing found a leaf that is valid but that would be built with other bytes.
TEST(ApplyTest, NodeWithoutNewDeltasKeepsItsBytes) {
  const std::string hex =
      "01010000000000000500000000000000000000000000000007000000040000000400000000000000"
      "4c0000000000006163000000000000627a0000000000626292000000000000636b65792d0114610000"
      "0300000000000000047269646576616c75650114620000030000000000000004726964657661"
      "6c756502146262000003000000000100608000d82ea076616c75650114630000030000000000000004"
      "7269646576616c7565";
  std::string image;
  for (size_t i = 0; i < hex.size(); i += 2) {
    image.push_back(static_cast<char>(std::stoi(hex.substr(i, 2), nullptr, 16)));
  }
  base::StoreLittle32(image.data() + 4, base::Checksum32(std::string_view(image).substr(8)));
  ASSERT_TRUE(NodeImage::Parse(image).ok());
  EXPECT_EQ(base::Hex(Apply(image, {})), base::Hex(image));
  EXPECT_EQ(Apply(ExampleLeaf(), {}), ExampleLeaf());
}

TEST(ApplyTest, AbsentNodeIsAnEmptyLeaf) {
  const std::string delta = ExampleDelta();
  const std::string_view deltas[] = {delta};
  auto image = NodeImage::Parse(Apply(std::nullopt, deltas));
  ASSERT_TRUE(image.ok());
  ASSERT_EQ((*image)->slots(), 1U);
  EXPECT_EQ((*image)->Key(0), "banana");
}

TEST(ApplyTest, DamageKeepsBaseAndDeltasVerbatim) {
  const std::string delta = ExampleDelta();
  const std::string_view deltas[] = {delta, "not a delta"};
  const std::string damaged = Apply(ExampleLeaf(), deltas);
  EXPECT_EQ(ReasonOf(NodeImage::Parse(damaged).status()), Reason::kDamaged);
  const auto content = ReadDamagedImage(damaged);
  ASSERT_TRUE(content.has_value());
  EXPECT_EQ(content->image, ExampleLeaf());
  EXPECT_THAT(content->deltas, testing::ElementsAre(delta, "not a delta"));
}

TEST(ApplyTest, LeafDeltaOnInnerNodeIsDamage) {
  const std::string delta = ExampleDelta();
  const std::string_view deltas[] = {delta, delta};
  EXPECT_TRUE(ReadDamagedImage(Apply(ExampleInner(), deltas)).has_value() ||
              NodeImage::Parse(Apply(ExampleInner(), deltas)).ok());
  DeltaView late;
  late.sequence = Sequence{100};
  late.operations = DecodeDelta(delta)->operations;
  for (DeltaOperation& operation : late.operations) operation.sequence = Sequence{100};
  const std::string bytes = EncodeDelta(late);
  const std::string_view wrong[] = {bytes};
  EXPECT_TRUE(ReadDamagedImage(Apply(ExampleInner(), wrong)).has_value());
}

// Mutates valid bytes in every way that a disk might; the checksum is made right again half of the
// time, so that the bounds checks behind it are reached too.
std::string Mutate(std::string bytes, base::Random& random, bool node) {
  const int changes = 1 + static_cast<int>(random.Next64() % 4);
  for (int i = 0; i < changes && !bytes.empty(); ++i) {
    const size_t at = random.Next64() % bytes.size();
    switch (random.Next64() % 4) {
      case 0:
        bytes[at] = static_cast<char>(random.Next64());
        break;
      case 1:
        bytes.resize(at);
        break;
      case 2:
        bytes.insert(at, 1, static_cast<char>(random.Next64()));
        break;
      default:
        bytes[at] = static_cast<char>(bytes[at] ^ (1 << (random.Next64() % 8)));
    }
  }
  if (random.Next64() % 2 == 0) return bytes;
  if (node && bytes.size() > 8) {
    base::StoreLittle32(bytes.data() + 4, base::Checksum32(std::string_view(bytes).substr(8)));
  } else if (!node && bytes.size() > 4) {
    bytes.resize(bytes.size() - 4);
    base::AppendLittle32(&bytes, base::Checksum32(bytes));
  }
  return bytes;
}

TEST(ApplyTest, IsTotalOverMutatedBytes) {
  base::SeededRandom random(static_cast<uint64_t>(testing::UnitTest::GetInstance()->random_seed()));
  const std::string images[] = {ExampleLeaf(), ExampleInner(), ""};
  const std::string delta = ExampleDelta();
  int intact = 0;
  for (int i = 0; i < 100'000; ++i) {
    const std::string image = Mutate(images[random.Next64() % 3], random, true);
    const std::string one = Mutate(delta, random, false);
    const std::string_view deltas[] = {one, delta};
    const std::string applied =
        Apply(random.Next64() % 8 == 0 ? std::nullopt : std::optional<std::string_view>(image),
              std::span(deltas, 1 + random.Next64() % 2));
    auto parsed = NodeImage::Parse(applied);
    if (!parsed.ok()) {
      ASSERT_EQ(ReasonOf(parsed.status()), Reason::kDamaged);
      ASSERT_TRUE(ReadDamagedImage(applied).has_value());
      continue;
    }
    ++intact;
    for (uint32_t slot = 0; slot < (*parsed)->slots(); ++slot) (void)(*parsed)->Key(slot);
  }
  EXPECT_GT(intact, 0);
}

TEST(NodeVersionTest, CounterAndRideOnAreResolvedOnTop) {
  auto leaf = NodeVersion::FromImage(*NodeImage::Parse(ExampleLeaf()));
  DeltaView delta;
  delta.sequence = Sequence{8};
  DeltaOperation add;
  add.kind = DeltaKind::kAdd;
  add.sequence = Sequence{8};
  add.key = "aa-counter";
  add.amount = -5;
  DeltaOperation ride;
  ride.kind = DeltaKind::kSetRideOn;
  ride.sequence = Sequence{7};
  ride.key = "apricot";
  ride.item.ride_on = "other";
  delta.operations = {add, ride};
  const std::string bytes = EncodeDelta(delta);
  auto grown = NodeVersion::Extend(leaf, bytes);
  ASSERT_TRUE(grown.ok()) << grown.status();
  EXPECT_EQ((*grown)->item_count(), 3U);
  ItemView item;
  ASSERT_TRUE((*grown)->Find("apricot", &item));
  EXPECT_EQ(item.ride_on, "other");
  EXPECT_EQ(item.value, "orange");
  EXPECT_EQ(item.version, Sequence{7});
  ASSERT_TRUE((*grown)->Find("aa-counter", &item));
  EXPECT_EQ(static_cast<int64_t>(base::LoadLittle64(item.value.data())), -5);
  // What storage would fold is the same.
  const std::string_view deltas[] = {bytes};
  const auto folded = NodeVersion::Folded(**grown, static_cast<uint32_t>((*grown)->delta_bytes()));
  EXPECT_EQ(folded->image().bytes(), Apply(ExampleLeaf(), deltas));
}

}  // namespace
}  // namespace sop::btree
