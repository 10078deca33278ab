#include <algorithm>
#include <atomic>
#include <chrono>
#include <future>
#include <map>
#include <thread>

#include "core/base/clock.h"
#include "core/base/error.h"
#include "core/base/file_system.h"
#include "core/base/random.h"
#include "core/base/thread_pool.h"
#include "core/btree/node/apply.h"
#include "core/txn/engine.h"
#include "core/txn/transaction_cursor.h"
#include "storage/rocksdb/rocksdb_environment.h"
#include "storage/rocksdb/rocksdb_storage.h"
#include "tests/bench/ordered_map.h"

namespace sop::bench {
namespace {

constexpr TreeId kTree{5};
// RocksDbEnvironment takes no less.
constexpr uint64_t kMinStorageBytes = uint64_t{32} << 20;
constexpr int kBackgroundThreads = 2;
// What stores keep in nodes unless they are told otherwise.
constexpr size_t kInNodeBytes = 1024;

// As the daemon shares its memory out.
uint64_t StorageBytes(const MapOptions& options) {
  return std::max(options.memory_bytes / 8 * 3, kMinStorageBytes);
}

template <typename T>
T Value(absl::StatusOr<T> result) {
  Require(result.ok(), result.status().ToString());
  return *std::move(result);
}

// A snapshot of the engine. Confined to one thread.
class EngineReader : public MapReader {
 public:
  explicit EngineReader(txn::Engine& engine)
      : transaction_(engine.Begin({.mode = txn::Mode::kReadOnly})),
        tree_(transaction_->OpenTree(kTree, {})) {}

  size_t Get(std::string_view key) override {
    auto item = Value(transaction_->Get(tree_, key, txn::ReadMode::kItem));
    Require(item.has_value(), "a key of ours is missing");
    if (item->view().is_reference()) {
      const absl::Status status = transaction_->LoadValue(tree_, &*item);
      Require(status.ok(), status.ToString());
    }
    return item->value.size();
  }

  uint64_t Scan(uint64_t* bytes) override {
    auto cursor = transaction_->OpenCursor(tree_, txn::ReadMode::kItem);
    uint64_t items = 0;
    absl::Status status = cursor->SeekToFirst();
    for (; status.ok() && cursor->Valid(); status = cursor->Next()) {
      *bytes += cursor->key().size() + cursor->item().value.size();
      ++items;
    }
    Require(status.ok(), status.ToString());
    return items;
  }

 private:
  const std::shared_ptr<txn::Transaction> transaction_;
  const txn::TreeSlot tree_;
};

// Thread-safe.
class EngineMap : public OrderedMap {
 public:
  explicit EngineMap(const MapOptions& options)
      : environment_(StorageBytes(options), kBackgroundThreads) {
    Require(options.memory_bytes > kMinStorageBytes, "too little memory to share");
    storage_ = Value(rocksdb_storage::RocksDbStorage::Open(
        {.path = options.folder, .apply = btree::Apply},
        {environment_, base::SystemFileSystem(), base::SystemClock(), base::SystemRandom()}));
    txn::EngineOptions engine;
    engine.clock = &base::SystemClock();
    engine.random = &base::SystemRandom();
    engine.files = &base::SystemFileSystem();
    engine.pool = &pool_;
    engine.cache = std::make_shared<txn::CacheBudget>(options.memory_bytes - StorageBytes(options));
    engine.spill_folder = storage_->spill_folder();
    engine.nodes.image_bytes = options.node_bytes;
    engine_ = Value(txn::Engine::Open(*storage_, engine));
  }

  void Commit(std::span<const KeyValue> items, CommitMode mode) override {
    while (!TryCommit(items, mode)) aborts_.fetch_add(1, std::memory_order_relaxed);
  }

  // One transaction gathers writes while the one before it commits.
  void Load(std::span<const KeyValue> items) override {
    auto transaction = engine_->Begin({});
    const txn::TreeSlot tree = transaction->OpenTree(kTree, {});
    for (const KeyValue& item : items)
      Write(*transaction, tree, item, txn::ChangeKind::kStructural);
    FinishLoad();
    auto promise = std::make_shared<std::promise<txn::CommitResult>>();
    loading_ = promise->get_future();
    engine_->Commit(std::move(transaction), {},
                    [promise](txn::CommitResult result) { promise->set_value(std::move(result)); });
  }
  void FinishLoad() override {
    if (!loading_.valid()) return;
    const txn::CommitResult result = loading_.get();
    Require(result.status.ok(), result.status.ToString());
  }
  // Enough to be staged, and little enough to stay in memory until then.
  uint64_t load_bytes() const override { return uint64_t{9} << 20; }

  std::unique_ptr<MapReader> Read() override { return std::make_unique<EngineReader>(*engine_); }

  void Settle() override {
    for (;;) {
      const std::map<std::string, uint64_t> now = storage_->Statistics();
      if (now.at("running_flushes_count") + now.at("running_compactions_count") == 0) return;
      std::this_thread::sleep_for(std::chrono::milliseconds(2));
    }
  }

  void Compact() override {
    const absl::Status folded = engine_->Fold();
    Require(folded.ok(), folded.ToString());
    const absl::Status status = storage_->Compact();
    Require(status.ok(), status.ToString());
  }

  uint64_t written_bytes() override {
    const std::map<std::string, uint64_t> now = storage_->Statistics();
    return now.at("wal_written_bytes") + now.at("flush_written_bytes") +
           now.at("compaction_written_bytes") + now.at("blob_file_written_bytes");
  }

  uint64_t aborts() const override { return aborts_.load(std::memory_order_relaxed); }

 private:
  static void Write(txn::Transaction& transaction, txn::TreeSlot tree, const KeyValue& item,
                    txn::ChangeKind kind) {
    txn::ItemWrite write;
    write.value = item.value;
    if (item.value.size() > kInNodeBytes) write.placement = txn::Placement::kOutOfNode;
    const absl::Status status = transaction.Put(tree, item.key, write, kind);
    Require(status.ok(), status.ToString());
  }
  bool TryCommit(std::span<const KeyValue> items, CommitMode mode) {
    auto transaction = engine_->Begin({});
    const txn::TreeSlot tree = transaction->OpenTree(kTree, {});
    const txn::ChangeKind kind =
        mode.change == Change::kUpdate ? txn::ChangeKind::kValueOnly : txn::ChangeKind::kStructural;
    if (mode.change != Change::kBlind) {
      std::vector<std::string_view> keys;
      for (const KeyValue& item : items) keys.push_back(item.key);
      std::vector<std::optional<btree::Item>> before;
      const absl::Status read = transaction->GetAll(tree, keys, txn::ReadMode::kKeyOnly, &before);
      Require(read.ok(), read.ToString());
      for (const auto& item : before) {
        Require(item.has_value() == (mode.change == Change::kUpdate), "an unexpected key");
      }
    }
    for (const KeyValue& item : items) Write(*transaction, tree, item, kind);
    const txn::CommitOptions options = {.durability = mode.sync == Sync::kSynced
                                                          ? persistence::Durability::kSynced
                                                          : persistence::Durability::kRelaxed};
    const absl::Status status = engine_->CommitAndWait(std::move(transaction), options).status;
    Require(status.ok() || status.code() == absl::StatusCode::kAborted, status.ToString());
    return status.ok();
  }

  std::atomic<uint64_t> aborts_{0};
  std::future<txn::CommitResult> loading_;
  const rocksdb_storage::RocksDbEnvironment environment_;
  base::ThreadPool pool_{4};
  std::unique_ptr<rocksdb_storage::RocksDbStorage> storage_;
  std::unique_ptr<txn::Engine> engine_;
};

}  // namespace

std::unique_ptr<OrderedMap> OpenEngineMap(const MapOptions& options) {
  return std::make_unique<EngineMap>(options);
}

}  // namespace sop::bench
