#include "storage/rocksdb/node_memtable.h"

#include <algorithm>
#include <atomic>
#include <cstdlib>
#include <iterator>
#include <map>
#include <memory>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include <fmt/format.h>
#include <gtest/gtest.h>
#include <rocksdb/db.h>
#include <rocksdb/env.h>
#include <rocksdb/merge_operator.h>
#include <rocksdb/write_batch.h>

#include "core/base/random.h"

namespace sop::rocksdb_storage {
namespace {

using rocksdb::MemTableRep;
using rocksdb::Slice;
using Model = std::map<std::string, std::string>;

uint64_t Seed() {
  const char* const given = std::getenv("SOP_SEED");
  return given != nullptr ? std::stoull(given) : 1;
}

class Appending : public rocksdb::AssociativeMergeOperator {
 public:
  const char* Name() const override { return "Appending"; }
  bool Merge(const Slice& /*key*/, const Slice* value, const Slice& operand, std::string* merged,
             rocksdb::Logger* /*log*/) const override {
    *merged = value == nullptr ? "" : value->ToString();
    merged->append(operand.data(), operand.size());
    return true;
  }
};

rocksdb::Options OptionsOf(rocksdb::Env* env, size_t write_buffer_bytes) {
  rocksdb::Options options;
  options.env = env;
  options.create_if_missing = true;
  options.allow_concurrent_memtable_write = false;
  options.write_buffer_size = write_buffer_bytes;
  options.max_write_buffer_number = 4;
  options.merge_operator = std::make_shared<Appending>();
  options.memtable_factory = std::make_shared<NodeMemTableFactory>(write_buffer_bytes);
  return options;
}

// A key's order in a memtable: falling trailers.
using Place = std::pair<std::string, uint64_t>;
Place At(const std::string& key, uint64_t trailer) { return {key, ~trailer}; }

std::string InternalKey(const std::string& key, uint64_t trailer) {
  std::string bytes = key;
  for (int shift = 0; shift < 64; shift += 8) bytes.push_back(static_cast<char>(trailer >> shift));
  return bytes;
}

std::string Varint(size_t value) {
  std::string bytes;
  for (; value >= 128; value >>= 7) bytes.push_back(static_cast<char>(value | 128));
  bytes.push_back(static_cast<char>(value));
  return bytes;
}

// Lends the allocator of a memtable that RocksDB made, whose class is none of its public ones, to
// another memtable.
class LendingFactory : public rocksdb::MemTableRepFactory {
 public:
  const char* Name() const override { return "Lending"; }
  using rocksdb::MemTableRepFactory::CreateMemTableRep;
  MemTableRep* CreateMemTableRep(const MemTableRep::KeyComparator& compare,
                                 rocksdb::Allocator* allocator,
                                 const rocksdb::SliceTransform* prefix,
                                 rocksdb::Logger* log) override {
    lent.reset(NodeMemTableFactory(1 << 15).CreateMemTableRep(compare, allocator, prefix, log));
    return skip_list_.CreateMemTableRep(compare, allocator, prefix, log);
  }

  std::unique_ptr<MemTableRep> lent;

 private:
  rocksdb::SkipListFactory skip_list_;
};

// The memtable by itself, against entries in a std::map.
class NodeMemTableTest : public ::testing::Test {
 protected:
  NodeMemTableTest() : env_(rocksdb::NewMemEnv(rocksdb::Env::Default())) {
    rocksdb::Options options = OptionsOf(env_.get(), 1 << 20);
    options.memtable_factory = factory_;
    rocksdb::DB* db = nullptr;
    EXPECT_TRUE(rocksdb::DB::Open(options, "/db", &db).ok());
    db_.reset(db);
  }
  ~NodeMemTableTest() override { factory_->lent.reset(); }

  MemTableRep& table() { return *factory_->lent; }

  void Insert(const std::string& key, uint64_t trailer, const std::string& value) {
    const std::string bytes =
        Varint(key.size() + 8) + InternalKey(key, trailer) + Varint(value.size()) + value;
    char* buffer = nullptr;
    const rocksdb::KeyHandle handle = table().Allocate(bytes.size(), &buffer);
    bytes.copy(buffer, bytes.size());
    table().Insert(handle);
    model_.emplace(At(key, trailer), bytes);
  }

  // Entries of `keys` in any order of their sequence numbers.
  void InsertRandomly(const std::vector<std::string>& keys, int count) {
    for (int i = 0; i < count; ++i) {
      const std::string& key = keys[random_.Next64() % keys.size()];
      const uint64_t trailer =
          random_.Next64() % 3 == 0 ? random_.Next64() % 100'000 : newest_ += 1000;
      if (model_.contains(At(key, trailer))) continue;
      Insert(key, trailer, fmt::format("value {}", i));
    }
  }

  std::string Random(const std::vector<std::string>& keys) {
    std::string key = keys[random_.Next64() % keys.size()];
    if (random_.Next64() % 4 == 0) key.push_back('\0');
    return key;
  }

  using Entries = std::map<Place, std::string>;
  // An entry of the model as the iterator must show it.
  void ExpectAt(MemTableRep::Iterator& at, Entries::const_iterator wanted) {
    ASSERT_EQ(at.Valid(), wanted != model_.end());
    if (!at.Valid()) return;
    ASSERT_EQ(std::string_view(at.key(), wanted->second.size()), wanted->second);
  }

  void ExpectWalks(MemTableRep::Iterator& at) {
    at.SeekToFirst();
    for (auto wanted = model_.begin(); wanted != model_.end(); ++wanted, at.Next()) {
      ASSERT_NO_FATAL_FAILURE(ExpectAt(at, wanted));
    }
    EXPECT_FALSE(at.Valid());
    at.SeekToLast();
    for (auto wanted = model_.rbegin(); wanted != model_.rend(); ++wanted, at.Prev()) {
      ASSERT_NO_FATAL_FAILURE(ExpectAt(at, std::prev(wanted.base())));
    }
    EXPECT_FALSE(at.Valid());
  }

  void ExpectSeeks(MemTableRep::Iterator& at, const std::vector<std::string>& keys) {
    for (int i = 0; i < 300; ++i) {
      const std::string key = Random(keys);
      const uint64_t trailer = random_.Next64() % 1'000'000;
      at.Seek(InternalKey(key, trailer), nullptr);
      const auto from = model_.lower_bound(At(key, trailer));
      ASSERT_NO_FATAL_FAILURE(ExpectAt(at, from));
      at.SeekForPrev(InternalKey(key, trailer), nullptr);
      const auto above = model_.upper_bound(At(key, trailer));
      ASSERT_NO_FATAL_FAILURE(
          ExpectAt(at, above == model_.begin() ? model_.end() : std::prev(above)));
      EXPECT_EQ(table().Contains((Varint(key.size() + 8) + InternalKey(key, trailer)).c_str()),
                model_.contains(At(key, trailer)));
    }
  }

  // The iterator of point reads: what is not newer, of the key only.
  void ExpectPointReads(const std::vector<std::string>& keys) {
    for (int i = 0; i < 300; ++i) {
      const std::string key = Random(keys);
      const uint64_t trailer = random_.Next64() % 1'000'000;
      MemTableRep::Iterator* const at = table().GetDynamicPrefixIterator(nullptr);
      at->Seek(InternalKey(key, trailer), nullptr);
      auto wanted = model_.lower_bound(At(key, trailer));
      for (; wanted != model_.end() && wanted->first.first == key; ++wanted, at->Next()) {
        ASSERT_NO_FATAL_FAILURE(ExpectAt(*at, wanted));
      }
      EXPECT_FALSE(at->Valid());
      if (i % 2 == 0) delete at;
    }
  }

  void ExpectModel(const std::vector<std::string>& keys) {
    const std::unique_ptr<MemTableRep::Iterator> at(table().GetIterator(nullptr));
    ExpectWalks(*at);
    if (!model_.empty()) ExpectSeeks(*at, keys);
    ExpectPointReads(keys);
  }

  const uint64_t seed_ = Seed();
  const testing::ScopedTrace trace_{__FILE__, __LINE__, fmt::format("SOP_SEED={}", seed_)};
  base::SeededRandom random_{seed_};
  const std::unique_ptr<rocksdb::Env> env_;
  const std::shared_ptr<LendingFactory> factory_ = std::make_shared<LendingFactory>();
  std::unique_ptr<rocksdb::DB> db_;
  Entries model_;
  uint64_t newest_ = 0;
};

TEST_F(NodeMemTableTest, EmptyHasNothing) {
  ExpectModel({"a"});
  EXPECT_EQ(table().ApproximateMemoryUsage(), 0);
  table().MarkReadOnly();
  ExpectModel({"a"});
}

TEST_F(NodeMemTableTest, EntriesComeInOrderHoweverTheyWereInserted) {
  const std::vector<std::string> keys = {"",
                                         "a",
                                         std::string("a\0", 2),
                                         "b",
                                         "node 7 of tree 3",
                                         std::string(5000, 'x'),
                                         std::string(5000, 'x') + "y"};
  for (int round = 0; round < 4; ++round) {
    InsertRandomly(keys, 500);
    ExpectModel(keys);
  }
  table().MarkReadOnly();
  ExpectModel(keys);
  ExpectModel(keys);
}

TEST_F(NodeMemTableTest, ManyMoreKeysThanBuckets) {
  std::vector<std::string> keys;
  for (int i = 0; i < 3000; ++i) keys.push_back(fmt::format("{:x}", random_.Next64() % 1'000'000));
  InsertRandomly(keys, 6000);
  ExpectModel(keys);
  table().MarkReadOnly();
  ExpectModel(keys);
}

TEST_F(NodeMemTableTest, CountsEntriesOfARangeAndOwnMemory) {
  for (int i = 0; i < 100; ++i) Insert(fmt::format("{:02}", i % 50), 1000 + i, "v");
  EXPECT_EQ(table().ApproximateNumEntries(InternalKey("10", 7), InternalKey("20", 7)), 20);
  EXPECT_EQ(table().ApproximateNumEntries(InternalKey("", 7), InternalKey("z", 7)), 100);
  // 64 buckets and 50 keys, 8 bytes each; what is full must not grow.
  EXPECT_EQ(table().ApproximateMemoryUsage(), 64 * 8 + 50 * 8);
  table().MarkReadOnly();
  const std::unique_ptr<MemTableRep::Iterator> at(table().GetIterator(nullptr));
  at->SeekToFirst();
  EXPECT_EQ(table().ApproximateMemoryUsage(), 64 * 8 + 50 * 8);
}

// The writer counts in one key and leaves a key of its own for each number.
TEST_F(NodeMemTableTest, ReadersBesideAWriterFindWhatWasInsertedBefore) {
  constexpr uint64_t kNumbers = 3000;
  std::atomic<uint64_t> inserted{0};
  std::atomic<uint64_t> reads{0};
  const auto read = [&] {
    const uint64_t number = inserted.load();
    MemTableRep::Iterator* const point = table().GetDynamicPrefixIterator(nullptr);
    point->Seek(InternalKey("count", number), nullptr);
    for (uint64_t left = number; left > 0 && point->Valid(); --left, point->Next()) {
      ASSERT_TRUE(std::string_view(point->key())
                      .starts_with("\x0d"
                                   "count"));
    }
    ASSERT_FALSE(point->Valid());
    const std::unique_ptr<MemTableRep::Iterator> all(table().GetIterator(nullptr));
    uint64_t keys = 0;
    for (all->Seek(InternalKey("key", UINT64_MAX), nullptr); all->Valid(); all->Next()) ++keys;
    ASSERT_GE(keys, number);
    for (all->SeekForPrev(InternalKey("key~", 0), nullptr); keys > 0; all->Prev()) {
      ASSERT_TRUE(all->Valid());
      --keys;
    }
    reads.fetch_add(1);
  };
  std::vector<std::thread> readers;
  for (int i = 0; i < 2; ++i) {
    readers.emplace_back([&] {
      while (inserted.load() < kNumbers && !HasFailure()) read();
    });
  }
  uint64_t number = 0;
  while (number < kNumbers) {
    ++number;
    Insert("count", number, "");
    Insert(fmt::format("key{:x}", number * 2654435761), number, "value");
    inserted.store(number);
    // The last number waits until enough was read on the way to it.
    while (number == kNumbers - 1 && reads.load() < 20 && !HasFailure()) std::this_thread::yield();
  }
  for (std::thread& reader : readers) reader.join();
}

// A RocksDB with such memtables, against std::map.
class RocksDbOfNodeMemTablesTest : public ::testing::Test {
 protected:
  RocksDbOfNodeMemTablesTest() : env_(rocksdb::NewMemEnv(rocksdb::Env::Default())) { Open(); }
  ~RocksDbOfNodeMemTablesTest() override { ReleaseSnapshots(); }

  void Open() {
    ReleaseSnapshots();
    db_.reset();
    rocksdb::DB* db = nullptr;
    const rocksdb::Status status = rocksdb::DB::Open(OptionsOf(env_.get(), 1 << 18), "/db", &db);
    ASSERT_TRUE(status.ok()) << status.ToString();
    db_.reset(db);
  }

  void TakeSnapshot() { snapshots_.emplace_back(db_->GetSnapshot(), model_); }
  void ReleaseSnapshots() {
    for (const auto& [snapshot, model] : snapshots_) db_->ReleaseSnapshot(snapshot);
    snapshots_.clear();
  }

  void WriteRandomly(const std::vector<std::string>& keys) {
    rocksdb::WriteBatch batch;
    for (uint64_t left = 1 + random_.Next64() % 5; left > 0; --left) {
      const std::string& key = keys[random_.Next64() % keys.size()];
      const std::string value = fmt::format("{:x}.", random_.Next64() % 65536);
      const uint64_t choice = random_.Next64() % 100;
      if (choice < 30) {
        model_[key] = value;
        ASSERT_TRUE(batch.Put(key, value).ok());
      } else if (choice < 85) {
        model_[key] += value;
        ASSERT_TRUE(batch.Merge(key, value).ok());
      } else if (choice < 98) {
        model_.erase(key);
        ASSERT_TRUE(batch.Delete(key).ok());
      } else {
        const auto [begin, end] = std::minmax(key, keys[random_.Next64() % keys.size()]);
        model_.erase(model_.lower_bound(begin), model_.lower_bound(end));
        ASSERT_TRUE(batch.DeleteRange(begin, end).ok());
      }
    }
    ASSERT_TRUE(db_->Write(rocksdb::WriteOptions(), &batch).ok());
  }

  void ExpectScans(const rocksdb::ReadOptions& options, const Model& model) {
    const std::unique_ptr<rocksdb::Iterator> at(db_->NewIterator(options));
    at->SeekToFirst();
    for (const auto& [key, value] : model) {
      ASSERT_TRUE(at->Valid());
      ASSERT_EQ(at->key(), key);
      ASSERT_EQ(at->value(), value);
      at->Next();
    }
    EXPECT_FALSE(at->Valid());
    at->SeekToLast();
    for (auto wanted = model.rbegin(); wanted != model.rend(); ++wanted, at->Prev()) {
      ASSERT_TRUE(at->Valid());
      ASSERT_EQ(at->key(), wanted->first);
      ASSERT_EQ(at->value(), wanted->second);
    }
    EXPECT_FALSE(at->Valid());
    EXPECT_TRUE(at->status().ok());
  }

  void ExpectPoints(const rocksdb::ReadOptions& options, const Model& model,
                    const std::vector<std::string>& keys) {
    const std::unique_ptr<rocksdb::Iterator> at(db_->NewIterator(options));
    for (int i = 0; i < 20; ++i) {
      const std::string& key = keys[random_.Next64() % keys.size()];
      const auto wanted = model.find(key);
      std::string value;
      const rocksdb::Status status = db_->Get(options, key, &value);
      ASSERT_EQ(status.ok(), wanted != model.end()) << status.ToString();
      if (status.ok()) ASSERT_EQ(value, wanted->second);
      const auto from = model.lower_bound(key);
      at->Seek(key);
      ASSERT_EQ(at->Valid(), from != model.end());
      if (at->Valid()) ASSERT_EQ(at->key(), from->first);
      const auto above = model.upper_bound(key);
      at->SeekForPrev(key);
      ASSERT_EQ(at->Valid(), above != model.begin());
      if (at->Valid()) ASSERT_EQ(at->key(), std::prev(above)->first);
    }
  }

  void ExpectModels(const std::vector<std::string>& keys) {
    ASSERT_NO_FATAL_FAILURE(ExpectScans({}, model_));
    ASSERT_NO_FATAL_FAILURE(ExpectPoints({}, model_, keys));
    for (const auto& [snapshot, model] : snapshots_) {
      rocksdb::ReadOptions options;
      options.snapshot = snapshot;
      ASSERT_NO_FATAL_FAILURE(ExpectScans(options, model));
      ASSERT_NO_FATAL_FAILURE(ExpectPoints(options, model, keys));
    }
  }

  void ExpectDatabaseFollowsModel(const std::vector<std::string>& keys, int rounds) {
    for (int round = 0; round < rounds; ++round) {
      for (int i = 0; i < 50; ++i) ASSERT_NO_FATAL_FAILURE(WriteRandomly(keys));
      if (random_.Next64() % 3 == 0) TakeSnapshot();
      if (random_.Next64() % 5 == 0) ASSERT_TRUE(db_->Flush(rocksdb::FlushOptions()).ok());
      if (random_.Next64() % 8 == 0) ASSERT_NO_FATAL_FAILURE(Open());
      if (snapshots_.size() > 4) ReleaseSnapshots();
      ASSERT_NO_FATAL_FAILURE(ExpectModels(keys));
    }
  }

  const uint64_t seed_ = Seed();
  const testing::ScopedTrace trace_{__FILE__, __LINE__, fmt::format("SOP_SEED={}", seed_)};
  base::SeededRandom random_{seed_};
  const std::unique_ptr<rocksdb::Env> env_;
  std::unique_ptr<rocksdb::DB> db_;
  Model model_;
  std::vector<std::pair<const rocksdb::Snapshot*, Model>> snapshots_;
};

TEST_F(RocksDbOfNodeMemTablesTest, FewKeysFollowModel) {
  ExpectDatabaseFollowsModel({"a", "b", "c"}, 60);
}

TEST_F(RocksDbOfNodeMemTablesTest, ManyKeysFollowModel) {
  std::vector<std::string> keys;
  for (int i = 0; i < 2000; ++i) keys.push_back(fmt::format("{:06}", random_.Next64() % 1'000'000));
  ExpectDatabaseFollowsModel(keys, 60);
}

TEST_F(RocksDbOfNodeMemTablesTest, LongKeysFollowModel) {
  std::vector<std::string> keys;
  for (int i = 0; i < 20; ++i) {
    keys.push_back(fmt::format("{}{:02}", std::string(random_.Next64() % 9000, 'k'), i));
  }
  ExpectDatabaseFollowsModel(keys, 30);
}

TEST_F(RocksDbOfNodeMemTablesTest, EverySnapshotOfABusyKeyReadsItsValue) {
  for (int i = 0; i < 5000; ++i) {
    const std::string value = fmt::format("{}", i);
    ASSERT_TRUE(db_->Put(rocksdb::WriteOptions(), "busy", value).ok());
    model_["busy"] = value;
    if (i % 50 == 0) TakeSnapshot();
  }
  ExpectModels({"busy", "idle"});
}

TEST_F(RocksDbOfNodeMemTablesTest, RecoversFromItsLog) {
  for (int i = 0; i < 50; ++i) ASSERT_NO_FATAL_FAILURE(WriteRandomly({"a", "b", "c", "d"}));
  for (int i = 0; i < 3; ++i) {
    ASSERT_NO_FATAL_FAILURE(Open());
    ExpectModels({"a", "b", "c", "d"});
  }
}

// Every batch sets all hot keys to its number and adds a key of its own, so a reader at any
// snapshot finds one number everywhere and as many keys as that.
class Readers {
 public:
  explicit Readers(rocksdb::DB& db) : db_(db) {
    for (int i = 0; i < 2; ++i) {
      threads_.emplace_back([this] {
        while (!stopped_.load()) ReadOnce();
      });
    }
  }
  ~Readers() {
    stopped_.store(true);
    for (std::thread& thread : threads_) thread.join();
  }

  int reads() const { return reads_.load(); }

 private:
  void ReadOnce() {
    rocksdb::ReadOptions options;
    options.snapshot = db_.GetSnapshot();
    std::string number;
    EXPECT_TRUE(db_.Get(options, "hot1", &number).ok());
    std::string other;
    EXPECT_TRUE(db_.Get(options, "hot2", &other).ok());
    EXPECT_EQ(number, other);
    const std::unique_ptr<rocksdb::Iterator> at(db_.NewIterator(options));
    int cold = 0;
    for (at->Seek("cold"); at->Valid() && at->key().starts_with("cold"); at->Next()) ++cold;
    EXPECT_EQ(fmt::format("{}", cold), number);
    for (const char* const hot : {"hot1", "hot2"}) {
      EXPECT_TRUE(at->Valid() && at->key() == hot && at->value() == number);
      if (at->Valid()) at->Next();
    }
    for (at->SeekForPrev("cold~"); at->Valid(); at->Prev()) --cold;
    EXPECT_EQ(cold, 0);
    db_.ReleaseSnapshot(options.snapshot);
    reads_.fetch_add(1);
  }

  rocksdb::DB& db_;
  std::atomic<bool> stopped_{false};
  std::atomic<int> reads_{0};
  std::vector<std::thread> threads_;
};

TEST_F(RocksDbOfNodeMemTablesTest, ReadersBesideAWriterSeeWholeBatches) {
  constexpr int kBatches = 6000;
  constexpr int kReads = 20;
  const auto write = [this](int number) {
    rocksdb::WriteBatch batch;
    const std::string value = fmt::format("{}", number);
    EXPECT_TRUE(batch.Put("hot1", value).ok());
    EXPECT_TRUE(batch.Put("hot2", value).ok());
    // Neither at the end of the keys nor in their order.
    const uint64_t scattered = static_cast<uint64_t>(number) * 2654435761 % 4294967296;
    if (number > 0) EXPECT_TRUE(batch.Put(fmt::format("cold{:010}", scattered), value).ok());
    EXPECT_TRUE(db_->Write(rocksdb::WriteOptions(), &batch).ok());
  };
  write(0);
  const Readers readers(*db_);
  int number = 0;
  while (number < kBatches || readers.reads() < kReads) write(++number);
}

}  // namespace
}  // namespace sop::rocksdb_storage
