#include "tests/history/engines_under_test.h"

#include <unistd.h>

#include <filesystem>

#include <fmt/format.h>

#include "core/base/check.h"
#include "core/base/clock.h"
#include "core/base/file_system.h"
#include "core/base/random.h"
#include "core/base/thread_pool.h"
#include "core/btree/node/apply.h"
#include "storage/memory/memory_storage.h"
#include "storage/rocksdb/rocksdb_storage.h"
#include "tests/history/strained_engine.h"

namespace sop::history {
namespace {

std::string TemporaryPath(std::string_view name) {
  return fmt::format("{}/sop_history_{}_{}", std::filesystem::temp_directory_path().string(), name,
                     ::getpid());
}

class PooledEngines : public EnginesUnderTest {
 protected:
  void Open(persistence::Storage& storage, const std::string& spill_folder) {
    auto engine = txn::Engine::Open(storage, StrainedEngine(pool_, spill_folder));
    SOP_CHECK(engine.ok());
    engines_.push_back(*std::move(engine));
  }

 private:
  base::ThreadPool pool_{4};
};

class MemoryEngines : public PooledEngines {
 public:
  explicit MemoryEngines(int committers) {
    const auto state = std::make_shared<memory::MemoryState>(Uuid{7, 7});
    for (int i = 0; i < committers; ++i) {
      storages_.push_back(std::make_unique<memory::MemoryStorage>(state, btree::Apply));
      Open(*storages_.back(), TemporaryPath(fmt::format("spill{}", i)));
    }
  }
  ~MemoryEngines() override { engines_.clear(); }

 private:
  std::vector<std::unique_ptr<memory::MemoryStorage>> storages_;
};

class RocksDbEngines : public PooledEngines {
 public:
  RocksDbEngines() : path_(TemporaryPath("rocksdb")) {
    rocksdb_storage::RocksDbOptions options;
    options.path = path_;
    options.apply = btree::Apply;
    options.reserve_bytes = 0;
    auto storage = rocksdb_storage::RocksDbStorage::Open(
        options,
        {environment_, base::SystemFileSystem(), base::SystemClock(), base::SystemRandom()});
    SOP_CHECK(storage.ok());
    storage_ = *std::move(storage);
    Open(*storage_, storage_->spill_folder());
  }
  ~RocksDbEngines() override {
    engines_.clear();
    storage_.reset();
    SOP_CHECK(base::SystemFileSystem().RemoveRecursively(path_).ok());
  }

 private:
  const std::string path_;
  const rocksdb_storage::RocksDbEnvironment environment_{uint64_t{32} << 20, 2};
  std::unique_ptr<rocksdb_storage::RocksDbStorage> storage_;
};

}  // namespace

uint64_t EnginesUnderTest::groups() const {
  uint64_t groups = 0;
  for (const auto& engine : engines_) groups += engine->statistics().groups;
  return groups;
}

std::unique_ptr<EnginesUnderTest> OpenEngines(EngineKind kind) {
  switch (kind) {
    case EngineKind::kMemory:
      return std::make_unique<MemoryEngines>(1);
    case EngineKind::kTwoCommitters:
      return std::make_unique<MemoryEngines>(2);
    case EngineKind::kRocksDb:
      break;
  }
  return std::make_unique<RocksDbEngines>();
}

}  // namespace sop::history
