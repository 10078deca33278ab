// One hand-made bad history for each anomaly, so that the checker is known to see it.

#include "tests/history/history.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace sop::history {
namespace {

using testing::HasSubstr;

Operation Read(int key, std::vector<int64_t> seen) {
  return {Operation::Kind::kRead, key, 0, std::move(seen)};
}
Operation Append(int key, int64_t value) { return {Operation::Kind::kAppend, key, value, {}}; }

// Takes place at ticks [2 * order, 2 * order + 1] unless said otherwise.
Transaction Commit(uint64_t order, std::vector<Operation> operations) {
  return {order, true, order * 2, order * 2 + 1, std::move(operations)};
}

std::string Check(std::vector<Transaction> history, std::vector<int64_t> aborted = {}) {
  return FindContradiction(std::move(history), aborted, Staleness::kNone);
}

TEST(HistoryTest, GoodHistoryHolds) {
  Transaction reader{2, false, 100, 101, {Read(1, {10, 11}), Read(2, {})}};
  EXPECT_EQ(Check({Commit(1, {Append(1, 10)}), Commit(2, {Read(1, {10}), Append(1, 11)}), reader}),
            "");
}

TEST(HistoryTest, OwnAppendsAreSeen) {
  EXPECT_EQ(Check({Commit(1, {Append(1, 10), Read(1, {10})})}), "");
  EXPECT_THAT(Check({Commit(1, {Append(1, 10), Read(1, {})})}), HasSubstr("version 1 read []"));
}

TEST(HistoryTest, LostUpdate) {
  EXPECT_THAT(
      Check({Commit(1, {Read(1, {}), Append(1, 10)}), Commit(2, {Read(1, {}), Append(1, 11)})}),
      HasSubstr("version 2 read []"));
}

TEST(HistoryTest, WriteSkew) {
  EXPECT_THAT(
      Check({Commit(1, {Read(2, {}), Append(1, 10)}), Commit(2, {Read(1, {}), Append(2, 11)})}),
      HasSubstr("version 2 read [] under key 1"));
}

TEST(HistoryTest, LongFork) {
  Transaction one{2, false, 90, 91, {Read(1, {10}), Read(2, {})}};
  Transaction two{2, false, 90, 91, {Read(1, {}), Read(2, {11})}};
  EXPECT_NE(Check({Commit(1, {Append(1, 10)}), Commit(2, {Append(2, 11)}), one, two}), "");
}

TEST(HistoryTest, AbortedRead) {
  EXPECT_THAT(Check({Commit(1, {Read(1, {77})})}, {77}), HasSubstr("aborted"));
}

TEST(HistoryTest, IntermediateRead) {
  Transaction reader{1, false, 90, 91, {Read(1, {10})}};
  EXPECT_NE(Check({Commit(1, {Append(1, 10), Append(1, 11)}), reader}), "");
}

TEST(HistoryTest, CommitBeforeOneThatWasAnsweredEarlier) {
  Transaction late = Commit(1, {Append(1, 10)});
  late.start = 50;
  late.end = 51;
  EXPECT_THAT(Check({late, Commit(2, {Append(2, 11)})}), HasSubstr("version 1 began after"));
}

TEST(HistoryTest, StaleReaderOnlyWhereItMayLag) {
  Transaction reader{1, false, 90, 91, {Read(1, {10})}};
  const std::vector<Transaction> history = {Commit(1, {Append(1, 10)}), Commit(2, {Append(1, 11)}),
                                            reader};
  EXPECT_THAT(Check(history), HasSubstr("version 1 began after version 2"));
  EXPECT_EQ(FindContradiction(history, {}, Staleness::kReadersMayLag), "");
}

TEST(HistoryTest, TwoCommitsOfOneVersion) {
  EXPECT_THAT(Check({Commit(1, {Append(1, 10)}), Commit(1, {Append(2, 11)})}),
              HasSubstr("two commits"));
}

}  // namespace
}  // namespace sop::history
