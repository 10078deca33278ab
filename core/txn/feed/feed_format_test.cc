#include <string>
#include <vector>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "core/base/bytes.h"
#include "core/base/error.h"
#include "core/txn/feed/feed_retention.h"
#include "core/txn/feed/feed_row.h"
#include "core/txn/feed/feed_token.h"

namespace sop::txn {
namespace {

using testing::ElementsAre;

const FeedRowKey kKey{Sequence{300}, TreeId{7}, 0};

FeedChange Added(std::string_view key, std::string_view value) {
  FeedChange change;
  change.key = key;
  change.has_value = FeedValue::kWhole;
  change.format = 1;
  change.value = value;
  return change;
}

FeedChange Removed(std::string_view key, Sequence previous) {
  FeedChange change;
  change.kind = FeedKind::kRemoved;
  change.previous = previous;
  change.key = key;
  return change;
}

std::string ExampleRow() {
  FeedRow row(0);
  row.Add(Added("a", "1"));
  row.Add(Removed("b", Sequence{299}));
  return row.Encode(1'700'000'000'000);
}

// "300.0 a=1" for each change from `index` on.
std::vector<std::string> Read(std::string_view row, uint32_t index, size_t most, uint32_t* read) {
  std::vector<std::string> seen;
  const absl::Status status = VisitFeedRow(
      kKey, row, index,
      [&](const FeedEvent& event) {
        if (seen.size() == most) return false;
        seen.push_back(std::to_string(event.version.value) + "." + std::to_string(event.ordinal) +
                       " " + std::string(event.change.key) + "=" + std::string(event.change.value));
        return true;
      },
      read);
  if (!status.ok()) seen.push_back(std::string(ReasonName(ReasonOf(status))));
  return seen;
}

// The examples of docs/formats/feed.md.
TEST(FeedFormatTest, BytesAreThoseOfTheManual) {
  EXPECT_EQ(base::Hex(EncodeFeedRowKey(kKey)), "000000000000012c0000000700000000");
  EXPECT_EQ(base::Hex(ExampleRow()), "0180d095ffbc3100020101000161000101310300ab020162009117cdf0");
  FeedState state;
  state.floor = Sequence{5};
  state.trimmed_bytes = 100;
  state.marks = {{Sequence{300}, 1'700'000'000'000, 1000}};
  EXPECT_EQ(base::Hex(EncodeFeedState(state)), "01056401ac0280d095ffbc31e807");
  const FeedToken token{
      {0x01890a5dac96774b, 0xbcceb302099a8057}, 0, TreeId{7}, {Sequence{300}, 0, 1}};
  EXPECT_EQ(base::Hex(EncodeFeedToken(token)),
            "0101890a5dac96774bbcceb302099a8057000000000000000007ac020001722b3e6a");
}

TEST(FeedFormatTest, RowsAreReadFromAnyChangeOn) {
  uint32_t read = 0;
  EXPECT_THAT(Read(ExampleRow(), 0, 9, &read), ElementsAre("300.0 a=1", "300.1 b="));
  EXPECT_EQ(read, 2);
  EXPECT_THAT(Read(ExampleRow(), 1, 9, &read), ElementsAre("300.1 b="));
  EXPECT_THAT(Read(ExampleRow(), 0, 1, &read), ElementsAre("300.0 a=1"));
  EXPECT_EQ(read, 1);
  EXPECT_THAT(Read(ExampleRow(), 2, 9, &read), ElementsAre());
}

TEST(FeedFormatTest, DamagedRowsAreToldAndNeverVisited) {
  const std::string row = ExampleRow();
  uint32_t read = 0;
  for (size_t i = 0; i < row.size(); ++i) {
    EXPECT_THAT(Read(row.substr(0, i), 0, 9, &read), ElementsAre("DAMAGED")) << i;
    std::string flipped = row;
    flipped[i] = static_cast<char>(flipped[i] ^ 1);
    EXPECT_THAT(Read(flipped, 0, 9, &read), ElementsAre("DAMAGED")) << i;
  }
}

TEST(FeedFormatTest, StateSurvivesAndIsRefusedWhenCut) {
  FeedState state;
  state.floor = Sequence{5};
  state.trimmed_bytes = 77;
  state.marks = {{Sequence{9}, 1, 2}, {Sequence{300}, 1'700'000'000'000, 1000}};
  const std::string bytes = EncodeFeedState(state);
  EXPECT_EQ(DecodeFeedState(bytes), state);
  for (size_t i = 0; i < bytes.size(); ++i) {
    EXPECT_EQ(DecodeFeedState(bytes.substr(0, i)), std::nullopt) << i;
  }
  EXPECT_EQ(DecodeFeedState(bytes + "x"), std::nullopt);
}

TEST(FeedFormatTest, TokensSurviveAndOthersAreRefused) {
  const FeedToken token{{1, 2}, 3, TreeId{UINT32_MAX}, {Sequence{kMaxSequence}, 5, 6}};
  const std::string bytes = EncodeFeedToken(token);
  EXPECT_LE(bytes.size(), 64);
  EXPECT_EQ(DecodeFeedToken(bytes).value(), token);
  for (size_t i = 0; i < bytes.size(); ++i) {
    std::string flipped = bytes;
    flipped[i] = static_cast<char>(flipped[i] ^ 1);
    EXPECT_EQ(ReasonOf(DecodeFeedToken(flipped).status()), Reason::kInvalidArgument) << i;
    EXPECT_EQ(ReasonOf(DecodeFeedToken(bytes.substr(0, i)).status()), Reason::kInvalidArgument);
  }
}

}  // namespace
}  // namespace sop::txn
