#include "tests/faults/database_on_disk.h"

#include <utility>

#include <fmt/format.h>

#include "core/base/clock.h"
#include "core/base/error.h"
#include "core/base/random.h"
#include "core/base/status_macros.h"
#include "core/btree/node/apply.h"
#include "core/catalog/check/database_check.h"
#include "core/catalog/ordered_store.h"
#include "storage/rocksdb/model_disk/disk_environment.h"
#include "storage/rocksdb/rocksdb_storage.h"
#include "tests/faults/engine_on_disk.h"

namespace sop::faults {

DatabaseOnDisk::DatabaseOnDisk(model_disk::Disk& disk)
    : files_(disk),
      env_(model_disk::MakeDiskEnvironment(disk)),
      environment_(uint64_t{32} << 20, 2, *env_, kLogFilling) {}

DatabaseOnDisk::~DatabaseOnDisk() { database_.reset(); }

absl::StatusOr<std::unique_ptr<DatabaseOnDisk>> DatabaseOnDisk::Open(model_disk::Disk& disk) {
  std::unique_ptr<DatabaseOnDisk> opened(new DatabaseOnDisk(disk));
  rocksdb_storage::RocksDbOptions storage_options;
  storage_options.path = kDatabasePath;
  storage_options.apply = btree::Apply;
  storage_options.reserve_bytes = 0;
  SOP_ASSIGN_OR_RETURN(
      auto storage, rocksdb_storage::RocksDbStorage::Open(
                        storage_options, {opened->environment_, opened->files_, base::SystemClock(),
                                          base::SystemRandom()}));
  opened->storage_ = storage.get();
  opened->compact_ = [rocksdb = storage.get()] { return rocksdb->Compact(); };
  catalog::DatabaseOptions options;
  options.name = "damaged";
  options.engine.clock = &base::SystemClock();
  options.engine.random = &base::SystemRandom();
  options.engine.files = &opened->files_;
  options.engine.pool = &opened->pool_;
  options.engine.cache = std::make_shared<txn::CacheBudget>(size_t{1} << 20);
  options.engine.spill_folder = storage->spill_folder();
  options.engine.nodes.image_bytes = 1024;
  options.engine.groups_between_folds = 7;
  options.storage = std::move(storage);
  SOP_ASSIGN_OR_RETURN(opened->database_, catalog::Database::Open(std::move(options)));
  return opened;
}

absl::Status DatabaseOnDisk::Put(std::string_view store, const Content& items) {
  auto stores = database_->Begin();
  SOP_ASSIGN_OR_RETURN(catalog::OpenStore * opened, stores->Create(store, {}));
  std::vector<catalog::WriteItem> writes;
  for (const auto& [key, value] : items) {
    writes.push_back({.key = btree::Key(btree::Scalar(key)), .value = value});
  }
  SOP_RETURN_IF_ERROR(catalog::OrderedStore(*opened).Upsert(writes).status());
  return database_->CommitAndWait(std::move(stores)).status;
}

absl::Status DatabaseOnDisk::Remove(std::string_view store, const std::vector<std::string>& keys) {
  auto stores = database_->Begin();
  SOP_ASSIGN_OR_RETURN(catalog::OpenStore * opened, stores->Open(store));
  std::vector<catalog::WriteItem> writes;
  for (const std::string& key : keys) writes.push_back({.key = btree::Key(btree::Scalar(key))});
  const auto require = catalog::Require::kAll;
  SOP_RETURN_IF_ERROR(catalog::OrderedStore(*opened).Remove(writes, require).status());
  return database_->CommitAndWait(std::move(stores)).status;
}

absl::Status DatabaseOnDisk::RemoveStore(std::string_view store) {
  auto stores = database_->Begin();
  SOP_RETURN_IF_ERROR(stores->Remove(store));
  return database_->CommitAndWait(std::move(stores)).status;
}

absl::StatusOr<DatabaseOnDisk::Content> DatabaseOnDisk::Read(std::string_view name) {
  auto stores = database_->Begin({txn::Mode::kReadOnly});
  auto content = ReadIn(*stores, name);
  if (!content.ok()) return stores->Explain(content.status());
  return content;
}

absl::StatusOr<DatabaseOnDisk::Content> DatabaseOnDisk::ReadIn(catalog::StoreSet& stores,
                                                               std::string_view name) {
  SOP_ASSIGN_OR_RETURN(catalog::OpenStore * opened, stores.Open(name));
  catalog::OrderedStore store(*opened);
  Content content;
  const auto keep = [&](const btree::PackedItem& item) {
    const auto key = store.schema()->Decode(item.key, item.ride_on);
    content[key.ok() ? std::get<std::string>(std::get<btree::Scalar>(*key)) : "undecodable"] =
        std::string(item.value);
    return true;
  };
  SOP_RETURN_IF_ERROR(store.ReadPage({}, {}, keep).status());
  catalog::ScanRequest backward;
  backward.direction = catalog::ScanDirection::kBackward;
  auto expected = content.rbegin();
  bool same = true;
  const auto compare = [&](const btree::PackedItem& item) {
    same = same && expected != content.rend() && expected->second == item.value;
    if (expected != content.rend()) ++expected;
    return true;
  };
  SOP_RETURN_IF_ERROR(store.ReadPage(backward, {}, compare).status());
  SOP_ASSIGN_OR_RETURN(const uint64_t count, store.Count({}));
  if (same && count == content.size()) return content;
  return Error(Reason::kInternal,
               fmt::format("store {}: {} items forward, backward {}, counted {}", name,
                           content.size(), same ? "the same" : "others", count));
}

absl::Status DatabaseOnDisk::Compact() { return compact_(); }

absl::StatusOr<check::CheckReport> DatabaseOnDisk::Check() {
  return check::CheckStorage(*storage_, {}, base::SystemClock());
}

}  // namespace sop::faults
