#include <algorithm>
#include <chrono>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "core/base/file_system.h"
#include "core/base/random.h"
#include "core/base/thread_pool.h"
#include "core/btree/node/apply.h"
#include "core/catalog/database.h"
#include "core/catalog/ordered_store.h"
#include "storage/rocksdb/rocksdb_environment.h"
#include "storage/rocksdb/rocksdb_storage.h"
#include "tests/bench/ordered_map.h"
#include "tests/bench/scaling/scaling.h"

namespace sop::bench {
namespace {

constexpr uint64_t kStorageBytes = uint64_t{512} << 20;
constexpr uint64_t kCacheBytes = uint64_t{3584} << 20;
constexpr int kBackgroundThreads = 2;
// Enough to be staged.
constexpr uint64_t kLoadedTogether = 120'000;
constexpr uint64_t kPageItems = 100;

template <typename T>
T Value(absl::StatusOr<T> result) {
  Require(result.ok(), result.status().ToString());
  return *std::move(result);
}

// A store of ascending int64 keys in a database of its own. Confined to one thread.
class PagedStore {
 public:
  explicit PagedStore(const std::string& folder) : environment_(kStorageBytes, kBackgroundThreads) {
    catalog::DatabaseOptions options;
    options.name = "paging";
    auto storage = Value(rocksdb_storage::RocksDbStorage::Open(
        {.path = folder, .apply = btree::Apply},
        {environment_, base::SystemFileSystem(), base::SystemClock(), base::SystemRandom()}));
    options.engine.spill_folder = storage->spill_folder();
    options.storage = std::move(storage);
    options.engine.clock = &base::SystemClock();
    options.engine.random = &base::SystemRandom();
    options.engine.files = &base::SystemFileSystem();
    options.engine.pool = &pool_;
    options.engine.cache = std::make_shared<txn::CacheBudget>(kCacheBytes);
    database_ = Value(catalog::Database::Open(std::move(options)));
    auto stores = database_->Begin();
    Value(stores->Create("items", {}));
    Commit(std::move(stores));
  }

  // Adds items [size(), items) in large transactions.
  void Grow(uint64_t items) {
    while (size_ < items) {
      auto stores = database_->Begin();
      catalog::OrderedStore store(*Value(stores->Open("items")));
      std::vector<catalog::WriteItem> batch;
      const uint64_t end = std::min(items, size_ + kLoadedTogether);
      for (; size_ < end; ++size_) {
        batch.push_back({.key = static_cast<int64_t>(size_), .value = "a value of twenty-four b"});
      }
      Value(store.Add(batch, catalog::Require::kAll));
      Commit(std::move(stores));
    }
  }
  uint64_t size() const { return size_; }

  // Calls `read` with the store in one snapshot.
  void Read(const std::function<void(catalog::OrderedStore&)>& read) {
    auto stores = database_->Begin({.mode = txn::Mode::kReadOnly});
    catalog::OrderedStore store(*Value(stores->Open("items")));
    read(store);
  }

 private:
  void Commit(std::unique_ptr<catalog::StoreSet> stores) {
    const absl::Status status = database_->CommitAndWait(std::move(stores)).status;
    Require(status.ok(), status.ToString());
  }

  const rocksdb_storage::RocksDbEnvironment environment_;
  base::ThreadPool pool_{4};
  std::unique_ptr<catalog::Database> database_;
  uint64_t size_ = 0;
};

// What calls cost at random places, in microseconds: the best of the slices.
class Costs {
 public:
  Costs(const ScalingRun& run, catalog::OrderedStore& store, uint64_t items)
      : run_(run), store_(store), items_(items) {}

  // A page of kPageItems keys at a random offset, from that end.
  double Jump(catalog::ScanDirection direction) {
    return Best([&] { ReadPage(direction, Below(items_)); });
  }
  // The same page at the beginning.
  double FirstPage() {
    return Best([&] { ReadPage(catalog::ScanDirection::kForward, 0); });
  }
  double CountRange() {
    return Best([&] {
      uint64_t low = Below(items_);
      uint64_t high = Below(items_);
      if (low > high) std::swap(low, high);
      const btree::KeyRange range =
          Value(store_.schema()->EncodeRange(BoundAt(low), BoundAt(high)));
      Require(Value(store_.Count(range)) == high - low + 1, "a count that is wrong");
    });
  }

 private:
  static btree::KeyBound BoundAt(uint64_t number) {
    return {btree::Key(static_cast<int64_t>(number))};
  }
  uint64_t Below(uint64_t bound) { return random_.Next64() % bound; }

  void ReadPage(catalog::ScanDirection direction, uint64_t offset) {
    catalog::ScanRequest request;
    request.start = catalog::Offset{offset};
    request.direction = direction;
    request.content = catalog::ItemContent::kKeys;
    std::string first;
    const auto sink = [&](const btree::PackedItem& item) {
      if (first.empty()) first = std::string(item.key);
      return true;
    };
    const catalog::PageEnd end = Value(store_.ReadPage(request, {.max_items = kPageItems}, sink));
    const bool forward = direction == catalog::ScanDirection::kForward;
    const btree::Key expected = static_cast<int64_t>(forward ? offset : items_ - 1 - offset);
    Require(end.items == std::min(kPageItems, items_ - offset) &&
                first == Value(store_.schema()->Encode(expected)).key,
            "a page that is wrong");
  }

  double Best(const std::function<void()>& call) {
    using Clock = std::chrono::steady_clock;
    const auto slice = std::chrono::duration<double>(run_.scale.slice_seconds);
    for (int warm = 0; warm < 2000; ++warm) call();
    double best = 1e9;
    for (int i = 0; i < run_.scale.slices; ++i) {
      const auto begin = Clock::now();
      int calls = 0;
      do {
        for (int some = 0; some < 50; ++some) call();
        calls += 50;
      } while (Clock::now() - begin < slice);
      const std::chrono::duration<double, std::micro> taken = Clock::now() - begin;
      best = std::min(best, taken.count() / calls);
    }
    return best;
  }

  const ScalingRun& run_;
  catalog::OrderedStore& store_;
  const uint64_t items_;
  base::SeededRandom random_{20261127};
};

}  // namespace

void MeasurePaging(const ScalingRun& run) {
  PagedStore paged(EmptyFolder(run.scale, "paging"));
  for (uint64_t items = 10'000; items <= run.most_items; items *= 10) {
    paged.Grow(items);
    paged.Read([&](catalog::OrderedStore& store) {
      Costs costs(run, store, items);
      Cells cells = {{"items", items}};
      cells["first page us"] = costs.FirstPage();
      cells["jump to page us"] = costs.Jump(catalog::ScanDirection::kForward);
      cells["jump to page backward us"] = costs.Jump(catalog::ScanDirection::kBackward);
      cells["count of a range us"] = costs.CountRange();
      ReportLine("paging", cells);
    });
  }
}

}  // namespace sop::bench
