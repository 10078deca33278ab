// Large transactions: staged outside the committer, then put in the place of what they replace.

#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <random>
#include <set>
#include <string>
#include <utility>

#include <fmt/format.h>
#include <gtest/gtest.h>

#include "core/base/error.h"
#include "core/txn/engine_fixture_test.h"
#include "core/txn/test_seed.h"
#include "storage/memory/fault_injecting_storage.h"

namespace sop::txn {
namespace {

using Oracle = std::map<std::string, std::string>;

// Transactions above a few hundred bytes are staged; `Meanwhile` runs between staging and the turn
// to commit, on the thread that stages.
class EngineStagedTest : public EngineFixture {
 protected:
  EngineStagedTest() {
    options_.limits.staged_commit_bytes = 500;
    options_.limits.staged_commit_writes = 20;
    options_.limits.overlay_memory_bytes = 64 << 10;
  }
  void SetUp() override {
    EngineFixture::SetUp();
    engine_.reset();
    state_ = storage_->state();
    faulty_ = std::make_unique<memory::FaultInjectingStorage>(std::move(storage_));
    OpenAgain();
  }
  void TearDown() override {
    engine_.reset();
    EXPECT_EQ(state_->StagedCount(), 0U);
    EXPECT_EQ(faulty_->ArmedCount(), 0U);
    faulty_.reset();
  }
  void OpenAgain() {
    engine_.reset();
    options_.cache = std::make_shared<CacheBudget>(options_.cache->limit_bytes());
    auto engine = Engine::Open(*faulty_, options_);
    ASSERT_TRUE(engine.ok()) << engine.status();
    engine_ = *std::move(engine);
  }
  void Meanwhile(std::function<void()> what) {
    memory::Fault fault;
    fault.point = memory::FaultPoint::kSealNodes;
    fault.action = memory::FaultAction::kInterrupt;
    fault.before = std::move(what);
    faulty_->Arm(std::move(fault));
  }
  static std::string Key(uint64_t number) { return fmt::format("key{:06}", number); }

  // Writes items [from, to) in one transaction, which is not committed.
  std::shared_ptr<Transaction> Fill(uint64_t from, uint64_t to, std::string_view value) {
    auto transaction = Begin();
    for (uint64_t i = from; i < to; ++i) {
      EXPECT_TRUE(Put(*transaction, Key(i), fmt::format("{}{}", value, i)).ok());
    }
    return transaction;
  }
  void FillOracle(uint64_t from, uint64_t to, std::string_view value) {
    for (uint64_t i = from; i < to; ++i) oracle_[Key(i)] = fmt::format("{}{}", value, i);
  }
  void PutBoth(const std::string& key, const std::string& value) {
    ASSERT_TRUE(PutOne(key, value).ok());
    oracle_[key] = value;
  }
  absl::Status EraseOne(const std::string& key) {
    auto transaction = Begin();
    const absl::Status status = transaction->Erase(Open(*transaction), key);
    return status.ok() ? Commit(std::move(transaction)) : status;
  }
  uint64_t Staged() { return engine_->statistics().staged; }

  // Items, order and counts of everything and of some ranges, as cached and as stored.
  void ExpectOracle() {
    ExpectOracleNow();
    OpenAgain();
    ExpectOracleNow();
  }
  void ExpectOracleNow() {
    auto reader = Begin(Mode::kReadOnly);
    auto cursor = reader->OpenCursor(Open(*reader), ReadMode::kItem);
    auto expected = oracle_.begin();
    ASSERT_TRUE(cursor->SeekToFirst().ok());
    for (; cursor->Valid(); ++expected) {
      ASSERT_TRUE(expected != oracle_.end()) << cursor->key();
      ASSERT_EQ(cursor->key(), expected->first);
      btree::Item item(cursor->item());
      ASSERT_TRUE(reader->LoadValue(Open(*reader), &item).ok()) << expected->first;
      ASSERT_EQ(item.value, expected->second);
      ASSERT_TRUE(cursor->Next().ok());
    }
    ASSERT_TRUE(expected == oracle_.end()) << expected->first;
    ASSERT_EQ(reader->Count(Open(*reader), {}, {}).value(), oracle_.size());
    for (uint64_t at = 0; at < 3000; at += 370) {
      const auto begin = oracle_.lower_bound(Key(at));
      const auto end = oracle_.lower_bound(Key(at + 500));
      ASSERT_EQ(reader->Count(Open(*reader), Key(at), Key(at + 500)).value(),
                static_cast<uint64_t>(std::distance(begin, end)));
    }
  }

  Oracle oracle_;
  std::shared_ptr<memory::MemoryState> state_;
  std::unique_ptr<memory::FaultInjectingStorage> faulty_;
};

TEST_F(EngineStagedTest, FillsAnEmptyTree) {
  ASSERT_TRUE(Commit(Fill(0, 3000, "v")).ok());
  EXPECT_EQ(Staged(), 1U);
  FillOracle(0, 3000, "v");
  ExpectOracle();
}

TEST_F(EngineStagedTest, SmallOnesAreNotStaged) {
  ASSERT_TRUE(Commit(Fill(0, 20, "v")).ok());
  EXPECT_EQ(Staged(), 0U);
  ASSERT_TRUE(Commit(Fill(0, 21, "v")).ok());
  EXPECT_EQ(Staged(), 1U);
}

TEST_F(EngineStagedTest, UpdatesInsertsAndErasesInAGrownTree) {
  ASSERT_TRUE(Commit(Fill(0, 2000, "v")).ok());
  FillOracle(0, 2000, "v");
  auto transaction = Begin();
  for (uint64_t i = 0; i < 3000; i += 3) {
    if (i % 2 == 0) {
      ASSERT_TRUE(transaction->Erase(Open(*transaction), Key(i)).ok());
      oracle_.erase(Key(i));
    } else {
      ASSERT_TRUE(Put(*transaction, Key(i), "changed").ok());
      oracle_[Key(i)] = "changed";
    }
  }
  ASSERT_TRUE(Commit(std::move(transaction)).ok());
  EXPECT_EQ(Staged(), 2U);
  ExpectOracle();
  // The tree goes on as any other.
  for (uint64_t i = 0; i < 300; ++i) PutBoth(Key(i * 11), "later");
  ExpectOracle();
}

TEST_F(EngineStagedTest, ErasesEverything) {
  ASSERT_TRUE(Commit(Fill(0, 2000, "v")).ok());
  auto transaction = Begin();
  for (uint64_t i = 0; i < 2000; ++i) {
    ASSERT_TRUE(transaction->Erase(Open(*transaction), Key(i)).ok());
  }
  ASSERT_TRUE(Commit(std::move(transaction)).ok());
  EXPECT_EQ(Staged(), 2U);
  ExpectOracle();
  ASSERT_TRUE(Commit(Fill(500, 900, "w")).ok());
  FillOracle(500, 900, "w");
  ExpectOracle();
}

TEST_F(EngineStagedTest, OldSnapshotsSeeNothingOfIt) {
  ASSERT_TRUE(Commit(Fill(0, 1000, "v")).ok());
  auto before = Begin(Mode::kReadOnly);
  const uint64_t count = before->Count(Open(*before), {}, {}).value();
  ASSERT_TRUE(Commit(Fill(500, 2000, "w")).ok());
  for (uint64_t i = 0; i < 2000; i += 7) {
    ASSERT_EQ(Get(*before, Key(i)), i < 1000 ? fmt::format("v{}", i) : "-");
  }
  EXPECT_EQ(before->Count(Open(*before), {}, {}).value(), count);
  FillOracle(0, 500, "v");
  FillOracle(500, 2000, "w");
  before.reset();
  ExpectOracle();
}

TEST_F(EngineStagedTest, KeepsWhatOthersCommittedMeanwhile) {
  ASSERT_TRUE(Commit(Fill(0, 1000, "v")).ok());
  FillOracle(0, 1000, "v");
  Meanwhile([&] {
    for (uint64_t i = 5; i < 1500; i += 50) PutBoth(Key(i) + "a", "other");
    for (uint64_t i = 0; i < 100; ++i) PutBoth(Key(300) + fmt::format("b{:03}", i), "splits");
    for (uint64_t i = 600; i < 690; ++i) {
      ASSERT_TRUE(EraseOne(Key(i)).ok());
      oracle_.erase(Key(i));
    }
  });
  auto transaction = Fill(250, 400, "w");
  for (uint64_t i = 640; i < 1800; ++i) {
    ASSERT_TRUE(Put(*transaction, Key(i), fmt::format("w{}", i)).ok());
  }
  ASSERT_TRUE(Commit(std::move(transaction)).ok());
  EXPECT_EQ(Staged(), 2U);
  FillOracle(250, 400, "w");
  FillOracle(640, 1800, "w");
  ExpectOracle();
}

TEST_F(EngineStagedTest, FillsATreeThatOthersBeganMeanwhile) {
  Meanwhile([&] {
    for (uint64_t i = 0; i < 400; ++i) PutBoth(Key(i * 5) + "x", "other");
  });
  ASSERT_TRUE(Commit(Fill(0, 1500, "v")).ok());
  FillOracle(0, 1500, "v");
  ExpectOracle();
}

TEST_F(EngineStagedTest, AReadThatChangedMeanwhileConflicts) {
  ASSERT_TRUE(Commit(Fill(0, 500, "v")).ok());
  Meanwhile([&] { ASSERT_TRUE(PutOne(Key(7), "other").ok()); });
  auto transaction = Fill(100, 400, "w");
  EXPECT_EQ(Get(*transaction, Key(7)), "v7");
  const absl::Status status = Commit(std::move(transaction));
  EXPECT_EQ(ReasonOf(status), Reason::kConflict) << status;
  EXPECT_EQ(state_->StagedCount(), 0U);
  FillOracle(0, 500, "v");
  oracle_[Key(7)] = "other";
  ExpectOracle();
}

TEST_F(EngineStagedTest, AReadThatChangedBeforeStagingConflicts) {
  ASSERT_TRUE(Commit(Fill(0, 500, "v")).ok());
  auto transaction = Fill(100, 400, "w");
  EXPECT_EQ(Get(*transaction, Key(7)), "v7");
  ASSERT_TRUE(PutOne(Key(7), "other").ok());
  EXPECT_EQ(ReasonOf(Commit(std::move(transaction))), Reason::kConflict);
}

TEST_F(EngineStagedTest, SnapshotIsolationConflictsOnWritesOnly) {
  ASSERT_TRUE(Commit(Fill(0, 500, "v")).ok());
  for (const uint64_t other : {150, 450}) {
    auto transaction = Begin(Mode::kReadWrite, Isolation::kSnapshot);
    Get(*transaction, Key(450));
    for (uint64_t i = 100; i < 400; ++i) ASSERT_TRUE(Put(*transaction, Key(i), "w").ok());
    Meanwhile([&] { ASSERT_TRUE(PutOne(Key(other), "other").ok()); });
    const absl::Status status = Commit(std::move(transaction));
    if (other == 150) {
      EXPECT_EQ(ReasonOf(status), Reason::kConflict);
    } else {
      EXPECT_TRUE(status.ok()) << status;
    }
  }
}

TEST_F(EngineStagedTest, OthersAreValidatedAgainstIt) {
  ASSERT_TRUE(Commit(Fill(0, 500, "v")).ok());
  auto touched = Begin();
  auto untouched = Begin();
  auto phantom = Begin();
  Get(*touched, Key(200));
  Get(*untouched, Key(450));
  Get(*phantom, Key(300) + "z");
  auto large = Fill(100, 400, "w");
  ASSERT_TRUE(Put(*large, Key(300) + "z", "w").ok());
  ASSERT_TRUE(Commit(std::move(large)).ok());
  for (auto* transaction : {&touched, &untouched, &phantom}) {
    ASSERT_TRUE(Put(**transaction, "zzz", "x").ok());
  }
  EXPECT_EQ(ReasonOf(Commit(std::move(touched))), Reason::kConflict);
  EXPECT_EQ(ReasonOf(Commit(std::move(phantom))), Reason::kConflict);
  EXPECT_TRUE(Commit(std::move(untouched)).ok());
}

// A key that it erased, and whose leaf went, is still seen to have been there.
TEST_F(EngineStagedTest, OthersAreValidatedAgainstItsErasures) {
  ASSERT_TRUE(Commit(Fill(0, 1000, "v")).ok());
  auto reader = Begin();
  EXPECT_EQ(Get(*reader, Key(333)), "v333");
  auto large = Begin();
  for (uint64_t i = 200; i < 800; ++i) ASSERT_TRUE(large->Erase(Open(*large), Key(i)).ok());
  ASSERT_TRUE(Commit(std::move(large)).ok());
  ASSERT_TRUE(Put(*reader, "zzz", "x").ok());
  EXPECT_EQ(ReasonOf(Commit(std::move(reader))), Reason::kConflict);
}

TEST_F(EngineStagedTest, IsStagedAnewWhenItsReservationWasPassed) {
  ASSERT_TRUE(Commit(Fill(0, 500, "v")).ok());
  FillOracle(0, 500, "v");
  Meanwhile([&] {
    auto last = Sequence{};
    for (uint64_t i = 0; i < 12'000; ++i) {
      ASSERT_TRUE(PutOne(Key(1000 + i % 400), fmt::format("other{}", i)).ok());
      ASSERT_GT(engine_->published(), last);
      last = engine_->published();
    }
    for (uint64_t i = 11'600; i < 12'000; ++i)
      oracle_[Key(1000 + i % 400)] = fmt::format("other{}", i);
  });
  ASSERT_TRUE(Commit(Fill(300, 900, "w")).ok());
  FillOracle(300, 900, "w");
  EXPECT_EQ(faulty_->Calls(memory::FaultPoint::kSealNodes), 3U);
  ExpectOracle();
}

TEST_F(EngineStagedTest, IsRebuiltOnWhatAnotherCommitterAppended) {
  ASSERT_TRUE(Commit(Fill(0, 500, "v")).ok());
  FillOracle(0, 500, "v");
  Meanwhile([&] {
    memory::MemoryStorage storage(state_, btree::Apply);
    EngineOptions options = options_;
    options.cache = std::make_shared<CacheBudget>(1 << 20);
    auto other = Engine::Open(storage, options).value();
    for (uint64_t i = 0; i < 100; ++i) {
      auto transaction = other->Begin({});
      ASSERT_TRUE(Put(*transaction, Key(i * 9) + "f", "foreign").ok());
      ASSERT_TRUE(other->CommitAndWait(std::move(transaction)).status.ok());
      oracle_[Key(i * 9) + "f"] = "foreign";
    }
  });
  ASSERT_TRUE(Commit(Fill(100, 800, "w")).ok());
  FillOracle(100, 800, "w");
  ExpectOracle();
}

TEST_F(EngineStagedTest, ValuesOutOfTheNodeComeAndGo) {
  std::vector<Serial> ids;
  const auto put = [&](uint64_t from, uint64_t to, std::string_view value) {
    auto transaction = Begin();
    for (uint64_t i = from; i < to; ++i) {
      ItemWrite item;
      const std::string bytes = fmt::format("{}{}", value, i);
      item.value = bytes;
      item.placement = Placement::kOutOfNode;
      ASSERT_TRUE(transaction->Put(Open(*transaction), Key(i), item).ok());
    }
    ASSERT_TRUE(Commit(std::move(transaction)).ok());
    FillOracle(from, to, value);
  };
  const auto references = [&] {
    std::vector<Serial> found;
    auto reader = Begin(Mode::kReadOnly);
    auto cursor = reader->OpenCursor(Open(*reader), ReadMode::kItem);
    EXPECT_TRUE(cursor->SeekToFirst().ok());
    for (; cursor->Valid(); cursor->Next().IgnoreError()) {
      found.push_back(btree::DecodeReference(cursor->item().value)->value_id);
    }
    return found;
  };
  put(0, 300, "v");
  const std::vector<Serial> first = references();
  // A leaf in the middle is built anew: what was staged for it goes.
  Meanwhile([&] { put(150, 151, "other"); });
  put(100, 200, "w");
  ExpectOracle();
  const std::vector<Serial> second = references();
  const auto snapshot = faulty_->nodes().TakeSnapshot().value();
  for (size_t i = 0; i < 300; ++i) {
    const bool kept = i < 100 || i >= 200;
    EXPECT_EQ(snapshot->ReadValue(kTree, first[i]).value().has_value(), kept) << i;
    EXPECT_TRUE(snapshot->ReadValue(kTree, second[i]).value().has_value()) << i;
  }
}

TEST_F(EngineStagedTest, LeavesThatReachOverASplitKeepTheirPartOfItemsAndValues) {
  // Values in nodes, beside them, and in storage before their transaction.
  const auto stage = [&](std::string_view value) {
    std::unique_ptr<StagedValue> staged = engine_->StageValue(kTree).value();
    EXPECT_TRUE(staged->Append(value).ok());
    EXPECT_TRUE(staged->Seal().ok());
    return staged;
  };
  const auto value_of = [](uint64_t i, uint64_t every) {
    const std::string text = fmt::format("{}of{}", i, every);
    return i % 60 == 0 ? text + std::string(persistence::kMaxWholeValueBytes, 'l') : text;
  };
  const auto fill = [&](uint64_t every) {
    auto transaction = Begin();
    for (uint64_t i = 0; i < 2'000; i += every) {
      ItemWrite item;
      const std::string bytes = value_of(i, every);
      item.value = bytes;
      item.placement = i % 3 == 0 ? Placement::kInNode : Placement::kOutOfNode;
      if (i % 60 == 0) item.staged = stage(bytes);
      EXPECT_TRUE(transaction->Put(Open(*transaction), Key(i), item).ok());
    }
    return transaction;
  };
  const auto commit = [&](std::shared_ptr<Transaction> transaction, uint64_t every) {
    ASSERT_TRUE(Commit(std::move(transaction)).ok());
    for (uint64_t i = 0; i < 2'000; i += every) oracle_[Key(i)] = value_of(i, every);
  };
  commit(fill(40), 40);
  for (const uint64_t every : {5, 3, 2}) {
    auto transaction = fill(every);
    // Others make every leaf split, and empty some.
    Meanwhile([&] {
      for (uint64_t i = 7; i < 2'000; i += 9) {
        PutBoth(Key(i) + fmt::format("x{}", every), std::string(40, 'x'));
      }
      for (uint64_t i = 1'000; i < 1'400; ++i) {
        ASSERT_TRUE(EraseOne(Key(i)).ok());
        oracle_.erase(Key(i));
      }
    });
    commit(std::move(transaction), every);
    ASSERT_NO_FATAL_FAILURE(ExpectOracle()) << every;
  }
  std::set<uint64_t> referred;
  auto reader = Begin(Mode::kReadOnly);
  auto cursor = reader->OpenCursor(Open(*reader), ReadMode::kItem);
  ASSERT_TRUE(cursor->SeekToFirst().ok());
  for (; cursor->Valid(); cursor->Next().IgnoreError()) {
    if (!cursor->item().is_reference()) continue;
    const auto value = btree::DecodeReference(cursor->item().value);
    for (uint64_t i = 0; i < value->pieces(); ++i) referred.insert(value->piece(i).value);
  }
  std::set<uint64_t> stored;
  const auto snapshot = faulty_->nodes().TakeSnapshot().value();
  const auto all = snapshot->ScanValues({}, [&](TreeId, Serial value_id, std::string_view) {
    stored.insert(value_id.value);
    return true;
  });
  ASSERT_TRUE(all.ok()) << all;
  EXPECT_EQ(stored, referred);
}

TEST_F(EngineStagedTest, CountersAndRideOnBytesMeetWhatOthersDid) {
  auto transaction = Begin();
  for (uint64_t i = 0; i < 100; ++i) {
    ASSERT_TRUE(transaction->Add(Open(*transaction), Key(i), 5).ok());
  }
  ASSERT_TRUE(Commit(std::move(transaction)).ok());
  transaction = Begin();
  for (uint64_t i = 50; i < 150; ++i) {
    ASSERT_TRUE(transaction->Add(Open(*transaction), Key(i), 7).ok());
  }
  Meanwhile([&] {
    auto other = Begin();
    ASSERT_TRUE(other->Add(Open(*other), Key(60), 100).ok());
    ASSERT_TRUE(other->Add(Open(*other), Key(140), 100).ok());
    ASSERT_TRUE(Commit(std::move(other)).ok());
  });
  ASSERT_TRUE(Commit(std::move(transaction)).ok());
  auto reader = Begin(Mode::kReadOnly);
  const std::map<uint64_t, char> expected = {{0, 5}, {55, 12}, {60, 112}, {120, 7}, {140, 107}};
  for (const auto& [key, value] : expected) {
    EXPECT_EQ(Get(*reader, Key(key)), std::string({value, 0, 0, 0, 0, 0, 0, 0})) << key;
  }
}

TEST_F(EngineStagedTest, WhatCannotBeStagedChangesNothing) {
  ASSERT_TRUE(Commit(Fill(0, 500, "v")).ok());
  FillOracle(0, 500, "v");
  for (const auto point : {memory::FaultPoint::kStageNodes, memory::FaultPoint::kPutNode,
                           memory::FaultPoint::kSealNodes, memory::FaultPoint::kAppend}) {
    memory::Fault fault;
    fault.point = point;
    fault.status = Error(Reason::kDiskFull, "planned");
    faulty_->Arm(std::move(fault));
    EXPECT_EQ(ReasonOf(Commit(Fill(100, 800, "w"))), Reason::kDiskFull);
    EXPECT_EQ(state_->StagedCount(), 0U);
  }
  ExpectOracle();
  ASSERT_TRUE(Commit(Fill(100, 800, "w")).ok());
  FillOracle(100, 800, "w");
  ExpectOracle();
}

TEST_F(EngineStagedTest, ItsOutcomeIsFound) {
  const Uuid token = engine_->MakeTransactionId();
  CommitOptions options;
  options.token = token;
  options.reply = "reply";
  const CommitResult result = engine_->CommitAndWait(Fill(0, 500, "v"), options);
  ASSERT_TRUE(result.status.ok());
  EXPECT_LE(result.version, engine_->published());
  {
    auto reader = Begin(Mode::kReadOnly);
    const auto item = reader->Get(Open(*reader), Key(3), ReadMode::kItem).value();
    EXPECT_EQ(item->version, result.version);
  }
  OpenAgain();
  const auto outcome = engine_->FindOutcome(token).value();
  ASSERT_TRUE(outcome.has_value());
  EXPECT_EQ(outcome->version, result.version);
  EXPECT_EQ(engine_->CommitAndWait(Fill(0, 500, "w"), options).earlier_reply, "reply");
  FillOracle(0, 500, "v");
  ExpectOracle();
}

TEST_F(EngineStagedTest, HoldsAsManyWritesAsTheLimitSays) {
  options_.limits.transaction_writes = 100;
  OpenAgain();
  for (const uint64_t writes : {99, 100}) ASSERT_TRUE(Commit(Fill(0, writes, "v")).ok());
  EXPECT_EQ(Staged(), 2U);
  auto transaction = Fill(0, 100, "w");
  EXPECT_EQ(ReasonOf(Put(*transaction, Key(100), "w")), Reason::kLimitExceeded);
  ASSERT_TRUE(Commit(std::move(transaction)).ok());
  FillOracle(0, 100, "w");
  ExpectOracle();
}

TEST_F(EngineStagedTest, HoldsAsManyBytesAsTheLimitSays) {
  options_.limits.transaction_bytes = 2000;
  OpenAgain();
  for (const size_t last : {990, 991, 992}) {
    auto transaction = Begin();
    ASSERT_TRUE(Put(*transaction, "a", std::string(999, 'v')).ok());
    const absl::Status put = Put(*transaction, "123456789", std::string(last, 'v'));
    if (last == 992) {
      EXPECT_EQ(ReasonOf(put), Reason::kLimitExceeded);
    } else {
      EXPECT_TRUE(put.ok()) << put;
    }
    EXPECT_TRUE(Commit(std::move(transaction)).ok());
  }
}

TEST_F(EngineStagedTest, WhatCannotBeStagedHasLimitsOfItsOwn) {
  options_.limits.unstaged_writes = 30;
  OpenAgain();
  for (const uint64_t writes : {29, 30, 31}) {
    auto transaction = Begin();
    for (uint64_t i = 0; i < writes; ++i) {
      ItemWrite item;
      item.late_key_offset = 1;
      ASSERT_TRUE(transaction->Put(Open(*transaction), "d........", item).ok());
    }
    const absl::Status status = Commit(std::move(transaction));
    if (writes == 31) {
      EXPECT_EQ(ReasonOf(status), Reason::kLimitExceeded);
    } else {
      EXPECT_TRUE(status.ok()) << status;
    }
  }
  EXPECT_EQ(Staged(), 0U);
}

TEST_F(EngineStagedTest, RandomLargeAndSmallTransactionsAgreeWithAMap) {
  const uint64_t seed = TestSeed(20260101);
  SCOPED_TRACE(fmt::format("SOP_SEED={}", seed));
  std::mt19937_64 random(seed);
  const auto below = [&](uint64_t limit) { return random() % limit; };
  const auto change = [&](Transaction& transaction, Oracle& oracle) {
    const std::string key = Key(below(2500));
    if (below(3) == 0) {
      ASSERT_TRUE(transaction.Erase(Open(transaction), key).ok());
      oracle.erase(key);
    } else {
      const std::string value = fmt::format("{}", below(1'000'000'000));
      ASSERT_TRUE(Put(transaction, key, value).ok());
      oracle[key] = value;
    }
  };
  for (int round = 0; round < 60; ++round) {
    const uint64_t others = below(4) == 0 ? 0 : below(60);
    Meanwhile([&] {
      for (uint64_t i = 0; i < others; ++i) {
        auto other = Begin();
        for (uint64_t n = below(12) + 1; n > 0; --n) change(*other, oracle_);
        ASSERT_TRUE(Commit(std::move(other)).ok());
      }
    });
    auto large = Begin();
    // Blind writes win over whatever came before them.
    std::map<std::string, std::optional<std::string>> own;
    const uint64_t first = below(2500);
    for (uint64_t n = 21 + below(700); n > 0; --n) {
      const std::string key = below(2) == 0 ? Key(first + n) : Key(below(2500));
      if (below(3) == 0) {
        ASSERT_TRUE(large->Erase(Open(*large), key).ok());
        own[key] = std::nullopt;
      } else {
        const std::string value(below(40), static_cast<char>('a' + below(26)));
        ASSERT_TRUE(Put(*large, key, value).ok());
        own[key] = value;
      }
    }
    ASSERT_TRUE(Commit(std::move(large)).ok());
    for (const auto& [key, value] : own) {
      if (value.has_value()) {
        oracle_[key] = *value;
      } else {
        oracle_.erase(key);
      }
    }
    ASSERT_NO_FATAL_FAILURE(ExpectOracleNow()) << "round " << round;
    if (round % 10 == 9) ASSERT_NO_FATAL_FAILURE(ExpectOracle()) << "round " << round;
  }
}

}  // namespace
}  // namespace sop::txn
