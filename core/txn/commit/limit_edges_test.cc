// Limits of a database's commits and outcomes: one less and the limit itself, and one more.

#include <chrono>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include <fmt/format.h>

#include "core/base/error.h"
#include "core/txn/engine_fixture_test.h"
#include "core/txn/overlay/faulty_file_system.h"
#include "storage/memory/fault_injecting_storage.h"

namespace sop::txn {
namespace {

// Of what is OK.
const Reason kNone = ReasonOf(absl::OkStatus());

class LimitEdgesTest : public EngineFixture {
 protected:
  // The same storage, under a clock that the test moves and with faults.
  void OpenWithFaults() {
    engine_.reset();
    faulty_ = std::make_unique<memory::FaultInjectingStorage>(
        std::make_unique<memory::MemoryStorage>(storage_->state(), btree::Apply));
    options_.clock = &clock_;
    options_.cache = std::make_shared<CacheBudget>(options_.cache->limit_bytes());
    auto engine = Engine::Open(*faulty_, options_);
    ASSERT_TRUE(engine.ok()) << engine.status();
    engine_ = *std::move(engine);
  }
  void TearDown() override {
    engine_.reset();
    faulty_.reset();
  }
  Uuid TokenOf(absl::Time time) {
    base::ManualClock then(time);
    return base::MakeUuid7(then, *options_.random);
  }
  // Writes two items more, so that the transaction has so many bytes.
  static void FillTo(Transaction& transaction, uint64_t bytes) {
    constexpr uint64_t kFirst = 900;  // its length takes as many bytes as that of the second
    const uint64_t before = transaction.write_bytes();
    ASSERT_TRUE(Put(transaction, "k1", std::string(kFirst, 'v')).ok());
    const uint64_t beside = transaction.write_bytes() - before - kFirst;
    const uint64_t second = bytes - transaction.write_bytes() - beside;
    ASSERT_TRUE(Put(transaction, "k2", std::string(second, 'v')).ok());
    ASSERT_EQ(transaction.write_bytes(), bytes);
  }
  absl::Status PutWithToken(const Uuid& token) {
    auto transaction = Begin();
    EXPECT_TRUE(Put(*transaction, "a", "1").ok());
    CommitOptions options;
    options.token = token;
    options.reply = std::string(1000, 'r');
    return engine_->CommitAndWait(std::move(transaction), options).status;
  }

  base::ManualClock clock_{absl::FromUnixSeconds(1'800'000'000)};
  std::unique_ptr<memory::FaultInjectingStorage> faulty_;
};

TEST_F(LimitEdgesTest, OutcomesAreKeptForTheirTime) {
  OpenWithFaults();
  const absl::Duration kept = options_.limits.outcome_retention;
  for (const int millis : {-1, 0, 1}) {
    const absl::Status status =
        PutWithToken(TokenOf(clock_.Now() - kept - absl::Milliseconds(millis)));
    EXPECT_EQ(ReasonOf(status), millis <= 0 ? kNone : Reason::kOutcomeUnknown) << millis;
  }
}

TEST_F(LimitEdgesTest, OutcomesAreKeptUpToTheirBytes) {
  // What one takes.
  OpenWithFaults();
  ASSERT_TRUE(PutWithToken(TokenOf(clock_.Now())).ok());
  uint64_t bytes = 0;
  ASSERT_TRUE(faulty_->nodes()
                  .TakeSnapshot()
                  .value()
                  ->ScanRows(persistence::Space::kOutcomes, {}, {},
                             [&](std::string_view key, std::string_view value) {
                               bytes += key.size() + value.size();
                               return true;
                             })
                  .ok());
  for (const int less : {1, 0, -1}) {
    storage_ =
        memory::MemoryStorage::Create(btree::Apply, base::SystemClock(), base::SystemRandom());
    options_.limits.outcome_bytes = 2 * bytes - static_cast<uint64_t>(less);
    OpenWithFaults();
    const Uuid first = TokenOf(clock_.Now());
    ASSERT_TRUE(PutWithToken(first).ok());
    clock_.Advance(absl::Milliseconds(1));
    ASSERT_TRUE(PutWithToken(TokenOf(clock_.Now())).ok());
    // Until it is looked for those that are too many.
    for (int i = 0; i < 600; ++i) ASSERT_TRUE(PutOne("b", "1").ok());
    const auto found = engine_->FindOutcome(first);
    EXPECT_EQ(ReasonOf(found.status()), less == 1 ? Reason::kOutcomeUnknown : kNone) << less;
    if (found.ok()) EXPECT_TRUE(found->has_value());
  }
}

TEST_F(LimitEdgesTest, OutcomesOfTomorrowDoNotPushOutWhatIsNew) {
  options_.limits.outcome_bytes = 1;
  OpenWithFaults();
  ASSERT_TRUE(PutWithToken(TokenOf(clock_.Now() + absl::Hours(24))).ok());
  for (int i = 0; i < 1200; ++i) ASSERT_TRUE(PutOne("b", "1").ok());
  EXPECT_TRUE(PutWithToken(TokenOf(clock_.Now())).ok());
}

TEST_F(LimitEdgesTest, WhatDidNotReachItsTemporaryFileIsNotCommitted) {
  FaultyFileSystem files;
  options_.files = &files;
  options_.limits.overlay_memory_bytes = 64 << 10;
  OpenWithFaults();
  auto transaction = Begin();
  files.FailEvery(1);
  absl::Status failed;
  for (int i = 0; i < 1000 && failed.ok(); ++i) {
    failed = Put(*transaction, fmt::format("key{:04}", i), std::string(1000, 'v'));
  }
  EXPECT_EQ(ReasonOf(failed), Reason::kUnavailable);
  files.FailEvery(0);
  EXPECT_TRUE(Put(*transaction, "another", "value").ok());
  EXPECT_EQ(engine_->CommitAndWait(std::move(transaction)).status, failed);
  EXPECT_TRUE(PutOne("another", "value").ok());
}

TEST_F(LimitEdgesTest, SoManyCommitsWait) {
  options_.limits.queued_commits = 2;
  OpenWithFaults();
  base::Mutex mu;
  base::CondVar changed;
  bool held = true;
  bool stopped = false;
  memory::Fault hold = {.point = memory::FaultPoint::kAppend,
                        .action = memory::FaultAction::kInterrupt};
  hold.before = [&] {
    base::MutexLock lock(mu);
    stopped = true;
    while (held) changed.Wait(mu);
  };
  faulty_->Arm(std::move(hold));
  int answered = 0;
  std::vector<Reason> refused;
  const auto commit = [&](std::string_view key) {
    auto transaction = Begin();
    ASSERT_TRUE(Put(*transaction, key, "1").ok());
    engine_->Commit(std::move(transaction), {}, [&](const CommitResult& result) {
      base::MutexLock lock(mu);
      ++answered;
      if (!result.status.ok()) refused.push_back(ReasonOf(result.status));
      changed.NotifyAll();
    });
  };
  // False if it does not come to that.
  const auto wait_for = [&](auto condition, std::chrono::milliseconds limit) {
    constexpr std::chrono::milliseconds kRound(5);
    base::MutexLock lock(mu);
    for (int i = 0; i < limit / kRound && !condition(); ++i) changed.WaitFor(mu, kRound);
    return condition();
  };
  const auto answers = [&](int count) { return [&answered, count] { return answered == count; }; };
  constexpr std::chrono::seconds kLong(10);
  // One is written, the next is built meanwhile, and then they wait.
  commit("writing");
  ASSERT_TRUE(wait_for([&] { return stopped; }, kLong));
  commit("building");
  EXPECT_FALSE(wait_for(answers(1), std::chrono::milliseconds(100)));
  commit("waits");
  commit("waits at the limit");
  commit("is refused");
  ASSERT_TRUE(wait_for(answers(1), kLong));
  {
    base::MutexLock lock(mu);
    EXPECT_EQ(refused, std::vector<Reason>{Reason::kOverloaded});
    held = false;
    changed.NotifyAll();
  }
  ASSERT_TRUE(wait_for(answers(5), kLong));
  EXPECT_EQ(refused.size(), 1u);
  auto reader = Begin(Mode::kReadOnly);
  EXPECT_EQ(Get(*reader, "waits at the limit"), "1");
  EXPECT_EQ(Get(*reader, "is refused"), "-");
}

TEST_F(LimitEdgesTest, BytesThatCannotBeStagedAreLimited) {
  constexpr uint64_t kLimit = 4'000;
  options_.limits.unstaged_bytes = kLimit;
  options_.limits.staged_commit_bytes = 1'000;
  Reopen();
  for (const uint64_t bytes : {kLimit - 1, kLimit, kLimit + 1}) {
    auto transaction = Begin();
    ItemWrite late;
    late.late_key_offset = 1;
    ASSERT_TRUE(transaction->Put(Open(*transaction), "d........", late).ok());
    FillTo(*transaction, bytes);
    const absl::Status status = Commit(std::move(transaction));
    EXPECT_EQ(ReasonOf(status), bytes <= kLimit ? kNone : Reason::kLimitExceeded) << bytes;
  }
}

TEST_F(LimitEdgesTest, StagingIsChargedUntilItEnds) {
  options_.limits.staged_commit_bytes = 2'000;
  options_.memory = std::make_shared<base::MemoryBudget>(size_t{64} << 20);
  OpenWithFaults();
  int64_t while_staging = 0;
  memory::Fault look = {.point = memory::FaultPoint::kSealNodes,
                        .action = memory::FaultAction::kInterrupt};
  look.before = [&] { while_staging = options_.memory->firm_bytes(); };
  faulty_->Arm(std::move(look));
  auto transaction = Begin();
  ASSERT_TRUE(Put(*transaction, "k", std::string(3'000, 'v')).ok());
  ASSERT_TRUE(Commit(std::move(transaction)).ok());
  EXPECT_EQ(engine_->statistics().staged, 1U);
  EXPECT_GT(while_staging, 8 << 20);
  // What is left are the conflict window and what holds one more commit.
  ASSERT_TRUE(PutOne("later", "1").ok());
  EXPECT_LT(options_.memory->firm_bytes(), 4 << 20);
}

TEST_F(LimitEdgesTest, BytesBeyondTheLimitAreStaged) {
  constexpr uint64_t kLimit = 2'000;
  options_.limits.staged_commit_bytes = kLimit;
  Reopen();
  uint64_t staged = 0;
  for (const uint64_t bytes : {kLimit - 1, kLimit, kLimit + 1}) {
    auto transaction = Begin();
    FillTo(*transaction, bytes);
    ASSERT_TRUE(Commit(std::move(transaction)).ok());
    if (bytes > kLimit) ++staged;
    EXPECT_EQ(engine_->statistics().staged, staged) << bytes;
  }
}

}  // namespace
}  // namespace sop::txn
