// One transaction of a million writes (SOP_ITEMS says how many), about 100 bytes each, over RocksDB
// while others commit: what it takes in memory, and what the others feel of it.

#include <algorithm>
#include <atomic>
#include <cstdlib>
#include <memory>
#include <string>
#include <thread>
#include <vector>

#include <fmt/format.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include "core/base/bytes.h"
#include "core/base/clock.h"
#include "core/base/file_system.h"
#include "core/base/random.h"
#include "core/base/thread_pool.h"
#include "core/btree/node/apply.h"
#include "core/txn/engine.h"
#include "core/txn/transaction_cursor.h"
#include "storage/rocksdb/rocksdb_environment.h"
#include "storage/rocksdb/rocksdb_storage.h"
#include "tests/giant/resident.h"

namespace sop {
namespace {

constexpr TreeId kTree{5};
constexpr uint64_t kMiB = uint64_t{1} << 20;
// What a transaction may add to the process, however much it writes.
constexpr uint64_t kGrowth = 256 * kMiB;
constexpr uint64_t kValueBytes = 98;  // with an 8-byte key: 10 M writes are just below 1 GiB
constexpr int kOthers = 4;
// What is there before: multiples of kSpacing.
constexpr uint64_t kBaseItems = 200'000;
constexpr uint64_t kSpacing = 64;

uint64_t ItemsOf() {
  const char* const given = std::getenv("SOP_ITEMS");
  return given == nullptr ? 1'000'000 : std::strtoull(given, nullptr, 10);
}

std::string KeyOf(uint64_t number) {
  std::string key;
  base::AppendBigEndian64(&key, number);
  return key;
}

std::string ValueOf(uint64_t number) {
  std::string value;
  while (value.size() < kValueBytes) base::AppendLittle64(&value, ++number * 0x9e3779b97f4a7c15);
  value.resize(kValueBytes);
  return value;
}

class GiantTest : public testing::Test {
 protected:
  GiantTest() {
    folder_ = testing::TempDir() + fmt::format("/sop_giant_{}", ::getpid());
    Open();
  }
  ~GiantTest() override {
    engine_.reset();
    storage_.reset();
    EXPECT_TRUE(base::SystemFileSystem().RemoveRecursively(folder_).ok());
  }
  void Open() {
    engine_.reset();
    storage_.reset();
    auto storage = rocksdb_storage::RocksDbStorage::Open(
        {.path = folder_, .apply = btree::Apply},
        {environment_, base::SystemFileSystem(), base::SystemClock(), base::SystemRandom()});
    ASSERT_TRUE(storage.ok()) << storage.status();
    storage_ = *std::move(storage);
    txn::EngineOptions options;
    options.clock = &base::SystemClock();
    options.random = &base::SystemRandom();
    options.files = &base::SystemFileSystem();
    options.pool = &pool_;
    options.cache = std::make_shared<txn::CacheBudget>(64 * kMiB);
    // The others' commits fill it while the transaction's old snapshot is open: no growth of its.
    options.limits.conflict_window_bytes = 8 * kMiB;
    options.spill_folder = storage_->spill_folder();
    auto engine = txn::Engine::Open(*storage_, options);
    ASSERT_TRUE(engine.ok()) << engine.status();
    engine_ = *std::move(engine);
  }

  absl::Status Put(txn::Transaction& transaction, uint64_t key, uint64_t value) {
    txn::ItemWrite write;
    const std::string bytes = ValueOf(value);
    write.value = bytes;
    return transaction.Put(transaction.OpenTree(kTree, {}), KeyOf(key), write);
  }

  // Durable commits of one item each, on keys of their own, until told to stop.
  void CommitOthers(int number, std::vector<double>* milliseconds) {
    for (uint64_t i = 0; !stop_.load(); ++i) {
      const absl::Duration start = base::SystemClock().Monotonic();
      auto transaction = engine_->Begin({});
      const uint64_t key =
          (i * 7919 % kBaseItems) * kSpacing + kSpacing - 1 - static_cast<uint64_t>(number);
      ASSERT_TRUE(Put(*transaction, key, i).ok());
      const absl::Status status = engine_->CommitAndWait(std::move(transaction)).status;
      ASSERT_TRUE(status.ok()) << status;
      const absl::Duration taken = base::SystemClock().Monotonic() - start;
      milliseconds->push_back(absl::ToDoubleMilliseconds(taken));
    }
  }
  // Percentiles of the others while `work` runs.
  template <typename Work>
  std::string WithOthers(Work work) {
    std::vector<std::vector<double>> taken(kOthers);
    std::vector<std::thread> threads;
    stop_ = false;
    for (int i = 0; i < kOthers; ++i) {
      threads.emplace_back([this, i, &taken] { CommitOthers(i, &taken[static_cast<size_t>(i)]); });
    }
    work();
    stop_ = true;
    for (std::thread& thread : threads) thread.join();
    std::vector<double> all;
    for (const auto& part : taken) all.insert(all.end(), part.begin(), part.end());
    std::sort(all.begin(), all.end());
    if (all.empty()) return "none";
    return fmt::format("{} commits, p50 {:.1f} ms, p99 {:.1f} ms, longest {:.1f} ms", all.size(),
                       all[all.size() / 2], all[all.size() * 99 / 100], all.back());
  }

  std::string folder_;
  const rocksdb_storage::RocksDbEnvironment environment_{64 * kMiB, 2};
  base::ThreadPool pool_{4};
  std::unique_ptr<rocksdb_storage::RocksDbStorage> storage_;
  std::unique_ptr<txn::Engine> engine_;
  std::atomic<bool> stop_{false};
};

TEST_F(GiantTest, CommitsWithinItsMemoryBudgetWhileOthersCommit) {
  const uint64_t items = ItemsOf();
  for (uint64_t i = 0; i < kBaseItems;) {
    auto transaction = engine_->Begin({});
    for (uint64_t n = 0; n < 10'000; ++n, ++i) ASSERT_TRUE(Put(*transaction, i * kSpacing, i).ok());
    ASSERT_TRUE(engine_->CommitAndWait(std::move(transaction)).status.ok());
  }
  const std::string alone =
      WithOthers([] { std::this_thread::sleep_for(std::chrono::seconds(2)); });
  ResetPeakResident(getpid());
  const uint64_t before = Resident(getpid());
  double gathered = 0;
  double committed = 0;
  // Half updates and inserts among the base's items, half behind them, none in order.
  const auto key = [items](uint64_t i) {
    return i % 2 == 0 ? (i / 2 * 7919 % kBaseItems) * kSpacing + i / 2 / kBaseItems
                      : kBaseItems * kSpacing + (i * 48'271 % items);
  };
  const std::string beside = WithOthers([&] {
    const absl::Duration start = base::SystemClock().Monotonic();
    auto transaction = engine_->Begin({});
    for (uint64_t i = 0; i < items; ++i) {
      const absl::Status status = Put(*transaction, key(i), i);
      ASSERT_TRUE(status.ok()) << status;
    }
    gathered = absl::ToDoubleSeconds(base::SystemClock().Monotonic() - start);
    const absl::Status status = engine_->CommitAndWait(std::move(transaction)).status;
    ASSERT_TRUE(status.ok()) << status;
    committed = absl::ToDoubleSeconds(base::SystemClock().Monotonic() - start) - gathered;
  });
  const uint64_t peak = PeakResident(getpid());
  const uint64_t growth = peak - std::min(before, peak);
  fmt::print("counter giant_writes {}\n", items);
  fmt::print("giant: {} writes gathered in {:.1f} s, committed in {:.1f} s, {} MiB of growth\n",
             items, gathered, committed, growth / kMiB);
  fmt::print("others alone: {}\nothers beside: {}\n", alone, beside);
  EXPECT_EQ(engine_->statistics().staged, 1U);
  EXPECT_LE(growth, kGrowth);
  Open();
  auto reader = engine_->Begin({.mode = txn::Mode::kReadOnly});
  for (uint64_t i = items - 1; i > items / 2; i -= std::max<uint64_t>(1, items / 1000)) {
    if (i % 2 == 0) continue;
    const auto item = reader->Get(reader->OpenTree(kTree, {}), KeyOf(key(i)), txn::ReadMode::kItem);
    ASSERT_TRUE(item.ok() && item->has_value()) << i;
  }
}

}  // namespace
}  // namespace sop
