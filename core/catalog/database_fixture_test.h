#pragma once

#include <unistd.h>

#include <map>
#include <memory>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include <fmt/format.h>
#include <gtest/gtest.h>

#include "core/base/clock.h"
#include "core/base/error.h"
#include "core/base/file_system.h"
#include "core/base/random.h"
#include "core/base/thread_pool.h"
#include "core/catalog/database.h"
#include "core/catalog/ordered_store.h"

namespace sop::catalog {

// For tests: a database over any storage, with short ways to use it.
// Thread-safe.
class TestDatabase {
 public:
  explicit TestDatabase(std::unique_ptr<persistence::Storage> storage, txn::Limits limits = {}) {
    DatabaseOptions options;
    options.name = "test";
    options.storage = std::move(storage);
    options.engine.clock = &base::SystemClock();
    options.engine.random = &base::SystemRandom();
    options.engine.files = &base::SystemFileSystem();
    options.engine.pool = &pool_;
    options.engine.cache = std::make_shared<txn::CacheBudget>(size_t{64} << 20);
    options.engine.spill_folder =
        fmt::format("{}/sop-catalog-spill-{}", testing::TempDir(), getpid());
    options.engine.nodes.image_bytes = 1024;
    options.engine.limits = limits;
    auto database = Database::Open(std::move(options));
    EXPECT_TRUE(database.ok()) << database.status();
    database_ = *std::move(database);
  }

  Database& operator*() { return *database_; }
  Database* operator->() { return database_.get(); }

  std::unique_ptr<StoreSet> Begin(txn::Mode mode = txn::Mode::kReadWrite) {
    return database_->Begin({mode, txn::Isolation::kSerializable});
  }
  absl::Status Commit(std::unique_ptr<StoreSet> stores) {
    return database_->CommitAndWait(std::move(stores)).status;
  }
  // Creates a store in a transaction of its own.
  absl::Status Create(std::string_view name, const GivenOptions& options = {}) {
    auto stores = Begin();
    const absl::Status created = stores->Create(name, {.options = options}).status();
    return created.ok() ? Commit(std::move(stores)) : created;
  }
  // Upserts one item in a transaction of its own.
  absl::Status Put(std::string_view store, const btree::Key& key, std::string_view value) {
    auto stores = Begin();
    auto opened = stores->Open(store);
    if (!opened.ok()) return opened.status();
    const WriteItem item{.key = key, .value = value};
    const absl::Status put = OrderedStore(**opened).Upsert({&item, 1}).status();
    return put.ok() ? Commit(std::move(stores)) : put;
  }

 private:
  base::ThreadPool pool_{4};
  std::unique_ptr<Database> database_;
};

// The outcomes of a write by their initials: Added, Replaced, aLready there, Not found, Updated,
// removed (-); or the reason of the failure.
inline std::string Letters(const absl::StatusOr<WriteReport>& report) {
  if (!report.ok()) return std::string(ReasonName(ReasonOf(report.status())));
  std::string letters;
  for (const WriteOutcome outcome : report->outcomes) {
    letters.push_back("ARLNU-"[static_cast<size_t>(outcome)]);
  }
  return letters;
}

// "key=value" of every item in a range, separated by spaces, or the reason of the failure.
inline std::string Listing(OrderedStore& store, const ScanRequest& request = {},
                           const PageLimits& limits = {}) {
  std::string listing;
  const auto sink = [&](const btree::PackedItem& item) {
    const auto key = store.schema()->Decode(item.key, item.ride_on);
    if (!listing.empty()) listing += ' ';
    listing += key.ok() ? Printable(*key) : key.status().ToString();
    if (request.content != ItemContent::kKeys) listing += fmt::format("={}", item.value);
    return true;
  };
  const auto page = store.ReadPage(request, limits, sink);
  return page.ok() ? listing : std::string(ReasonName(ReasonOf(page.status())));
}

// The value of a key, "-" if it is not there, or the reason of the failure.
inline std::string ValueOf(OrderedStore& store, const btree::Key& key) {
  std::string value;
  const auto sink = [&value](const btree::PackedItem& item) {
    value = std::string(item.value);
    return true;
  };
  const auto missing = store.Get({&key, 1}, ItemContent::kItems, sink);
  if (!missing.ok()) return std::string(ReasonName(ReasonOf(missing.status())));
  return missing->empty() ? value : "-";
}

}  // namespace sop::catalog
