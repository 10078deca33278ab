#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <utility>

#include "absl/status/statusor.h"
#include "core/base/thread_pool.h"
#include "core/catalog/database.h"
#include "core/catalog/ordered_store.h"
#include "storage/rocksdb/rocksdb_environment.h"
#include "storage/rocksdb/rocksdb_storage.h"
#include "tests/bench/ordered_map.h"

namespace sop::bench {

template <typename T>
T Value(absl::StatusOr<T> result) {
  Require(result.ok(), result.status().ToString());
  return *std::move(result);
}

// A store of ascending int64 keys, each with the same value, in a database of its own. Confined to
// one thread.
class NumberedStore {
 public:
  NumberedStore(const std::string& folder, std::string value,
                const catalog::GivenOptions& options = {});

  // Adds items [size(), items) in large transactions.
  void Grow(uint64_t items);
  uint64_t size() const { return size_; }
  // Writes out memory and compacts.
  void Settle();
  uint64_t Statistic(const std::string& name) const;
  catalog::Database& database() { return *database_; }

  // Calls `read` with the store in one snapshot.
  void Read(const std::function<void(catalog::OrderedStore&)>& read);
  // Calls `write` with the store in one transaction, and commits it.
  void Write(const std::function<void(catalog::OrderedStore&)>& write);

 private:
  const std::string value_;
  const rocksdb_storage::RocksDbEnvironment environment_;
  base::ThreadPool pool_{4};
  std::unique_ptr<catalog::Database> database_;
  uint64_t size_ = 0;
};

}  // namespace sop::bench
