// The space on disk that is kept in reserve, at its edge: a record that leaves one byte more than
// the reserve, or just the reserve, is written; one that would touch it is refused.

#include <fmt/format.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <cstdio>
#include <filesystem>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "core/base/clock.h"
#include "core/base/error.h"
#include "core/base/file_system.h"
#include "core/base/random.h"
#include "core/btree/node/apply.h"
#include "storage/rocksdb/rocksdb_environment.h"
#include "storage/rocksdb/rocksdb_storage.h"

namespace sop {
namespace {

// The machine's files on a disk that says what the test wants about its free space.
class MeasuredFiles : public base::FileSystem {
 public:
  absl::StatusOr<std::unique_ptr<base::AppendFile>> OpenForAppend(
      const std::string& path) override {
    return files_.OpenForAppend(path);
  }
  absl::StatusOr<std::unique_ptr<base::ReadFile>> OpenForRead(const std::string& path) override {
    return files_.OpenForRead(path);
  }
  absl::Status WriteDurably(const std::string& path, std::string_view bytes) override {
    return files_.WriteDurably(path, bytes);
  }
  absl::Status MakeFolders(const std::string& path) override { return files_.MakeFolders(path); }
  absl::StatusOr<std::vector<std::string>> List(const std::string& folder) override {
    return files_.List(folder);
  }
  absl::Status Remove(const std::string& path) override { return files_.Remove(path); }
  absl::Status RemoveRecursively(const std::string& folder) override {
    return files_.RemoveRecursively(folder);
  }
  bool Exists(const std::string& path) override { return files_.Exists(path); }
  absl::StatusOr<std::unique_ptr<base::FileLock>> Lock(const std::string& path) override {
    return files_.Lock(path);
  }
  absl::StatusOr<uint64_t> FreeBytes(const std::string& /*path*/) override { return free; }

  uint64_t free = 0;

 private:
  base::FileSystem& files_ = base::SystemFileSystem();
};

TEST(ReserveTest, IsNotTouched) {
  const std::string folder =
      (std::filesystem::temp_directory_path() / fmt::format("sop_reserve_{}", getpid())).string();
  MeasuredFiles files;
  const rocksdb_storage::RocksDbEnvironment environment(uint64_t{32} << 20, 2);
  const rocksdb_storage::RocksDbOptions options = {.path = folder, .apply = btree::Apply};
  // What a write says on a disk with so much free: the reserve is the default's.
  const auto write = [&](uint64_t free) {
    files.free = free;
    auto storage = rocksdb_storage::RocksDbStorage::Open(
        options, {environment, files, base::SystemClock(), base::SystemRandom()});
    if (!storage.ok()) return storage.status();
    const Sequence tail = (*storage)->log().Tail();
    persistence::CommitRecord record;
    record.first = record.last = Sequence{tail.value + 1};
    record.rows = {{persistence::Space::kMeta, "a row", std::string(1000, 'v')}};
    return (*storage)->log().Append(tail, record, persistence::Durability::kSynced).status();
  };
  const absl::Status refused = write(options.reserve_bytes);
  ASSERT_EQ(ReasonOf(refused), Reason::kDiskFull) << refused;
  unsigned long bytes = 0;
  ASSERT_EQ(std::sscanf(std::string(refused.message()).c_str(), "record of %lu", &bytes), 1);
  for (const uint64_t less : {1, 0}) {
    const uint64_t free = options.reserve_bytes + bytes - less;
    EXPECT_EQ(ReasonOf(write(free)), less == 1 ? Reason::kDiskFull : ReasonOf(absl::OkStatus()))
        << less;
  }
  EXPECT_TRUE(write(options.reserve_bytes + bytes + 1).ok());
  EXPECT_TRUE(files.RemoveRecursively(folder).ok());
}

}  // namespace
}  // namespace sop
