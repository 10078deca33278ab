#include "core/txn/engine.h"

#include <algorithm>
#include <future>
#include <latch>
#include <map>
#include <string>
#include <vector>

#include <fmt/format.h>
#include <gtest/gtest.h>

#include "core/base/error.h"
#include "core/txn/engine_fixture_test.h"
#include "core/txn/transaction_cursor.h"

namespace sop::txn {
namespace {

class EngineTest : public EngineFixture {};

TEST_F(EngineTest, CommittedWritesAreSeenByLaterTransactionsOnly) {
  auto before = Begin(Mode::kReadOnly);
  ASSERT_TRUE(PutOne("a", "1").ok());
  auto after = Begin();
  EXPECT_EQ(Get(*before, "a"), "-");
  EXPECT_EQ(Get(*after, "a"), "1");
}

TEST_F(EngineTest, OwnWritesAreReadBack) {
  ASSERT_TRUE(PutOne("b", "base").ok());
  ASSERT_TRUE(PutOne("d", "base").ok());
  auto transaction = Begin();
  ASSERT_TRUE(Put(*transaction, "a", "own").ok());
  ASSERT_TRUE(Put(*transaction, "b", "changed").ok());
  ASSERT_TRUE(transaction->Erase(Open(*transaction), "d").ok());
  ASSERT_TRUE(Put(*transaction, "e", "own").ok());
  EXPECT_EQ(Scan(*transaction), "a=own b=changed e=own");
  EXPECT_EQ(*transaction->Count(Open(*transaction), "", ""), 3U);
  EXPECT_EQ(Get(*transaction, "d"), "-");
  auto cursor = transaction->OpenCursor(Open(*transaction), ReadMode::kItem);
  ASSERT_TRUE(cursor->SeekToLast().ok());
  EXPECT_EQ(cursor->key(), "e");
  ASSERT_TRUE(cursor->Previous().ok());
  EXPECT_EQ(cursor->key(), "b");
  ASSERT_TRUE(cursor->Next().ok());
  EXPECT_EQ(cursor->key(), "e");
  ASSERT_TRUE(cursor->SeekToRank(1).ok());
  EXPECT_EQ(cursor->key(), "b");
  cursor.reset();
  ASSERT_TRUE(Commit(std::move(transaction)).ok());
  EXPECT_EQ(Scan(*Begin()), "a=own b=changed e=own");
}

TEST_F(EngineTest, SecondWriterOfAReadKeyConflicts) {
  ASSERT_TRUE(PutOne("a", "1").ok());
  auto first = Begin();
  auto second = Begin();
  EXPECT_EQ(Get(*first, "a"), "1");
  EXPECT_EQ(Get(*second, "a"), "1");
  ASSERT_TRUE(Put(*first, "a", "2").ok());
  ASSERT_TRUE(Put(*second, "a", "3").ok());
  EXPECT_TRUE(Commit(std::move(first)).ok());
  const absl::Status status = Commit(std::move(second));
  EXPECT_EQ(ReasonOf(status), Reason::kConflict);
  const ErrorDetails expected = {{"tree", "5"}, {"key", "a"}};
  EXPECT_EQ(DetailsOf(status), expected);
  EXPECT_EQ(Get(*Begin(), "a"), "2");
}

TEST_F(EngineTest, DifferentKeysOfOneNodeMerge) {
  ASSERT_TRUE(PutOne("m", "1").ok());
  auto first = Begin();
  auto second = Begin();
  EXPECT_EQ(Get(*first, "a"), "-");
  EXPECT_EQ(Get(*second, "z"), "-");
  ASSERT_TRUE(Put(*first, "a", "1").ok());
  ASSERT_TRUE(Put(*second, "z", "1").ok());
  EXPECT_TRUE(Commit(std::move(first)).ok());
  EXPECT_TRUE(Commit(std::move(second)).ok());
  EXPECT_EQ(Scan(*Begin()), "a=1 m=1 z=1");
}

TEST_F(EngineTest, PhantomInScannedRangeConflicts) {
  ASSERT_TRUE(PutOne("b", "1").ok());
  auto scanner = Begin();
  EXPECT_EQ(Scan(*scanner, "a"), "b=1");
  ASSERT_TRUE(Put(*scanner, "sum", "1").ok());
  ASSERT_TRUE(PutOne("c", "2").ok());
  EXPECT_EQ(ReasonOf(Commit(std::move(scanner))), Reason::kConflict);
}

TEST_F(EngineTest, WriteOutsideScannedRangeMerges) {
  ASSERT_TRUE(PutOne("b", "1").ok());
  auto scanner = Begin();
  EXPECT_EQ(Scan(*scanner, "b"), "b=1");
  ASSERT_TRUE(Put(*scanner, "sum", "1").ok());
  ASSERT_TRUE(PutOne("a", "2").ok());
  EXPECT_TRUE(Commit(std::move(scanner)).ok());
}

TEST_F(EngineTest, WriteSkewIsRefused) {
  ASSERT_TRUE(PutOne("x", "1").ok());
  ASSERT_TRUE(PutOne("y", "1").ok());
  auto first = Begin();
  auto second = Begin();
  Get(*first, "x");
  Get(*first, "y");
  Get(*second, "x");
  Get(*second, "y");
  ASSERT_TRUE(Put(*first, "x", "0").ok());
  ASSERT_TRUE(Put(*second, "y", "0").ok());
  EXPECT_TRUE(Commit(std::move(first)).ok());
  EXPECT_EQ(ReasonOf(Commit(std::move(second))), Reason::kConflict);
}

TEST_F(EngineTest, SnapshotIsolationAllowsWriteSkewButNotLostUpdates) {
  ASSERT_TRUE(PutOne("x", "1").ok());
  ASSERT_TRUE(PutOne("y", "1").ok());
  auto first = Begin(Mode::kReadWrite, Isolation::kSnapshot);
  auto second = Begin(Mode::kReadWrite, Isolation::kSnapshot);
  auto third = Begin(Mode::kReadWrite, Isolation::kSnapshot);
  Get(*second, "x");
  ASSERT_TRUE(Put(*first, "x", "0").ok());
  ASSERT_TRUE(Put(*second, "y", "0").ok());
  ASSERT_TRUE(Put(*third, "x", "7").ok());
  EXPECT_TRUE(Commit(std::move(first)).ok());
  EXPECT_TRUE(Commit(std::move(second)).ok());
  EXPECT_EQ(ReasonOf(Commit(std::move(third))), Reason::kConflict);
}

TEST_F(EngineTest, KeyOnlyReadsDoNotMindOtherValues) {
  ASSERT_TRUE(PutOne("a", "1").ok());
  auto reader = Begin();
  EXPECT_EQ(Get(*reader, "a", ReadMode::kKeyOnly), "");  // there, without its value
  ASSERT_TRUE(Put(*reader, "seen", "a").ok());
  auto writer = Begin();
  ASSERT_TRUE(Put(*writer, "a", "2", ChangeKind::kValueOnly).ok());
  ASSERT_TRUE(Commit(std::move(writer)).ok());
  EXPECT_TRUE(Commit(std::move(reader)).ok());

  auto again = Begin();
  EXPECT_EQ(Get(*again, "a", ReadMode::kKeyOnly), "");
  ASSERT_TRUE(Put(*again, "seen", "a").ok());
  auto eraser = Begin();
  ASSERT_TRUE(eraser->Erase(Open(*eraser), "a").ok());
  ASSERT_TRUE(Commit(std::move(eraser)).ok());
  EXPECT_EQ(ReasonOf(Commit(std::move(again))), Reason::kConflict);
}

TEST_F(EngineTest, BlindWritesNeverConflict) {
  auto first = Begin();
  auto second = Begin();
  ASSERT_TRUE(Put(*first, "a", "1").ok());
  ASSERT_TRUE(Put(*second, "a", "2").ok());
  EXPECT_TRUE(Commit(std::move(first)).ok());
  EXPECT_TRUE(Commit(std::move(second)).ok());
  EXPECT_EQ(Get(*Begin(), "a"), "2");
}

TEST_F(EngineTest, CountsAreValidatedByValue) {
  ASSERT_TRUE(PutOne("a", "1").ok());
  auto counter = Begin();
  EXPECT_EQ(*counter->Count(Open(*counter), "", ""), 1U);
  ASSERT_TRUE(Put(*counter, "n", "1").ok());
  auto swap = Begin();
  ASSERT_TRUE(swap->Erase(Open(*swap), "a").ok());
  ASSERT_TRUE(Put(*swap, "b", "1").ok());
  ASSERT_TRUE(Commit(std::move(swap)).ok());
  EXPECT_TRUE(Commit(std::move(counter)).ok()) << "same number, other keys";
  auto late = Begin();
  EXPECT_EQ(*late->Count(Open(*late), "", ""), 2U);
  ASSERT_TRUE(Put(*late, "n", "2").ok());
  ASSERT_TRUE(PutOne("c", "1").ok());
  EXPECT_EQ(ReasonOf(Commit(std::move(late))), Reason::kConflict);
}

TEST_F(EngineTest, AddsCommuteAndConflictWithReaders) {
  auto first = Begin();
  auto second = Begin();
  ASSERT_TRUE(first->Add(Open(*first), "n", 5).ok());
  ASSERT_TRUE(second->Add(Open(*second), "n", -2).ok());
  auto reader = Begin();
  EXPECT_EQ(Get(*reader, "n"), "-");
  ASSERT_TRUE(Put(*reader, "seen", "x").ok());
  EXPECT_TRUE(Commit(std::move(first)).ok());
  EXPECT_TRUE(Commit(std::move(second)).ok());
  EXPECT_EQ(ReasonOf(Commit(std::move(reader))), Reason::kConflict);
  const std::string three("\x03\0\0\0\0\0\0\0", 8);
  EXPECT_EQ(Get(*Begin(), "n"), three);
}

TEST_F(EngineTest, AddToSomethingElseIsRefusedAlone) {
  ASSERT_TRUE(PutOne("a", "text").ok());
  auto adder = Begin();
  ASSERT_TRUE(adder->Add(Open(*adder), "a", 1).ok());
  EXPECT_EQ(ReasonOf(Commit(std::move(adder))), Reason::kInvalidValue);
  EXPECT_EQ(Get(*Begin(), "a"), "text");
}

TEST_F(EngineTest, LateFieldsAscendInCommitOrder) {
  std::vector<std::shared_ptr<Transaction>> transactions = {Begin(), Begin(), Begin()};
  for (auto& transaction : transactions) {
    for (int i = 0; i < 3; ++i) {
      ItemWrite item;
      item.late_key_offset = 4;
      const std::string owner = fmt::format("{}", transaction->id().low);
      item.value = owner;
      ASSERT_TRUE(transaction->Put(Open(*transaction), "doc/________", item).ok());
    }
  }
  std::reverse(transactions.begin(), transactions.end());
  std::vector<uint64_t> owners;
  for (auto& transaction : transactions) {
    owners.push_back(transaction->id().low);
    ASSERT_TRUE(Commit(std::move(transaction)).ok());
  }
  auto reader = Begin();
  auto cursor = reader->OpenCursor(Open(*reader), ReadMode::kItem);
  ASSERT_TRUE(cursor->SeekToFirst().ok());
  for (const uint64_t owner : owners) {
    for (int i = 0; i < 3; ++i) {
      ASSERT_TRUE(cursor->Valid());
      EXPECT_EQ(cursor->item().value, fmt::format("{}", owner));
      ASSERT_TRUE(cursor->Next().ok());
    }
  }
  EXPECT_FALSE(cursor->Valid());
}

TEST_F(EngineTest, ReadOnlyTransactionsRefuseWrites) {
  auto transaction = Begin(Mode::kReadOnly);
  EXPECT_EQ(ReasonOf(Put(*transaction, "a", "1")), Reason::kReadOnlyTransaction);
}

TEST_F(EngineTest, WritesAboveTheLimitAreRefusedAndTheTransactionStaysUsable) {
  options_.limits.transaction_writes = 3;
  options_.limits.transaction_bytes = 100;
  Reopen();
  auto transaction = Begin();
  EXPECT_EQ(ReasonOf(Put(*transaction, "k", std::string(100, 'v'))), Reason::kLimitExceeded);
  for (int i = 0; i < 3; ++i) ASSERT_TRUE(Put(*transaction, fmt::format("{}", i), "v").ok());
  EXPECT_EQ(ReasonOf(Put(*transaction, "4", "v")), Reason::kLimitExceeded);
  ASSERT_TRUE(Commit(std::move(transaction)).ok());
  EXPECT_EQ(Scan(*Begin()), "0=v 1=v 2=v");
}

TEST_F(EngineTest, OldSnapshotsAreValidatedByTheTreeWhenTheWindowIsTooShort) {
  options_.limits.conflict_window_bytes = 1;
  Reopen();
  for (int i = 0; i < 200; ++i) ASSERT_TRUE(PutOne(fmt::format("k{:03}", i), "0").ok());
  auto untouched = Begin();
  auto touched = Begin();
  auto ranged = Begin();
  auto phantom = Begin();
  EXPECT_EQ(Get(*untouched, "k010"), "0");
  EXPECT_EQ(Get(*untouched, "k010x"), "-");
  EXPECT_EQ(Get(*touched, "k150"), "0");
  Scan(*phantom, "k190");
  {
    auto cursor = ranged->OpenCursor(Open(*ranged), ReadMode::kItem);
    ASSERT_TRUE(cursor->Seek("k000").ok());
    for (int i = 0; i < 50; ++i) ASSERT_TRUE(cursor->Next().ok());
  }
  for (auto* transaction : {&untouched, &touched, &ranged, &phantom}) {
    ASSERT_TRUE(Put(**transaction, fmt::format("w{}", (*transaction)->id().low), "1").ok());
  }
  for (int i = 100; i < 160; ++i) ASSERT_TRUE(PutOne(fmt::format("k{:03}", i), "1").ok());
  ASSERT_TRUE(PutOne("k195x", "1").ok());
  ASSERT_TRUE(PutOne("k011", "1").ok());
  EXPECT_TRUE(Commit(std::move(untouched)).ok());
  EXPECT_EQ(ReasonOf(Commit(std::move(touched))), Reason::kConflict);
  EXPECT_EQ(ReasonOf(Commit(std::move(ranged))), Reason::kConflict) << "k011 changed";
  EXPECT_EQ(ReasonOf(Commit(std::move(phantom))), Reason::kConflict);
}

TEST_F(EngineTest, LargeReadSetsCoarsenAndStillConflict) {
  options_.limits.read_set_bytes = 4096;
  Reopen();
  for (int i = 0; i < 500; ++i) ASSERT_TRUE(PutOne(fmt::format("k{:03}", i), "0").ok());
  auto reader = Begin();
  for (int i = 0; i < 400; ++i) Get(*reader, fmt::format("k{:03}", i));
  ASSERT_TRUE(Put(*reader, "sum", "0").ok());
  ASSERT_TRUE(PutOne("k123", "1").ok());
  EXPECT_EQ(ReasonOf(Commit(std::move(reader))), Reason::kConflict);
}

TEST_F(EngineTest, ValuesOutOfNodesAreReadBackAndFreed) {
  const std::string large(20'000, 'L');
  auto writer = Begin();
  ItemWrite item;
  item.value = large;
  item.placement = Placement::kOutOfNode;
  ASSERT_TRUE(writer->Put(Open(*writer), "a", item).ok());
  EXPECT_EQ(Get(*writer, "a"), large);
  ASSERT_TRUE(Commit(std::move(writer)).ok());
  auto old = Begin(Mode::kReadOnly);
  EXPECT_EQ(Get(*old, "a"), large);
  ASSERT_TRUE(PutOne("a", "small").ok());
  EXPECT_EQ(Get(*old, "a"), large) << "an older snapshot still sees it";
  EXPECT_EQ(Get(*Begin(), "a"), "small");
}

TEST_F(EngineTest, CountsSurviveFoldingAndReopening) {
  std::map<std::string, std::string> expected;
  for (int i = 0; i < 600; ++i) {
    const std::string key = fmt::format("{:05}", i * 7919 % 10'000);
    expected[key] = "v";
    ASSERT_TRUE(PutOne(key, "v").ok());
    if (i % 150 == 0) ASSERT_TRUE(engine_->Fold().ok());
    if (i % 200 == 199) Reopen();
  }
  const auto check = [&] {
    auto reader = Begin();
    EXPECT_EQ(*reader->Count(Open(*reader), "", ""), expected.size());
    for (int i = 0; i < 10'000; i += 501) {
      const std::string key = fmt::format("{:05}", i);
      const auto below =
          static_cast<uint64_t>(std::distance(expected.begin(), expected.lower_bound(key)));
      EXPECT_EQ(*reader->Count(Open(*reader), "", key), below);
    }
  };
  check();
  Reopen();
  check();
  ASSERT_TRUE(engine_->Fold().ok());
  Reopen();
  check();
}

TEST_F(EngineTest, ATinyCacheStillAnswersForEverySnapshot) {
  options_.cache = std::make_shared<CacheBudget>(size_t{16} << 10);
  Reopen();
  std::vector<std::pair<std::shared_ptr<Transaction>, std::string>> snapshots;
  for (int round = 0; round < 30; ++round) {
    for (int i = 0; i < 40; ++i) {
      ASSERT_TRUE(
          PutOne(fmt::format("k{:03}", (i * 37 + round) % 300), fmt::format("{}", round)).ok());
    }
    auto snapshot = Begin(Mode::kReadOnly);
    std::string content = Scan(*snapshot);
    snapshots.emplace_back(std::move(snapshot), std::move(content));
  }
  for (auto& [snapshot, content] : snapshots) {
    EXPECT_EQ(Scan(*snapshot), content);
    EXPECT_EQ(*snapshot->Count(Open(*snapshot), "", ""),
              static_cast<uint64_t>(std::count(content.begin(), content.end(), '=')));
  }
}

TEST_F(EngineTest, ARepeatedTokenIsAnsweredAndNotRun) {
  CommitOptions options;
  options.token = engine_->MakeTransactionId();
  options.reply = "first";
  auto first = Begin();
  ASSERT_TRUE(first->Add(Open(*first), "n", 1).ok());
  const CommitResult done = engine_->CommitAndWait(std::move(first), options);
  ASSERT_TRUE(done.status.ok());
  const auto outcome = engine_->FindOutcome(*options.token);
  ASSERT_TRUE(outcome.ok() && outcome->has_value());
  EXPECT_EQ((*outcome)->version, done.version);
  EXPECT_EQ((*outcome)->reply, "first");
  auto again = Begin();
  ASSERT_TRUE(again->Add(Open(*again), "n", 1).ok());
  options.reply = "second";
  const CommitResult repeated = engine_->CommitAndWait(std::move(again), options);
  EXPECT_TRUE(repeated.status.ok());
  EXPECT_EQ(repeated.version, done.version);
  EXPECT_EQ(repeated.earlier_reply, "first");
  EXPECT_EQ(Get(*Begin(), "n"), std::string("\x01\0\0\0\0\0\0\0", 8));
  Reopen();
  EXPECT_TRUE(engine_->FindOutcome(*options.token)->has_value());
  const Uuid old{uint64_t{1'600'000'000'000} << 16, 1};
  EXPECT_EQ(ReasonOf(engine_->FindOutcome(old).status()), Reason::kOutcomeUnknown);
}

TEST_F(EngineTest, ARepetitionOfACommitUnderWayGetsItsReply) {
  // No thread is free to commit until both calls have come.
  std::promise<void> both;
  const std::shared_future<void> came = both.get_future().share();
  for (int i = 0; i < kPoolThreads; ++i) pool_.Schedule([came] { came.wait(); });
  CommitOptions options;
  options.token = engine_->MakeTransactionId();
  std::vector<CommitResult> results(2);
  std::latch answered(2);
  for (size_t i = 0; i < results.size(); ++i) {
    auto transaction = Begin();
    ASSERT_TRUE(transaction->Add(Open(*transaction), "n", 1).ok());
    options.reply = fmt::format("reply {}", i);
    engine_->Commit(std::move(transaction), options, [&, i](CommitResult result) {
      results[i] = std::move(result);
      answered.count_down();
    });
  }
  both.set_value();
  answered.wait();
  ASSERT_TRUE(results[0].status.ok() && results[1].status.ok());
  EXPECT_FALSE(results[0].earlier_reply.has_value());
  EXPECT_EQ(results[1].earlier_reply, "reply 0");
  EXPECT_EQ(results[1].version, results[0].version);
  EXPECT_EQ(Get(*Begin(), "n"), std::string("\x01\0\0\0\0\0\0\0", 8));
}

}  // namespace
}  // namespace sop::txn
