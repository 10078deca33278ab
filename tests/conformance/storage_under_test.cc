#include "tests/conformance/storage_under_test.h"

#include <unistd.h>

#include <atomic>
#include <filesystem>
#include <stdexcept>

#include <fmt/format.h>

#include "core/base/check.h"
#include "core/base/file_system.h"
#include "storage/memory/memory_storage.h"
#include "storage/rocksdb/rocksdb_storage.h"

namespace sop::conformance {
namespace {

class MemoryDatabase : public StorageUnderTest {
 public:
  memory::FaultInjectingStorage& Reopen(persistence::ApplyFunction apply) override {
    storage_.reset();
    storage_ = std::make_unique<memory::FaultInjectingStorage>(
        std::make_unique<memory::MemoryStorage>(state_, apply));
    return *storage_;
  }
  void Settle() override {}

 private:
  const std::shared_ptr<memory::MemoryState> state_ =
      std::make_shared<memory::MemoryState>(Uuid{7, 7});
  std::unique_ptr<memory::FaultInjectingStorage> storage_;
};

class RocksDbDatabase : public StorageUnderTest {
 public:
  RocksDbDatabase() {
    static std::atomic<int> counter{0};
    options_.path =
        fmt::format("{}/sop_conformance_{}_{}", std::filesystem::temp_directory_path().string(),
                    ::getpid(), counter.fetch_add(1));
    options_.reserve_bytes = 0;
  }
  ~RocksDbDatabase() override {
    storage_.reset();
    SOP_CHECK(base::SystemFileSystem().RemoveRecursively(options_.path).ok());
  }

  memory::FaultInjectingStorage& Reopen(persistence::ApplyFunction apply) override {
    storage_.reset();
    options_.apply = apply;
    auto storage = rocksdb_storage::RocksDbStorage::Open(
        options_, {environment_, base::SystemFileSystem(), base::SystemClock(), random_});
    if (!storage.ok()) throw std::runtime_error(storage.status().ToString());
    rocksdb_ = storage->get();
    storage_ = std::make_unique<memory::FaultInjectingStorage>(*std::move(storage));
    return *storage_;
  }
  void Settle() override { SOP_CHECK(rocksdb_->Compact().ok()); }

 private:
  const rocksdb_storage::RocksDbEnvironment environment_{uint64_t{32} << 20, 2};
  base::SeededRandom random_{1};
  rocksdb_storage::RocksDbOptions options_;
  std::unique_ptr<memory::FaultInjectingStorage> storage_;
  rocksdb_storage::RocksDbStorage* rocksdb_ = nullptr;  // what storage_ decorates
};

}  // namespace

std::unique_ptr<StorageUnderTest> MemoryUnderTest() { return std::make_unique<MemoryDatabase>(); }

std::unique_ptr<StorageUnderTest> RocksDbUnderTest() { return std::make_unique<RocksDbDatabase>(); }

std::string Concatenate(std::optional<std::string_view> image,
                        std::span<const std::string_view> deltas) {
  std::string out(image.value_or("()"));
  for (const std::string_view delta : deltas) out.append(delta);
  return out;
}

}  // namespace sop::conformance
