#include <algorithm>
#include <atomic>
#include <chrono>
#include <string>
#include <thread>
#include <vector>

#include "core/base/random.h"
#include "core/catalog/store_feed.h"
#include "tests/bench/scaling/numbered_store.h"
#include "tests/bench/scaling/scaling.h"

namespace sop::bench {
namespace {

using Clock = std::chrono::steady_clock;

constexpr uint64_t kItems = 100'000;
constexpr int kItemsPerTransaction = 10;
constexpr int kRounds = 5;
constexpr size_t kValueBytes = 100;

struct Load {
  int committers = 1;
  persistence::Durability durability = persistence::Durability::kSynced;
};

// Transactions per second that upsert random items.
double CommitRate(const ScalingRun& run, NumberedStore& numbered, const Load& load) {
  std::atomic<uint64_t> commits{0};
  const auto begin = Clock::now();
  const auto slice = std::chrono::duration<double>(run.scale.slice_seconds);
  std::vector<std::thread> threads;
  for (int i = 0; i < load.committers; ++i) {
    threads.emplace_back([&, i] {
      base::SeededRandom random(static_cast<uint64_t>(i) + 1);
      const std::string value(kValueBytes, 'w');
      while (Clock::now() - begin < slice) {
        auto stores = numbered.database().Begin();
        catalog::OrderedStore store(*Value(stores->Open("items")));
        std::vector<catalog::WriteItem> items;
        for (int item = 0; item < kItemsPerTransaction; ++item) {
          const auto key = static_cast<int64_t>(random.Next64() % kItems);
          items.push_back({.key = key, .value = value});
        }
        Value(store.Upsert(items));
        const txn::CommitResult done =
            numbered.database().CommitAndWait(std::move(stores), {.durability = load.durability});
        // Of two that write one key, one may have to go.
        if (done.status.ok()) ++commits;
      }
    });
  }
  for (std::thread& thread : threads) thread.join();
  const std::chrono::duration<double> taken = Clock::now() - begin;
  return static_cast<double>(commits) / taken.count();
}

double Median(std::vector<double> values) {
  std::sort(values.begin(), values.end());
  return values[values.size() / 2];
}

// Changes per second that a watch reads which is behind.
double ReadRate(NumberedStore& numbered) {
  const auto feed = Value(catalog::StoreFeed::Open(
      numbered.database(), {.store = "items", .start = catalog::FeedOldest{}, .range = nullptr}));
  uint64_t changes = 0;
  const auto begin = Clock::now();
  while (Value(feed->Read(UINT64_MAX, [&](const catalog::StoreChange&) {
           return ++changes > 0;
         })) == catalog::FeedState::kMore) {
  }
  const std::chrono::duration<double> taken = Clock::now() - begin;
  Require(changes > kItems, "changes that are missing");
  return static_cast<double>(changes) / taken.count();
}

}  // namespace

void MeasureFeed(const ScalingRun& run) {
  const std::string value(kValueBytes, 'v');
  NumberedStore off(EmptyFolder(run.scale, "feed-off"), value);
  NumberedStore on(EmptyFolder(run.scale, "feed-on"), value, {.feed = catalog::Feed::kOn});
  off.Grow(kItems);
  on.Grow(kItems);
  for (const Load& load :
       {Load{1, persistence::Durability::kRelaxed}, Load{1, persistence::Durability::kSynced},
        Load{16, persistence::Durability::kSynced}}) {
    std::vector<double> without;
    std::vector<double> with;
    for (int round = 0; round < kRounds; ++round) {
      without.push_back(CommitRate(run, off, load));
      with.push_back(CommitRate(run, on, load));
    }
    const bool synced = load.durability == persistence::Durability::kSynced;
    ReportLine("feed", {{"committers", load.committers},
                        {"durability", synced ? "synced" : "relaxed"},
                        {"commits/s", Median(without)},
                        {"commits/s with a feed", Median(with)},
                        {"of those without", Median(with) / Median(without)},
                        {"changes/s read", ReadRate(on)}});
  }
}

}  // namespace sop::bench
