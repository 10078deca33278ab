// Logs that lost bytes with the power, on the model disk.
#include "storage/rocksdb/log/log_order.h"

#include <string>
#include <thread>
#include <vector>

#include <gtest/gtest.h>

#include "storage/rocksdb/log/log_fixture_test.h"
#include "storage/rocksdb/model_disk/disk.h"

namespace sop::rocksdb_storage {
namespace {

using model_disk::Disk;
using model_disk::DiskOperation;
using model_disk::DiskState;

constexpr size_t kBlockBytes = 32 << 10;  // of RocksDB's log
class LogOrderTest : public ::testing::Test {
 protected:
  // Fills three blocks of the log, each with records of its own.
  void FillThreeBlocks() {
    { const DatabaseOnDisk made(disk_); }  // its log is gone
    DatabaseOnDisk database(disk_);
    const auto size = [&] { return BytesOf(disk_.state(), NewestLog(disk_.state())).size(); };
    constexpr size_t kProbe = 1000;
    const size_t before = size();
    database.Append(kProbe);
    const size_t overhead = size() - before - kProbe;
    for (size_t block = 1; block <= 3; ++block) {
      database.Append(kProbe);
      while (block * kBlockBytes - size() > 10'000) database.Append(kProbe);
      database.Append(block * kBlockBytes - size() - overhead);
      ASSERT_EQ(size(), block * kBlockBytes);
      through_block_.push_back(database.tail());
    }
    state_ = disk_.state();  // the closing that follows is not seen
  }

  // The disk with zeros instead of `block`.
  DiskState Without(size_t block) const {
    DiskState state = state_;
    const std::string log = NewestLog(state);
    std::string bytes = BytesOf(state, log);
    bytes.replace(block * kBlockBytes, kBlockBytes, kBlockBytes, '\0');
    state.Overwrite(log, bytes);
    return state;
  }

  Disk disk_;
  DiskState state_;
  std::vector<uint64_t> through_block_;  // the last record in each
};

TEST_F(LogOrderTest, WhatFollowsAHoleIsNotRecovered) {
  FillThreeBlocks();
  for (size_t block = 0; block < 3; ++block) {
    SCOPED_TRACE(block);
    Disk disk(Without(block));
    DatabaseOnDisk database(disk);
    EXPECT_EQ(database.tail(), block == 0 ? 0 : through_block_[block - 1]);
    database.ExpectWhole();
  }
}

TEST_F(LogOrderTest, WhatIsWrittenAfterAHoleIsRecovered) {
  FillThreeBlocks();
  Disk disk(Without(1));
  DiskState found;
  uint64_t written = 0;
  {
    DatabaseOnDisk database(disk);
    for (int i = 0; i < 5; ++i) database.Append(10);
    written = database.tail();
    found = disk.state();
  }
  Disk again(found);
  DatabaseOnDisk database(again);
  EXPECT_EQ(written, through_block_[0] + 5);
  EXPECT_EQ(database.tail(), written);
  database.ExpectWhole();
}

TEST_F(LogOrderTest, ALogIsOnStableStorageBeforeTheNextBegins) {
  {
    DatabaseOnDisk database(disk_);
    std::atomic<bool> done = false;
    std::thread compactions([&] {
      for (int i = 0; i < 10; ++i) EXPECT_TRUE(database.storage().Compact().ok());
      done = true;
    });
    while (!done) database.Append(100);
    compactions.join();
  }
  DiskState state;
  size_t logs = 0;
  for (const DiskOperation& operation : disk_.journal()) {
    state.Apply(operation);
    if (operation.kind != DiskOperation::Kind::kAppend) continue;
    const std::string newest = NewestLog(state);
    if (newest.empty() || state.Find(newest)->file != operation.file) continue;
    if (BytesOf(state, newest).size() != operation.bytes.size()) continue;
    ++logs;  // the first bytes of one
    for (const std::string& path : state.Files()) {
      if (!IsLog(path) || path == newest) continue;
      const DiskState::File& file = state.file(state.Find(path)->file);
      EXPECT_EQ(file.durable, file.bytes.size()) << path << ", when " << newest << " began";
    }
  }
  EXPECT_GT(logs, 10u);
}

}  // namespace
}  // namespace sop::rocksdb_storage
