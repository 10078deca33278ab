#include "tests/bench/scaling/numbered_store.h"

#include <algorithm>
#include <vector>

#include "core/base/file_system.h"
#include "core/base/random.h"
#include "core/btree/node/apply.h"

namespace sop::bench {
namespace {

constexpr uint64_t kStorageBytes = uint64_t{512} << 20;
constexpr uint64_t kCacheBytes = uint64_t{3584} << 20;
constexpr int kBackgroundThreads = 2;
// Enough to be staged.
constexpr uint64_t kLoadedTogether = 120'000;
constexpr uint64_t kLoadedBytes = uint64_t{64} << 20;

}  // namespace

NumberedStore::NumberedStore(const std::string& folder, std::string value,
                             const catalog::GivenOptions& given)
    : value_(std::move(value)), environment_(kStorageBytes, kBackgroundThreads) {
  catalog::DatabaseOptions options;
  options.name = "numbered";
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
  Value(stores->Create("items", {.options = given}));
  const absl::Status status = database_->CommitAndWait(std::move(stores)).status;
  Require(status.ok(), status.ToString());
}

void NumberedStore::Grow(uint64_t items) {
  const uint64_t together =
      std::min<uint64_t>(kLoadedTogether, kLoadedBytes / std::max<size_t>(value_.size(), 1));
  while (size_ < items) {
    Write([&](catalog::OrderedStore& store) {
      std::vector<catalog::WriteItem> batch;
      const uint64_t end = std::min(items, size_ + together);
      for (; size_ < end; ++size_) {
        batch.push_back({.key = static_cast<int64_t>(size_), .value = value_});
      }
      Value(store.Add(batch, catalog::Require::kAll));
    });
  }
}

void NumberedStore::Settle() {
  const absl::Status status = database_->storage().maintenance()->Compact();
  Require(status.ok(), status.ToString());
}

uint64_t NumberedStore::Statistic(const std::string& name) const {
  const auto statistics = database_->storage_statistics();
  const auto found = statistics.find(name);
  Require(found != statistics.end(), "no statistic " + name);
  return found->second;
}

void NumberedStore::Read(const std::function<void(catalog::OrderedStore&)>& read) {
  auto stores = database_->Begin({.mode = txn::Mode::kReadOnly});
  catalog::OrderedStore store(*Value(stores->Open("items")));
  read(store);
}

void NumberedStore::Write(const std::function<void(catalog::OrderedStore&)>& write) {
  auto stores = database_->Begin();
  catalog::OrderedStore store(*Value(stores->Open("items")));
  write(store);
  const absl::Status status = database_->CommitAndWait(std::move(stores)).status;
  Require(status.ok(), status.ToString());
}

}  // namespace sop::bench
