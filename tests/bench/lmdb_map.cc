#include <filesystem>

#include <lmdb.h>

#include "tests/bench/ordered_map.h"

namespace sop::bench {
namespace {

constexpr size_t kMapBytes = size_t{64} << 30;  // address space, not memory

void RequireOk(int code) { Require(code == MDB_SUCCESS, mdb_strerror(code)); }

MDB_val ToValue(std::string_view bytes) {
  return {.mv_size = bytes.size(), .mv_data = const_cast<char*>(bytes.data())};
}

// A read transaction. Confined to one thread.
class LmdbReader : public MapReader {
 public:
  LmdbReader(MDB_env* environment, MDB_dbi table) : table_(table) {
    RequireOk(mdb_txn_begin(environment, nullptr, MDB_RDONLY, &transaction_));
  }
  ~LmdbReader() override { mdb_txn_abort(transaction_); }

  size_t Get(std::string_view key) override {
    MDB_val wanted = ToValue(key);
    MDB_val value{};
    RequireOk(mdb_get(transaction_, table_, &wanted, &value));
    return value.mv_size;
  }

  uint64_t Scan(uint64_t* bytes) override {
    MDB_cursor* cursor = nullptr;
    RequireOk(mdb_cursor_open(transaction_, table_, &cursor));
    MDB_val key{};
    MDB_val value{};
    uint64_t items = 0;
    int code = mdb_cursor_get(cursor, &key, &value, MDB_FIRST);
    for (; code == MDB_SUCCESS; code = mdb_cursor_get(cursor, &key, &value, MDB_NEXT)) {
      *bytes += key.mv_size + value.mv_size;
      ++items;
    }
    mdb_cursor_close(cursor);
    Require(code == MDB_NOTFOUND, mdb_strerror(code));
    return items;
  }

 private:
  const MDB_dbi table_;
  MDB_txn* transaction_ = nullptr;
};

// Thread-safe: LMDB admits one writer at a time.
class LmdbMap : public OrderedMap {
 public:
  explicit LmdbMap(const MapOptions& options) {
    std::filesystem::create_directories(options.folder);
    RequireOk(mdb_env_create(&environment_));
    RequireOk(mdb_env_set_mapsize(environment_, kMapBytes));
    RequireOk(mdb_env_open(environment_, options.folder.c_str(), MDB_NOSYNC, 0644));
    MDB_txn* transaction = nullptr;
    RequireOk(mdb_txn_begin(environment_, nullptr, 0, &transaction));
    RequireOk(mdb_dbi_open(transaction, nullptr, MDB_CREATE, &table_));
    RequireOk(mdb_txn_commit(transaction));
  }
  ~LmdbMap() override { mdb_env_close(environment_); }

  void Commit(std::span<const KeyValue> items, CommitMode mode) override {
    MDB_txn* transaction = nullptr;
    RequireOk(mdb_txn_begin(environment_, nullptr, 0, &transaction));
    for (const KeyValue& item : items) {
      MDB_val key = ToValue(item.key);
      MDB_val value = ToValue(item.value);
      RequireOk(mdb_put(transaction, table_, &key, &value, 0));
    }
    RequireOk(mdb_txn_commit(transaction));
  }

  std::unique_ptr<MapReader> Read() override {
    return std::make_unique<LmdbReader>(environment_, table_);
  }
  void Settle() override {}
  void Compact() override {}
  uint64_t written_bytes() override { return 0; }

 private:
  MDB_env* environment_ = nullptr;
  MDB_dbi table_ = 0;
};

}  // namespace

std::unique_ptr<OrderedMap> OpenLmdbMap(const MapOptions& options) {
  return std::make_unique<LmdbMap>(options);
}

}  // namespace sop::bench
