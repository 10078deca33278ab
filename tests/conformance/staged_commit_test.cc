// Large transactions among small ones, over stores, on every storage.

#include <atomic>
#include <map>
#include <memory>
#include <ostream>
#include <random>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include <fmt/format.h>
#include <gtest/gtest.h>

#include "core/catalog/check/database_check.h"
#include "tests/conformance/database_under_test.h"

namespace sop::conformance {
namespace {

using catalog::OrderedStore;
using catalog::WriteItem;

struct Kind {
  const char* name;
  std::unique_ptr<StorageUnderTest> (*make)();
};

void PrintTo(const Kind& kind, std::ostream* out) { *out << kind.name; }

txn::Limits SmallLimits() {
  txn::Limits limits;
  limits.staged_commit_writes = 100;
  limits.overlay_memory_bytes = 64 << 10;
  return limits;
}

class StagedCommitTest : public testing::TestWithParam<Kind> {
 protected:
  StagedCommitTest() : database_(GetParam().make(), SmallLimits()) {
    catalog::GivenOptions options;
    EXPECT_TRUE(database_->Create("words", options).ok());
    // The first item decides the types of keys, which everybody else's commit would depend on.
    ChangeBoth(1, 1, 1, 1);
  }

  // Every third value does not fit its node.
  static std::string ValueOf(int64_t key, int64_t round) {
    return fmt::format("{}-{}{}", key, round, std::string(key % 3 == 0 ? 2000 : 10, 'v'));
  }
  // Upserts or removes keys [first, first + count) by `step`, in one transaction.
  absl::Status Change(int64_t first, int64_t count, int64_t step, int64_t round) {
    auto stores = database_->Begin();
    auto opened = stores->Open("words");
    if (!opened.ok()) return opened.status();
    OrderedStore words(**opened);
    for (int64_t key = first; key < first + count * step; key += step) {
      absl::Status status;
      if ((key + round) % 5 == 0) {
        const WriteItem item{.key = key};
        status = words.Remove({&item, 1}, catalog::Require::kNothing).status();
      } else {
        const std::string value = ValueOf(key, round);
        const WriteItem item{.key = key, .value = value};
        status = words.Upsert({&item, 1}).status();
      }
      if (!status.ok()) return status;
    }
    return database_->Commit(std::move(stores));
  }
  void Remember(int64_t first, int64_t count, int64_t step, int64_t round) {
    for (int64_t key = first; key < first + count * step; key += step) {
      if ((key + round) % 5 == 0) {
        oracle_.erase(key);
      } else {
        oracle_[key] = ValueOf(key, round);
      }
    }
  }
  void ChangeBoth(int64_t first, int64_t count, int64_t step, int64_t round) {
    const absl::Status status = Change(first, count, step, round);
    ASSERT_TRUE(status.ok()) << status;
    Remember(first, count, step, round);
  }

  void ExpectOracle() {
    auto stores = database_->Begin(txn::Mode::kReadOnly);
    OrderedStore words(**stores->Open("words"));
    ASSERT_EQ(*words.Count({}), oracle_.size());
    for (const auto& [key, value] : oracle_) {
      ASSERT_EQ(catalog::ValueOf(words, btree::Key(key)), value);
    }
    const auto report = check::CheckStorage(database_.storage(), {}, base::SystemClock());
    ASSERT_TRUE(report.ok()) << report.status();
    for (const check::Finding& finding : report->findings) {
      ADD_FAILURE() << check::FindingName(finding.kind) << " " << finding.what;
    }
  }
  void ExpectOracleEverywhere() {
    ASSERT_NO_FATAL_FAILURE(ExpectOracle());
    database_.Reopen();
    ASSERT_NO_FATAL_FAILURE(ExpectOracle());
    database_.Settle();
    ASSERT_NO_FATAL_FAILURE(ExpectOracle());
  }

  DatabaseUnderTest database_;
  std::map<int64_t, std::string> oracle_;
};

TEST_P(StagedCommitTest, LargeAndSmallOnesFollowEachOther) {
  std::mt19937_64 random(7);
  for (int64_t round = 0; round < 12; ++round) {
    const auto first = static_cast<int64_t>(random() % 3000);
    const auto count = static_cast<int64_t>(random() % 2 == 0 ? 1 + random() % 40 : 500);
    ASSERT_NO_FATAL_FAILURE(
        ChangeBoth(first, count, 1 + static_cast<int64_t>(random() % 3), round));
    ASSERT_NO_FATAL_FAILURE(ExpectOracle()) << "round " << round;
  }
  ExpectOracleEverywhere();
}

// Four threads on keys of their own beside large transactions: all of them commit.
TEST_P(StagedCommitTest, SmallOnesCommitMeanwhile) {
  constexpr int64_t kWriters = 4;
  std::atomic<bool> done = false;
  std::vector<std::map<int64_t, int64_t>> rounds(kWriters);
  std::vector<std::thread> threads;
  for (int64_t writer = 0; writer < kWriters; ++writer) {
    threads.emplace_back([&, writer] {
      for (int64_t round = 0; !done.load(); ++round) {
        const int64_t key = 1'000'001 + (round * 37 % 4000) * 8 + writer * 2;
        const absl::Status status = Change(key, 1, 1, round);
        ASSERT_TRUE(status.ok()) << status;
        rounds[static_cast<size_t>(writer)][key] = round;
      }
    });
  }
  for (int64_t round = 0; round < 8; ++round) {
    ChangeBoth(1'000'000 + round * 3000, 1500, 2, round);
    ChangeBoth(1'000'000, 600, 40, round);
  }
  done = true;
  for (std::thread& thread : threads) thread.join();
  for (const auto& writer : rounds) {
    for (const auto& [key, round] : writer) Remember(key, 1, 1, round);
  }
  ExpectOracleEverywhere();
}

TEST_P(StagedCommitTest, ChecksWhileOneIsStagedFindNothing) {
  ChangeBoth(0, 500, 1, 1);
  memory::Fault fault;
  fault.point = memory::FaultPoint::kAppend;
  fault.action = memory::FaultAction::kInterrupt;
  fault.before = [this] {
    const auto report = check::CheckStorage(database_.storage(), {}, base::SystemClock());
    ASSERT_TRUE(report.ok()) << report.status();
    EXPECT_TRUE(report->findings.empty()) << report->findings.front().what;
  };
  database_.storage().Arm(std::move(fault));
  ChangeBoth(200, 500, 1, 2);
  EXPECT_EQ(database_.storage().ArmedCount(), 0U);
  ExpectOracleEverywhere();
}

INSTANTIATE_TEST_SUITE_P(Storages, StagedCommitTest,
                         ::testing::Values(Kind{"Memory", &MemoryUnderTest},
                                           Kind{"RocksDb", &RocksDbUnderTest}),
                         [](const auto& param) { return param.param.name; });

}  // namespace
}  // namespace sop::conformance
