// Snapshots that are held for hours while a hundred thousand groups (SOP_GROUPS says how many) are
// written over RocksDB: what they see, and that the memory behind them stays bounded. The clock is
// the test's: a group takes 20 ms of it, a night's million more than five hours.

#include <fmt/format.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <algorithm>
#include <cstdlib>
#include <map>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "core/base/clock.h"
#include "core/base/file_system.h"
#include "core/base/random.h"
#include "core/base/thread_pool.h"
#include "core/btree/node/apply.h"
#include "core/txn/engine.h"
#include "storage/rocksdb/rocksdb_environment.h"
#include "storage/rocksdb/rocksdb_storage.h"
#include "tests/giant/resident.h"

namespace sop {
namespace {

constexpr TreeId kTree{5};
constexpr uint64_t kMiB = uint64_t{1} << 20;
constexpr uint64_t kKeys = 20'000;
constexpr absl::Duration kGroupTime = absl::Milliseconds(20);
// What the process may grow by after the first tenth, in which caches and write buffers fill.
constexpr uint64_t kGrowth = 48 * kMiB;
constexpr uint64_t kGroupsBetweenFolds = 1'000;

uint64_t NumberFrom(const char* variable, uint64_t ours) {
  const char* const given = std::getenv(variable);
  return given == nullptr ? ours : std::strtoull(given, nullptr, 10);
}

class HeldTest : public testing::Test {
 protected:
  using Model = std::map<std::string, std::string>;
  struct Held {
    std::shared_ptr<txn::Transaction> reader;
    Model model;
  };

  void SetUp() override {
    folder_ = testing::TempDir() + fmt::format("/sop_held_{}", ::getpid());
    auto storage = rocksdb_storage::RocksDbStorage::Open(
        {.path = folder_, .apply = btree::Apply},
        {environment_, base::SystemFileSystem(), clock_, random_});
    ASSERT_TRUE(storage.ok()) << storage.status();
    storage_ = *std::move(storage);
    txn::EngineOptions options;
    options.clock = &clock_;
    options.random = &random_;
    options.files = &base::SystemFileSystem();
    options.pool = &pool_;
    options.cache = std::make_shared<txn::CacheBudget>(16 * kMiB);
    options.limits.conflict_window_bytes = 4 * kMiB;
    options.groups_between_folds = kGroupsBetweenFolds;
    options.spill_folder = storage_->spill_folder();
    auto engine = txn::Engine::Open(*storage_, options);
    ASSERT_TRUE(engine.ok()) << engine.status();
    engine_ = *std::move(engine);
  }
  void TearDown() override {
    engine_.reset();
    storage_.reset();
    EXPECT_TRUE(base::SystemFileSystem().RemoveRecursively(folder_).ok());
  }

  std::string AnyKey() { return fmt::format("key{:06}", random_.Next64() % kKeys); }

  // A group of three changes, made in the model too.
  void Change(uint64_t group) {
    auto writer = engine_->Begin({});
    const txn::TreeSlot tree = writer->OpenTree(kTree, {});
    for (int i = 0; i < 3; ++i) {
      const std::string key = AnyKey();
      if (random_.Next64() % 4 == 0) {
        ASSERT_TRUE(writer->Erase(tree, key).ok());
        model_.erase(key);
        continue;
      }
      const std::string value = fmt::format("{:<100}", group);
      txn::ItemWrite write;
      write.value = value;
      ASSERT_TRUE(writer->Put(tree, key, write).ok());
      model_[key] = value;
    }
    txn::CommitOptions relaxed;
    relaxed.durability = persistence::Durability::kRelaxed;
    const absl::Status status = engine_->CommitAndWait(std::move(writer), relaxed).status;
    ASSERT_TRUE(status.ok()) << status;
    clock_.Advance(kGroupTime);
  }

  void Check(const Held& held) {
    std::string begin = AnyKey();
    std::string end = AnyKey();
    if (begin > end) std::swap(begin, end);
    const txn::TreeSlot tree = held.reader->OpenTree(kTree, {});
    const auto expected = std::distance(held.model.lower_bound(begin), held.model.lower_bound(end));
    const auto count = held.reader->Count(tree, begin, end);
    ASSERT_TRUE(count.ok()) << count.status();
    ASSERT_EQ(*count, static_cast<uint64_t>(expected)) << "[" << begin << ", " << end << ")";
    const auto item = held.reader->Get(tree, begin, txn::ReadMode::kItem);
    ASSERT_TRUE(item.ok()) << item.status();
    const auto found = held.model.find(begin);
    ASSERT_EQ(item->has_value(), found != held.model.end()) << begin;
    if (item->has_value()) ASSERT_EQ((*item)->value, found->second) << begin;
  }

  std::string folder_;
  base::ManualClock clock_{absl::FromUnixSeconds(1'800'000'000)};
  base::SeededRandom random_{NumberFrom("SOP_SEED", 1)};
  const rocksdb_storage::RocksDbEnvironment environment_{32 * kMiB, 2};
  base::ThreadPool pool_{4};
  std::unique_ptr<rocksdb_storage::RocksDbStorage> storage_;
  std::unique_ptr<txn::Engine> engine_;
  Model model_;
};

TEST_F(HeldTest, MemoryBehindHeldSnapshotsIsBounded) {
  const uint64_t groups = NumberFrom("SOP_GROUPS", 100'000);
  std::vector<Held> held;
  uint64_t warm = 0;
  uint64_t most = 0;
  uint64_t most_entries = 0;
  for (uint64_t group = 0; group < groups; ++group) {
    ASSERT_NO_FATAL_FAILURE(Change(group));
    if (held.size() < 4 && group >= groups * held.size() / 50 + kKeys / 10) {
      held.push_back(
          {engine_->Begin({txn::Mode::kReadOnly, txn::Isolation::kSerializable}), model_});
    }
    if (group % 1'000 != 0) continue;
    for (const Held& each : held) ASSERT_NO_FATAL_FAILURE(Check(each));
    if (group < groups / 10) {
      warm = std::max(warm, Resident(getpid()));
      continue;
    }
    most = std::max(most, Resident(getpid()));
    most_entries = std::max(most_entries, engine_->statistics().count_entries);
  }
  const txn::Engine::Statistics during = engine_->statistics();
  fmt::print("counter held_groups {}\n", groups);
  fmt::print(
      "held: {} snapshots for up to {}, {} groups: {} MiB when warm, at most {} MiB, {} MiB "
      "cached, at most {} count entries\n",
      held.size(), absl::FormatDuration(during.oldest_snapshot), groups, warm / kMiB, most / kMiB,
      during.cache_bytes / kMiB, most_entries);
  EXPECT_EQ(held.size(), 4u);
  EXPECT_GE(during.oldest_snapshot, kGroupTime * static_cast<double>(groups) * 0.7);
  EXPECT_LE(most, warm + kGrowth);
  // The groups since the last folding, and what each snapshot needs of those before it.
  EXPECT_LE(most_entries, kGroupsBetweenFolds * 8 + held.size() * 2'000);
  for (int round = 0; round < 1'000; ++round) {
    for (const Held& each : held) ASSERT_NO_FATAL_FAILURE(Check(each));
  }
}

}  // namespace
}  // namespace sop
