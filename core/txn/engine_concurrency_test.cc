// Many threads, two committers on one log, refused writes.

#include <algorithm>
#include <atomic>
#include <map>
#include <string>
#include <thread>
#include <vector>

#include <fmt/format.h>
#include <gtest/gtest.h>

#include "core/base/error.h"
#include "core/txn/engine_fixture_test.h"
#include "storage/memory/fault_injecting_storage.h"

namespace sop::txn {
namespace {

class EngineConcurrencyTest : public EngineFixture {
 protected:
  static constexpr int kThreads = 8;

  template <typename Body>
  static void InThreads(int threads, Body body) {
    std::vector<std::thread> running;
    running.reserve(static_cast<size_t>(threads));
    for (int i = 0; i < threads; ++i) running.emplace_back([&body, i] { body(i); });
    for (std::thread& thread : running) thread.join();
  }

  static int64_t Balance(Transaction& transaction, int account) {
    return std::stoll(Get(transaction, fmt::format("account{:03}", account)));
  }

  absl::Status Transfer(Engine& engine, int from, int to) {
    auto transaction = engine.Begin({});
    const int64_t a = Balance(*transaction, from);
    const int64_t b = Balance(*transaction, to);
    EXPECT_TRUE(Put(*transaction, fmt::format("account{:03}", from), fmt::format("{}", a - 1),
                    ChangeKind::kValueOnly)
                    .ok());
    EXPECT_TRUE(Put(*transaction, fmt::format("account{:03}", to), fmt::format("{}", b + 1),
                    ChangeKind::kValueOnly)
                    .ok());
    return engine.CommitAndWait(std::move(transaction)).status;
  }

  int64_t Total(Engine& engine, int accounts) {
    auto reader = engine.Begin({Mode::kReadOnly});
    int64_t total = 0;
    for (int i = 0; i < accounts; ++i) total += Balance(*reader, i);
    return total;
  }

  void MakeAccounts(int accounts) {
    auto transaction = Begin();
    for (int i = 0; i < accounts; ++i) {
      ASSERT_TRUE(Put(*transaction, fmt::format("account{:03}", i), "100").ok());
    }
    ASSERT_TRUE(Commit(std::move(transaction)).ok());
  }
};

TEST_F(EngineConcurrencyTest, DisjointKeysOfAnEmptyTreeNeverAbort) {
  std::atomic<int> failures{0};
  InThreads(kThreads, [&](int thread) {
    for (int i = 0; i < 100; ++i) {
      auto transaction = Begin();
      const std::string key = fmt::format("{:03}-{}", i, thread);
      if (Get(*transaction, key) != "-") ++failures;
      if (!Put(*transaction, key, "v").ok()) ++failures;
      if (!Commit(std::move(transaction)).ok()) ++failures;
    }
  });
  EXPECT_EQ(failures, 0);
  auto reader = Begin();
  EXPECT_EQ(*reader->Count(Open(*reader), "", ""), 800U);
}

TEST_F(EngineConcurrencyTest, MoneyIsNeitherMadeNorLost) {
  constexpr int kAccounts = 20;
  MakeAccounts(kAccounts);
  std::atomic<int> committed{0};
  std::atomic<bool> wrong{false};
  InThreads(kThreads, [&](int thread) {
    base::SeededRandom random(static_cast<uint64_t>(thread) + 1);
    for (int i = 0; i < 150; ++i) {
      const int from = static_cast<int>(random.Next64() % kAccounts);
      const int to = (from + 1 + static_cast<int>(random.Next64() % (kAccounts - 1))) % kAccounts;
      const absl::Status status = Transfer(*engine_, from, to);
      if (status.ok()) ++committed;
      if (!status.ok() && ReasonOf(status) != Reason::kConflict) wrong = true;
      if (i % 10 == 0 && Total(*engine_, kAccounts) != 100 * kAccounts) wrong = true;
    }
  });
  EXPECT_FALSE(wrong);
  EXPECT_GT(committed, 0);
  EXPECT_EQ(Total(*engine_, kAccounts), 100 * kAccounts);
}

TEST_F(EngineConcurrencyTest, TwoCommittersOnOneLogAgree) {
  constexpr int kAccounts = 12;
  MakeAccounts(kAccounts);
  memory::MemoryStorage other_storage(storage_->state(), btree::Apply);
  EngineOptions other_options = options_;
  other_options.cache = std::make_shared<CacheBudget>(size_t{64} << 20);
  other_options.spill_folder += "-other";
  auto other = Engine::Open(other_storage, other_options);
  ASSERT_TRUE(other.ok());
  std::atomic<int> committed{0};
  std::atomic<int> wrong{0};
  InThreads(kThreads, [&](int thread) {
    Engine& engine = thread % 2 == 0 ? *engine_ : **other;
    base::SeededRandom random(static_cast<uint64_t>(thread) + 1);
    for (int i = 0; i < 100; ++i) {
      const int from = static_cast<int>(random.Next64() % kAccounts);
      const absl::Status status = Transfer(engine, from, (from + 1) % kAccounts);
      if (status.ok()) ++committed;
      if (!status.ok() && ReasonOf(status) != Reason::kConflict) ++wrong;
      auto insert = engine.Begin({});
      const std::string key = fmt::format("z{:03}-{}", i, thread);
      if (!Put(*insert, key, std::string(60, 'v')).ok()) ++wrong;
      if (!engine.CommitAndWait(std::move(insert)).status.ok()) ++wrong;
    }
  });
  EXPECT_EQ(wrong, 0);
  EXPECT_GT(committed, 0);
  other->reset();
  Reopen();
  EXPECT_EQ(Total(*engine_, kAccounts), 100 * kAccounts);
  auto reader = Begin();
  EXPECT_EQ(*reader->Count(Open(*reader), "z", ""), 800U);
}

// An engine over storage whose log can be told to refuse or fail.
class EngineFaultTest : public EngineConcurrencyTest {
 protected:
  void SetUp() override {
    EngineConcurrencyTest::SetUp();
    engine_.reset();
    faulty_ = std::make_unique<memory::FaultInjectingStorage>(std::move(storage_));
    auto engine = Engine::Open(*faulty_, options_);
    ASSERT_TRUE(engine.ok());
    engine_ = *std::move(engine);
  }
  void TearDown() override {
    engine_.reset();
    faulty_.reset();
  }
  void Arm(uint64_t nth, memory::FaultAction action, Reason reason) {
    memory::Fault fault;
    fault.nth = nth;
    fault.action = action;
    fault.status = Error(reason, "planned");
    faulty_->Arm(std::move(fault));
  }
  std::unique_ptr<memory::FaultInjectingStorage> faulty_;
};

TEST_F(EngineFaultTest, RefusedGroupsLeaveNothingBehind) {
  for (uint64_t i = 1; i < 40; ++i) Arm(i * 3, memory::FaultAction::kRefuse, Reason::kDiskFull);
  std::atomic<int> wrong{0};
  std::atomic<uint64_t> committed{0};
  InThreads(kThreads, [&](int thread) {
    for (int i = 0; i < 60; ++i) {
      auto transaction = Begin();
      if (!Put(*transaction, fmt::format("{:03}-{}", i, thread), std::string(40, 'v')).ok()) {
        ++wrong;
      }
      const absl::Status status = Commit(std::move(transaction));
      if (status.ok()) {
        ++committed;
      } else if (ReasonOf(status) != Reason::kDiskFull) {
        ++wrong;
      }
    }
  });
  EXPECT_EQ(wrong, 0);
  EXPECT_LT(committed, 480U);
  auto reader = Begin();
  EXPECT_EQ(*reader->Count(Open(*reader), "", ""), committed);
  const std::string all = Scan(*reader);
  EXPECT_EQ(static_cast<uint64_t>(std::count(all.begin(), all.end(), '=')), committed);
}

// Storage whose reserve is touched: it takes records that only remove.
TEST_F(EngineFaultTest, AFullDiskStillAdmitsRemovals) {
  for (int i = 0; i < 200; ++i) ASSERT_TRUE(PutOne(fmt::format("{:03}", i), "v").ok());
  faulty_->FillDisk();
  std::atomic<int> wrong{0};
  InThreads(kThreads, [&](int thread) {
    for (int i = 0; i < 20; ++i) {
      auto writer = Begin();
      if (!Put(*writer, fmt::format("x{}-{}", i, thread), "v").ok()) ++wrong;
      auto eraser = Begin();
      if (!eraser->Erase(Open(*eraser), fmt::format("{:03}", thread * 20 + i)).ok()) ++wrong;
      if (ReasonOf(Commit(std::move(writer))) != Reason::kDiskFull) ++wrong;
      if (!Commit(std::move(eraser)).ok()) ++wrong;
    }
  });
  EXPECT_EQ(wrong, 0);
  auto reader = Begin();
  EXPECT_EQ(*reader->Count(Open(*reader), "", ""), 40U);
}

TEST_F(EngineFaultTest, AFailedLogTakesNoCommitsAnyMore) {
  ASSERT_TRUE(PutOne("a", "1").ok());
  Arm(1, memory::FaultAction::kFailWritten, Reason::kUnavailable);
  EXPECT_EQ(ReasonOf(PutOne("b", "1")), Reason::kUnavailable);
  EXPECT_EQ(ReasonOf(PutOne("c", "1")), Reason::kUnavailable);
  EXPECT_FALSE(engine_->health().ok());
  EXPECT_EQ(Scan(*Begin()), "a=1") << "reads go on";
}

TEST_F(EngineFaultTest, UnreadableNodeFailsItsOwnTransactionsOnly) {
  ASSERT_TRUE(PutOne("a", "1").ok());
  engine_.reset();
  auto reopened = Engine::Open(*faulty_, options_);
  ASSERT_TRUE(reopened.ok());
  engine_ = *std::move(reopened);
  memory::Fault fault;
  fault.point = memory::FaultPoint::kReadNode;
  fault.status = Error(Reason::kDamaged, "planned");
  faulty_->Arm(std::move(fault));
  EXPECT_EQ(ReasonOf(PutOne("a", "2")), Reason::kDamaged);
  EXPECT_TRUE(PutOne("a", "3").ok());
  EXPECT_EQ(Scan(*Begin()), "a=3");
}

TEST_F(EngineConcurrencyTest, FoldingGoesOnUnderLoad) {
  options_.groups_between_folds = 5;
  Reopen();
  std::atomic<int> failures{0};
  InThreads(kThreads, [&](int thread) {
    for (int i = 0; i < 100; ++i) {
      auto transaction = Begin();
      if (!Put(*transaction, fmt::format("{:03}-{}", i, thread), std::string(50, 'v')).ok()) {
        ++failures;
      }
      if (!Commit(std::move(transaction)).ok()) ++failures;
      auto reader = Begin(Mode::kReadOnly);
      const uint64_t count = *reader->Count(Open(*reader), "", "");
      const std::string all = Scan(*reader);
      if (static_cast<uint64_t>(std::count(all.begin(), all.end(), '=')) != count) ++failures;
    }
  });
  EXPECT_EQ(failures, 0);
  Reopen();
  auto reader = Begin();
  EXPECT_EQ(*reader->Count(Open(*reader), "", ""), 800U);
}

}  // namespace
}  // namespace sop::txn
