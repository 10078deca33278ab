// One hand-made bad history for each anomaly, so that the checker is known to see it, and good ones
// that look like them.

#include "tests/history/append_checker.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <map>
#include <vector>

#include "core/base/random.h"

namespace sop::history {
namespace {

using testing::HasSubstr;

// Builds a history by hand: one transaction after the other, each of a client of its own and at the
// time given.
class Hand {
 public:
  Hand& Begin(uint64_t start) { return BeginOf(client_++, start); }
  Hand& BeginOf(uint32_t client, uint64_t start) {
    history_.Begin(client, start);
    return *this;
  }
  Hand& Append(uint32_t list, uint32_t value) {
    history_.Append(list, value);
    return *this;
  }
  Hand& Read(uint32_t list, std::vector<uint32_t> seen) {
    history_.Read(list, seen);
    return *this;
  }
  Hand& End(uint64_t end, Outcome outcome = Outcome::kOk) {
    history_.End(end, outcome);
    return *this;
  }
  Hand& Close(uint32_t list, std::vector<uint32_t> seen) {
    history_.Close(list, seen);
    return *this;
  }
  Verdict Check(Staleness staleness = Staleness::kNone) const {
    return CheckHistory(history_, staleness);
  }

 private:
  AppendHistory history_;
  uint32_t client_ = 100;
};

void ExpectOnly(const Verdict& verdict, AnomalyKind kind, const std::string& words) {
  ASSERT_EQ(verdict.anomalies.size(), 1u) << verdict.Words();
  EXPECT_EQ(verdict.anomalies[0].kind, kind) << verdict.Words();
  EXPECT_THAT(verdict.anomalies[0].words, HasSubstr(words));
}

TEST(AppendCheckerTest, GoodHistory) {
  Hand hand;
  hand.Begin(1).Append(1, 10).Read(1, {10}).Append(2, 20).End(5);
  hand.Begin(2).Read(1, {}).Read(2, {}).End(9);
  hand.Begin(6).Read(1, {10}).Append(1, 11).Read(1, {10, 11}).End(8);
  hand.Begin(20).Append(1, 12).End(21, Outcome::kFailed);
  hand.Begin(22).Read(1, {10, 11}).Read(2, {20}).End(23);
  hand.Close(1, {10, 11}).Close(2, {20});
  const Verdict verdict = hand.Check();
  EXPECT_EQ(verdict.Words(), "");
  EXPECT_EQ(verdict.transactions, 4u);
}

TEST(AppendCheckerTest, ClientInTwoTransactionsAtOnce) {
  Hand hand;
  hand.BeginOf(1, 1).End(5).BeginOf(1, 4).End(6);
  ExpectOnly(hand.Check(), AnomalyKind::kMalformed, "at once");
}

TEST(AppendCheckerTest, ValueAppendedTwice) {
  Hand hand;
  hand.Begin(1).Append(1, 10).End(2).Begin(3).Append(1, 10).End(4);
  ExpectOnly(hand.Check(), AnomalyKind::kMalformed, "appended 10");
}

TEST(AppendCheckerTest, ReadOfWhatNobodyAppended) {
  Hand hand;
  hand.Begin(1).Append(1, 10).End(2).Begin(3).Read(1, {10, 77}).End(4);
  ExpectOnly(hand.Check(), AnomalyKind::kGarbage, "77 was never appended");
}

TEST(AppendCheckerTest, ValueTwiceInAList) {
  Hand hand;
  hand.Begin(1).Append(1, 10).End(2).Begin(3).Read(1, {10, 10}).End(4);
  ExpectOnly(hand.Check(), AnomalyKind::kGarbage, "10 was twice");
}

TEST(AppendCheckerTest, AbortedRead) {
  Hand hand;
  hand.Begin(1).Append(1, 10).End(2, Outcome::kFailed).Begin(3).Read(1, {10}).End(4);
  ExpectOnly(hand.Check(), AnomalyKind::kAbortedRead, "10");
}

TEST(AppendCheckerTest, AbortedReadThatIsNotTheLongest) {
  Hand hand;
  hand.Begin(1).Append(1, 10).End(2, Outcome::kFailed);
  hand.Begin(1).Append(1, 11).Append(1, 12).End(2);
  hand.Begin(3).Read(1, {10}).End(4).Begin(3).Read(1, {11, 12}).End(4);
  ExpectOnly(hand.Check(), AnomalyKind::kAbortedRead, "read 10 in list 1");
}

TEST(AppendCheckerTest, IntermediateRead) {
  Hand hand;
  hand.Begin(1).Append(1, 10).Append(1, 11).End(9);
  hand.Begin(1).Read(1, {10}).End(9).Begin(1).Read(1, {10, 11}).End(9);
  const Verdict verdict = hand.Check();
  ASSERT_FALSE(verdict.anomalies.empty());
  EXPECT_EQ(verdict.anomalies[0].kind, AnomalyKind::kIntermediateRead) << verdict.Words();
}

TEST(AppendCheckerTest, OwnAppendIsNotSeen) {
  Hand hand;
  hand.Begin(1).Append(1, 10).Read(1, {}).End(2).Close(1, {10});
  ExpectOnly(hand.Check(), AnomalyKind::kInternal, "against its own");
}

TEST(AppendCheckerTest, ReadIsNotRepeatable) {
  Hand hand;
  hand.Begin(1).Append(1, 10).End(9).Begin(1).Read(1, {}).Read(1, {10}).End(9);
  ExpectOnly(hand.Check(), AnomalyKind::kInternal, "list 1");
}

TEST(AppendCheckerTest, LostWrite) {
  Hand hand;
  hand.Begin(1).Append(1, 10).End(2).Begin(3).Append(1, 11).End(4).Close(1, {10});
  ExpectOnly(hand.Check(), AnomalyKind::kLostWrite, "appended 11");
}

TEST(AppendCheckerTest, WriteThatWasSeenAndIsGone) {
  Hand hand;
  hand.Begin(1).Append(1, 10).End(2).Begin(3).Read(1, {10}).End(4).Close(1, {});
  ExpectOnly(hand.Check(), AnomalyKind::kLostWrite, "but had been [10]");
}

TEST(AppendCheckerTest, IncompatibleOrders) {
  Hand hand;
  hand.Begin(1).Append(1, 10).End(9).Begin(1).Append(1, 11).End(9);
  hand.Begin(1).Read(1, {10, 11}).End(9).Begin(1).Read(1, {11}).End(9);
  ExpectOnly(hand.Check(), AnomalyKind::kIncompatible, "[11]");
}

TEST(AppendCheckerTest, G0) {
  Hand hand;
  hand.Begin(1).Append(1, 10).Append(2, 20).End(9);
  hand.Begin(1).Append(1, 11).Append(2, 21).End(9);
  hand.Close(1, {10, 11}).Close(2, {21, 20});
  ExpectOnly(hand.Check(), AnomalyKind::kG0, "right before");
}

TEST(AppendCheckerTest, G1c) {
  Hand hand;
  hand.Begin(1).Append(1, 10).Read(2, {20}).End(9);
  hand.Begin(1).Append(2, 20).Read(1, {10}).End(9);
  ExpectOnly(hand.Check(), AnomalyKind::kG1c, "read 20 in list 2");
}

TEST(AppendCheckerTest, GSingleLostUpdate) {
  Hand hand;
  hand.Begin(1).Read(1, {}).Append(1, 10).End(9);
  hand.Begin(1).Read(1, {}).Append(1, 11).End(9);
  hand.Close(1, {10, 11});
  ExpectOnly(hand.Check(), AnomalyKind::kGSingle, "did not see 10 in list 1");
}

TEST(AppendCheckerTest, GSingleReadSkew) {
  Hand hand;
  hand.Begin(1).Append(1, 10).Append(2, 20).End(9);
  hand.Begin(1).Read(1, {}).Read(2, {20}).End(9);
  hand.Close(1, {10}).Close(2, {20});
  ExpectOnly(hand.Check(), AnomalyKind::kGSingle, "did not see 10 in list 1");
}

TEST(AppendCheckerTest, G2WriteSkew) {
  Hand hand;
  hand.Begin(1).Read(2, {}).Append(1, 10).End(9);
  hand.Begin(1).Read(1, {}).Append(2, 20).End(9);
  hand.Close(1, {10}).Close(2, {20});
  ExpectOnly(hand.Check(), AnomalyKind::kG2, "did not see");
}

TEST(AppendCheckerTest, G2LongFork) {
  Hand hand;
  hand.Begin(1).Append(1, 10).End(9).Begin(1).Append(2, 20).End(9);
  hand.Begin(1).Read(1, {10}).Read(2, {}).End(9).Begin(1).Read(1, {}).Read(2, {20}).End(9);
  const Verdict verdict = hand.Check();
  ExpectOnly(verdict, AnomalyKind::kG2, "did not see 20 in list 2");
}

TEST(AppendCheckerTest, StaleReadIsStrictOnly) {
  Hand hand;
  hand.Begin(1).Append(1, 10).End(2).Begin(5).Read(1, {}).End(6).Close(1, {10});
  ExpectOnly(hand.Check(), AnomalyKind::kStrict, "was answered before");
  EXPECT_EQ(hand.Check(Staleness::kReadersMayLag).Words(), "");
}

TEST(AppendCheckerTest, OwnWriteIsMissedByTheSession) {
  Hand hand;
  hand.BeginOf(1, 1).Append(1, 10).End(2).BeginOf(1, 2).Read(1, {}).End(3).BeginOf(1, 4);
  hand.Read(1, {}).End(5).Close(1, {10});
  ExpectOnly(hand.Check(), AnomalyKind::kStrict, "in one session");
}

TEST(AppendCheckerTest, RealTimeReachesThroughTheFrontier) {
  // Three clients later, what the first one did must still come before.
  Hand hand;
  hand.Begin(1).Append(1, 10).End(2);
  for (uint64_t i = 0; i < 5; ++i)
    hand.Begin(3 + 2 * i).Append(2, 20 + static_cast<uint32_t>(i)).End(4 + 2 * i);
  hand.Begin(50).Read(1, {}).End(51);
  hand.Close(1, {10}).Close(2, {20, 21, 22, 23, 24});
  ExpectOnly(hand.Check(), AnomalyKind::kStrict, "did not see 10");
}

TEST(AppendCheckerTest, UnknownOutcomesCountOnlyIfSeen) {
  Hand hand;
  hand.Begin(1).Read(2, {99}).Append(1, 10).End(2, Outcome::kUnknown);  // never seen: never was
  hand.Begin(3).Append(1, 11).End(4, Outcome::kUnknown);
  // It may happen long after its client gave up.
  hand.Begin(5).Read(1, {}).End(6).Begin(7).Read(1, {11}).End(8).Close(1, {11});
  const Verdict verdict = hand.Check();
  EXPECT_EQ(verdict.Words(), "");
  EXPECT_EQ(verdict.transactions, 3u);
}

TEST(AppendCheckerTest, UnknownOutcomeThatWasSeenMustFit) {
  Hand hand;
  hand.Begin(1).Read(2, {}).Append(1, 10).End(9, Outcome::kUnknown);
  hand.Begin(1).Read(1, {}).Append(2, 20).End(9);
  hand.Close(1, {10}).Close(2, {20});
  ExpectOnly(hand.Check(), AnomalyKind::kG2, "did not see");
}

// The shortest of several cycles is the one that is told.
TEST(AppendCheckerTest, WitnessIsShort) {
  Hand hand;
  hand.Begin(1).Read(1, {}).Append(2, 20).End(99).Begin(1).Read(2, {}).Append(3, 30).End(99);
  hand.Begin(1)
      .Read(3, {})
      .Append(4, 40)
      .End(99)
      .Begin(1)
      .Read(4, {})
      .Append(1, 10)
      .Read(2, {})
      .End(99);
  hand.Begin(1).Read(1, {}).Read(4, {}).Append(5, 50).End(99);
  hand.Close(1, {10}).Close(2, {20}).Close(3, {30}).Close(4, {40}).Close(5, {50});
  const Verdict verdict = hand.Check();
  ASSERT_EQ(verdict.anomalies.size(), 1u) << verdict.Words();
  const std::string& words = verdict.anomalies[0].words;
  EXPECT_EQ(std::count(words.begin(), words.end(), ';'), 1) << words;
}

// A run in some order, each transaction at one moment of its time; then one read is made stale.
struct MadeUp {
  std::vector<std::vector<uint32_t>> lists;
  AppendHistory history;
};

MadeUp MakeUp(uint64_t seed, int stale_reader) {
  base::SeededRandom random(seed);
  MadeUp made;
  made.lists.resize(20);
  uint32_t value = 1;
  for (int i = 0; i < 400; ++i) {
    // Client c holds the time [10 i, 10 i + 40): neighbours overlap.
    made.history.Begin(static_cast<uint32_t>(i % 8), static_cast<uint64_t>(i) * 10);
    for (int o = 0; o < 3; ++o) {
      const auto list = static_cast<uint32_t>(random.Next64() % made.lists.size());
      auto& content = made.lists[list];
      if (random.Next64() % 2 == 0) {
        made.history.Append(list, value);
        content.push_back(value++);
      } else if (stale_reader >= 0 && i >= stale_reader && content.size() > 5) {
        made.history.Read(list, std::span(content).first(content.size() - 5));
        stale_reader = -1;
      } else {
        made.history.Read(list, content);
      }
    }
    made.history.End(static_cast<uint64_t>(i) * 10 + 40, Outcome::kOk);
  }
  for (uint32_t list = 0; list < made.lists.size(); ++list) {
    made.history.Close(list, made.lists[list]);
  }
  return made;
}

TEST(AppendCheckerTest, MadeUpRunsHoldAndAStaleReadIsSeenInEach) {
  for (uint64_t seed = 1; seed <= 20; ++seed) {
    EXPECT_EQ(CheckHistory(MakeUp(seed, -1).history).Words(), "") << "seed " << seed;
    EXPECT_NE(CheckHistory(MakeUp(seed, 380).history).Words(), "") << "seed " << seed;
  }
}

}  // namespace
}  // namespace sop::history
