#include <atomic>
#include <map>
#include <string>
#include <vector>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "core/base/clock.h"
#include "core/base/error.h"
#include "core/txn/engine_fixture_test.h"
#include "core/txn/feed/feed_reader.h"
#include "core/txn/test_seed.h"

namespace sop::txn {
namespace {

using testing::ElementsAre;
using testing::IsEmpty;

class FeedTest : public EngineFixture {
 protected:
  static TreeSlot Followed(Transaction& transaction, TreeId tree = kTree) {
    return transaction.OpenTree(tree, {.feed = true});
  }
  static absl::Status PutIn(Transaction& transaction, TreeId tree, std::string_view key,
                            std::string_view value) {
    ItemWrite item;
    item.value = value;
    return transaction.Put(Followed(transaction, tree), key, item);
  }
  // "+a=1", "*a=2", "-a", "~a", each behind its place.
  static std::string Describe(const FeedEvent& event) {
    const FeedChange& change = event.change;
    std::string text(1, " +*-~!"[static_cast<size_t>(change.kind)]);
    text += change.key;
    if (change.has_value == FeedValue::kWhole) text += "=" + std::string(change.value);
    return text;
  }
  // What is new since `*at`, read in pieces of so many changes.
  std::vector<std::string> Read(FeedPosition* at, size_t most = 1000, TreeId tree = kTree) {
    std::vector<std::string> seen;
    for (;;) {
      const auto transaction = Begin(Mode::kReadOnly);
      size_t taken = 0;
      const auto next = ReadFeed(transaction->snapshot(), {tree, *at, 1},
                                 [&](const FeedEvent& event, const FeedPosition& behind) {
                                   if (taken == most) return false;
                                   EXPECT_GT(behind, *at);
                                   seen.push_back(Describe(event));
                                   ++taken;
                                   return true;
                                 });
      EXPECT_TRUE(next.ok()) << next.status();
      if (!next.ok()) return seen;
      EXPECT_GE(*next, *at);
      *at = *next;
      if (at->sequence > transaction->read_version()) return seen;
    }
  }
};

TEST_F(FeedTest, ChangesAreToldInOrderWithWhatWasThereBefore) {
  FeedPosition at{Sequence{1}};
  auto first = Begin();
  ASSERT_TRUE(PutIn(*first, kTree, "a", "1").ok());
  ASSERT_TRUE(PutIn(*first, kTree, "b", "2").ok());
  ASSERT_TRUE(Commit(std::move(first)).ok());
  auto second = Begin();
  const Sequence version = second->read_version();
  ASSERT_TRUE(PutIn(*second, kTree, "b", "3").ok());
  ASSERT_TRUE(second->Erase(Followed(*second), "a").ok());
  ASSERT_TRUE(PutIn(*second, kTree, "c", "4").ok());
  ASSERT_TRUE(second->Erase(Followed(*second), "nothing").ok());
  ASSERT_TRUE(Commit(std::move(second)).ok());
  EXPECT_THAT(Read(&at, 1), ElementsAre("+a=1", "+b=2", "-a", "*b=3", "+c=4"));
  EXPECT_THAT(Read(&at), IsEmpty());
  auto third = Begin();
  ASSERT_TRUE(third->SetRideOn(Followed(*third), "b", "ride").ok());
  ASSERT_TRUE(Commit(std::move(third)).ok());
  EXPECT_THAT(Read(&at), ElementsAre("~b"));
  // The first commit wrote `a`, whose removal says so.
  const auto reading = Begin(Mode::kReadOnly);
  std::vector<uint64_t> previous;
  ASSERT_TRUE(ReadFeed(reading->snapshot(), {kTree, {Sequence{1}}},
                       [&](const FeedEvent& event, const FeedPosition&) {
                         previous.push_back(event.change.previous.value);
                         return true;
                       })
                  .ok());
  ASSERT_EQ(previous.size(), 6);
  EXPECT_THAT(std::vector(previous.begin(), previous.begin() + 2), ElementsAre(0, 0));
  EXPECT_LE(previous[2], version.value);
  EXPECT_GT(previous[2], 0);
  EXPECT_EQ(previous[3], previous[2]);
  EXPECT_GT(previous[5], previous[3]);
}

TEST_F(FeedTest, TreesWithoutAFeedAreNotRecordedAndOthersAreApart) {
  ASSERT_TRUE(PutOne("silent", "1").ok());
  EXPECT_EQ(engine_->statistics().feed_bytes, 0);
  auto transaction = Begin();
  ASSERT_TRUE(PutIn(*transaction, TreeId{7}, "seven", "1").ok());
  ASSERT_TRUE(PutIn(*transaction, TreeId{6}, "six", "1").ok());
  ASSERT_TRUE(Commit(std::move(transaction)).ok());
  FeedPosition six{Sequence{1}};
  FeedPosition seven{Sequence{1}};
  EXPECT_THAT(Read(&six, 1, TreeId{6}), ElementsAre("+six=1"));
  EXPECT_THAT(Read(&seven, 1, TreeId{7}), ElementsAre("+seven=1"));
  EXPECT_GT(engine_->statistics().feed_bytes, 0);
}

TEST_F(FeedTest, LongCommitsAreReadInPiecesAndLargeValuesAreLeftOut) {
  auto transaction = Begin();
  ItemWrite item;
  item.placement = Placement::kOutOfNode;
  const std::string value(kMostFeedValueBytes, 'v');
  const std::string larger(kMostFeedValueBytes + 1, 'v');
  for (int i = 0; i < 2000; ++i) {
    ASSERT_TRUE(PutIn(*transaction, kTree, fmt::format("{:05}", i), std::string(100, 'x')).ok());
  }
  item.value = value;
  ASSERT_TRUE(transaction->Put(Followed(*transaction), "whole", item).ok());
  item.value = larger;
  ASSERT_TRUE(transaction->Put(Followed(*transaction), "wide", item).ok());
  ASSERT_TRUE(Commit(std::move(transaction)).ok());
  FeedPosition at{Sequence{1}};
  const std::vector<std::string> changes = Read(&at, 7);
  ASSERT_EQ(changes.size(), 2002);
  for (int i = 0; i < 2000; ++i) EXPECT_TRUE(changes[i].starts_with(fmt::format("+{:05}=", i)));
  EXPECT_EQ(changes[2000].size(), 7 + kMostFeedValueBytes);
  EXPECT_EQ(changes[2001], "+wide");
}

TEST_F(FeedTest, WhatIsTooOldOrTooMuchIsTrimmed) {
  base::ManualClock clock(absl::FromUnixSeconds(1'700'000'000));
  options_.clock = &clock;
  options_.limits.feed_age = absl::Hours(64);
  options_.limits.feed_bytes = 64 << 10;
  Reopen();
  const auto put = [&](int i) {
    auto transaction = Begin();
    ASSERT_TRUE(PutIn(*transaction, kTree, "k", fmt::format("{}", i)).ok());
    ASSERT_TRUE(Commit(std::move(transaction)).ok());
  };
  for (int i = 0; i < 10; ++i) put(i);
  EXPECT_EQ(engine_->feed_floor(), Sequence{0});
  const FeedPosition old{Sequence{1}};
  EXPECT_TRUE(engine_->CheckFeedPosition(old).ok());
  clock.Advance(absl::Hours(65));
  const Sequence before = engine_->published();
  put(10);
  clock.Advance(absl::Hours(1));
  put(11);
  // By age, in steps: what came before the mark that was made with the first one.
  EXPECT_EQ(ReasonOf(engine_->CheckFeedPosition(old)), Reason::kPositionNotKept);
  EXPECT_GT(engine_->feed_floor(), Sequence{0});
  EXPECT_LE(engine_->feed_floor(), before);
  FeedPosition at{Sequence{engine_->feed_floor().value + 1}};
  const std::vector<std::string> kept = Read(&at);
  EXPECT_THAT(std::vector(kept.end() - 2, kept.end()), ElementsAre("*k=10", "*k=11"));
  // Then by bytes, and no more than are too many.
  for (int i = 0; i < 3000; ++i) put(i);
  const uint64_t bytes = engine_->statistics().feed_bytes;
  EXPECT_GE(bytes, options_.limits.feed_bytes * 60 / 64);
  EXPECT_LE(bytes, options_.limits.feed_bytes * 67 / 64);
  at = {Sequence{engine_->feed_floor().value + 1}};
  const size_t rows = Read(&at).size();
  EXPECT_GT(rows, 500);
  EXPECT_LT(rows, 2500);
  // A restart knows all that.
  const Sequence floor = engine_->feed_floor();
  Reopen();
  EXPECT_EQ(engine_->feed_floor(), floor);
  EXPECT_EQ(engine_->statistics().feed_bytes, bytes);
  EXPECT_EQ(ReasonOf(engine_->CheckFeedPosition({Sequence{engine_->published().value + 2}})),
            Reason::kPositionNotKept);
  EXPECT_TRUE(engine_->CheckFeedPosition({Sequence{engine_->published().value + 1}}).ok());
  engine_.reset();  // before the clock
}

TEST_F(FeedTest, TheBellRingsForItsTreeWhenThereIsSomethingToRead) {
  std::atomic<int> rung = 0;
  FeedPosition at{Sequence{1}};
  const uint64_t listener = engine_->feed_bell().Add(kTree, [&] { ++rung; });
  const auto put = [&](TreeId tree) {
    auto transaction = Begin();
    ASSERT_TRUE(PutIn(*transaction, tree, "k", "v").ok());
    ASSERT_TRUE(Commit(std::move(transaction)).ok());
  };
  put(TreeId{6});
  ASSERT_TRUE(PutOne("silent", "1").ok());
  EXPECT_EQ(rung, 0);
  put(kTree);
  EXPECT_EQ(rung, 1);
  EXPECT_THAT(Read(&at), ElementsAre("+k=v"));
  engine_->feed_bell().Remove(listener);
  put(kTree);
  EXPECT_EQ(rung, 1);
}

TEST_F(FeedTest, ATransactionTooLargeToRecordIsRefused) {
  options_.limits.unstaged_writes = 10;
  options_.limits.staged_commit_writes = 5;
  Reopen();
  auto transaction = Begin();
  for (int i = 0; i < 11; ++i) {
    ASSERT_TRUE(PutIn(*transaction, kTree, fmt::format("{}", i), "v").ok());
  }
  EXPECT_EQ(ReasonOf(Commit(std::move(transaction))), Reason::kLimitExceeded);
  transaction = Begin();
  for (int i = 0; i < 10; ++i) {
    ASSERT_TRUE(PutIn(*transaction, kTree, fmt::format("{}", i), "v").ok());
  }
  EXPECT_TRUE(Commit(std::move(transaction)).ok());
  FeedPosition at{Sequence{1}};
  EXPECT_EQ(Read(&at).size(), 10);
}

// The oracle: whatever the followers have read at any moment, replayed, is the tree at the commit
// that they have reached.
class FeedOracleTest : public FeedTest {
 protected:
  using Items = std::map<std::string, std::pair<std::string, std::string>>;  // value, ride-on
  struct Follower {
    FeedPosition at{Sequence{1}};
    Items items;
  };

  static void Play(const FeedChange& change, Items* items) {
    const std::string key(change.key);
    EXPECT_EQ(items->contains(key), change.kind != FeedKind::kAdded) << key;
    if (change.kind == FeedKind::kRemoved) {
      items->erase(key);
    } else if (change.kind == FeedKind::kKeyUpdated) {
      (*items)[key].second = change.ride_on;
    } else {
      (*items)[key] = {std::string(change.value), std::string(change.ride_on)};
    }
  }

  static Items ItemsOf(Transaction& transaction) {
    Items items;
    const auto cursor = transaction.OpenCursor(Followed(transaction), ReadMode::kItem);
    absl::Status status = cursor->SeekToFirst();
    while (status.ok() && cursor->Valid()) {
      items[std::string(cursor->key())] = {std::string(cursor->item().value),
                                           std::string(cursor->item().ride_on)};
      status = cursor->Next();
    }
    EXPECT_TRUE(status.ok()) << status;
    return items;
  }

  // A few changes, in pieces; holds what was played against the tree if that is all.
  void Follow(Follower* follower) {
    const auto transaction = Begin(Mode::kReadOnly);
    uint64_t left = random_.Next64() % 20;
    const auto next =
        ReadFeed(transaction->snapshot(), {kTree, follower->at, 1 + random_.Next64() % 4000},
                 [&](const FeedEvent& event, const FeedPosition&) {
                   if (left == 0) return false;
                   --left;
                   Play(event.change, &follower->items);
                   return true;
                 });
    ASSERT_TRUE(next.ok()) << next.status();
    follower->at = *next;
    if (next->sequence > transaction->read_version()) {
      ASSERT_EQ(follower->items, ItemsOf(*transaction));
    }
  }

  void WriteSome(Transaction& transaction, int step) {
    const TreeSlot tree = Followed(transaction);
    for (uint64_t n = 0; n <= random_.Next64() % 8; ++n) {
      const std::string key = fmt::format("{:02}", random_.Next64() % 60);
      const auto there = transaction.Get(tree, key, ReadMode::kKeyOnly);
      ASSERT_TRUE(there.ok());
      const uint64_t what = random_.Next64() % 4;
      absl::Status written;
      if (what == 0) {
        written = transaction.Erase(tree, key);
      } else if (what == 1 && there->has_value()) {
        written = transaction.SetRideOn(tree, key, fmt::format("r{}", step));
      } else {
        written = PutIn(transaction, kTree, key, fmt::format("v{}", step));
      }
      ASSERT_TRUE(written.ok()) << written;
    }
  }

  const uint64_t seed_ = TestSeed(20261127);
  base::SeededRandom random_{seed_};
};

TEST_F(FeedOracleTest, ReplayedItIsTheTreeAtEveryMoment) {
  SCOPED_TRACE(seed_);
  std::vector<Follower> followers(3);
  for (int step = 0; step < 600; ++step) {
    std::vector<std::shared_ptr<Transaction>> together;
    for (uint64_t i = 0; i <= random_.Next64() % 3; ++i) together.push_back(Begin());
    for (const auto& transaction : together) WriteSome(*transaction, step);
    for (auto& transaction : together) {
      const absl::Status status = Commit(std::move(transaction));
      ASSERT_TRUE(status.ok() || ReasonOf(status) == Reason::kConflict) << status;
    }
    for (Follower& follower : followers) {
      if (random_.Next64() % 3 == 0) Follow(&follower);
    }
    if (step % 100 == 99) Reopen();
  }
  for (Follower& follower : followers) {
    while (follower.at.sequence <= engine_->published() && !HasFailure()) Follow(&follower);
  }
}

}  // namespace
}  // namespace sop::txn
