#include "storage/rocksdb/log/log_file_system.h"

#include <unistd.h>

#include <algorithm>
#include <array>
#include <filesystem>
#include <memory>
#include <string>

#include <fmt/format.h>
#include <gtest/gtest.h>

#include "core/base/random.h"
#include "storage/rocksdb/log/log_fixture_test.h"
#include "storage/rocksdb/model_disk/disk.h"

namespace sop::rocksdb_storage {
namespace {

using model_disk::Disk;
using model_disk::DiskFault;
using model_disk::DiskOperation;
using model_disk::DiskState;
using model_disk::Survival;
using persistence::Durability;

constexpr int kUntilFilled = static_cast<int>(LogFilling().syncs_counted) + 1;

bool IsFilled(const DiskState& state) {
  const std::string bytes = BytesOf(state, NewestLog(state));
  return bytes.size() >= LogFilling().fill_bytes && bytes.back() == '\0';
}

class LogFileSystemTest : public ::testing::Test {
 protected:
  LogFileSystemTest() { const DatabaseOnDisk made(disk_); }

  static void AppendSynced(DatabaseOnDisk& database, int records, size_t filling = 10) {
    for (int i = 0; i < records; ++i) database.Append(filling, Durability::kSynced);
  }
  // Operations on files of logs since `begin`, of this kind.
  size_t Count(DiskOperation::Kind kind, size_t begin) const {
    const auto journal = disk_.journal();
    return std::count_if(journal.begin() + static_cast<ptrdiff_t>(begin), journal.end(),
                         [&](const DiskOperation& operation) { return operation.kind == kind; });
  }
  static void ExpectRecovered(const DiskState& state, uint64_t from, uint64_t to) {
    Disk disk(state);
    DatabaseOnDisk database(disk);
    EXPECT_GE(database.tail(), from);
    EXPECT_LE(database.tail(), to);
    database.ExpectWhole();
  }

  Disk disk_;
};

TEST_F(LogFileSystemTest, SmallSyncedRecordsAreWrittenOverZeros) {
  DatabaseOnDisk database(disk_);
  AppendSynced(database, kUntilFilled);
  EXPECT_TRUE(IsFilled(disk_.state()));
  const size_t begin = disk_.journal().size();
  AppendSynced(database, 100);
  EXPECT_EQ(Count(DiskOperation::Kind::kAppend, begin), 0U);
  EXPECT_EQ(Count(DiskOperation::Kind::kSync, begin), 100U);
  ExpectRecovered(
      disk_.state().AfterPowerLoss(Survival::kNothing, Survival::kNothing, base::SystemRandom()),
      database.tail(), database.tail());
}

TEST_F(LogFileSystemTest, ZerosAreWrittenAheadAgainAndAgain) {
  DatabaseOnDisk database(disk_);
  AppendSynced(database, kUntilFilled);
  const size_t begin = disk_.journal().size();
  AppendSynced(database, 300, 3000);
  const size_t fills = 300 * 3000 / LogFilling().fill_bytes;
  EXPECT_GE(Count(DiskOperation::Kind::kAppend, begin), fills);
  EXPECT_LE(Count(DiskOperation::Kind::kAppend, begin), 3 * fills);
  EXPECT_TRUE(IsFilled(disk_.state()));
  ExpectRecovered(disk_.state(), database.tail(), database.tail());
}

TEST_F(LogFileSystemTest, LogsOfLargeRecordsAndOfRareSyncsGrow) {
  DatabaseOnDisk database(disk_);
  AppendSynced(database, 3 * kUntilFilled, 2 * LogFilling().synced_bytes);
  EXPECT_EQ(Count(DiskOperation::Kind::kOverwrite, 0), 0U);
  for (int i = 0; i < 200; ++i) {
    database.Append(1000);
    if (i % 10 == 0) AppendSynced(database, 1);
  }
  EXPECT_EQ(Count(DiskOperation::Kind::kOverwrite, 0), 0U);
}

TEST_F(LogFileSystemTest, AClosedLogEndsWithItsLastRecordForGood) {
  uint64_t tail = 0;
  {
    DatabaseOnDisk database(disk_);
    AppendSynced(database, 2 * kUntilFilled);
    tail = database.tail();
  }
  base::SeededRandom random(3);
  for (const Survival survival : {Survival::kNothing, Survival::kSectors}) {
    const DiskState state = disk_.state().AfterPowerLoss(survival, Survival::kNothing, random);
    EXPECT_FALSE(IsFilled(state));
    ExpectRecovered(state, tail, tail);  // its seal fits
  }
}

TEST_F(LogFileSystemTest, WhatWasSyncedOverZerosOutlivesThePower) {
  DatabaseOnDisk database(disk_);
  AppendSynced(database, kUntilFilled);
  base::SeededRandom random(5);
  for (int round = 0; round < 40; ++round) {
    const uint64_t synced = database.tail();
    for (int i = 0; i <= round % 7; ++i) database.Append(100 + 200 * i);
    SCOPED_TRACE(round);
    const Survival survival = std::array{Survival::kNothing, Survival::kAll, Survival::kPrefix,
                                         Survival::kSectors}[static_cast<size_t>(round) % 4];
    ExpectRecovered(disk_.state().AfterPowerLoss(survival, Survival::kNothing, random), synced,
                    database.tail());
    AppendSynced(database, 1);
  }
  EXPECT_TRUE(IsFilled(disk_.state()));
}

TEST_F(LogFileSystemTest, ADiskWithoutRoomForZerosTakesRecords) {
  DatabaseOnDisk database(disk_);
  AppendSynced(database, kUntilFilled - 1);
  disk_.SetCapacity(disk_.state().used_bytes() + LogFilling().fill_bytes / 4);
  AppendSynced(database, 2 * kUntilFilled);
  EXPECT_FALSE(IsFilled(disk_.state()));
  ExpectRecovered(disk_.state(), database.tail(), database.tail());
}

TEST_F(LogFileSystemTest, AFailedFillingIsNoFailedRecord) {
  DatabaseOnDisk database(disk_);
  AppendSynced(database, kUntilFilled - 1);
  disk_.Arm({DiskFault::Call::kWrite, ".log"});
  AppendSynced(database, kUntilFilled);
  EXPECT_EQ(disk_.struck(), 1U);
  EXPECT_EQ(Count(DiskOperation::Kind::kOverwrite, 0), 0U);
  ExpectRecovered(disk_.state(), database.tail(), database.tail());
  // Nor is anything filled where it would have ended.
  AppendSynced(database, 100, LogFilling().synced_bytes * 3 / 4);
  EXPECT_GT(BytesOf(disk_.state(), NewestLog(disk_.state())).size(), LogFilling().fill_bytes);
  EXPECT_FALSE(IsFilled(disk_.state()));
  ExpectRecovered(disk_.state(), database.tail(), database.tail());
}

// RocksDB's own files remember what was filled last as their size, and are cut to it.
TEST(FilledLogTest, AFileOfTheMachineEndsWithItsLastRecord) {
  LogFileSystem files(rocksdb::FileSystem::Default(), {});
  const std::string path = fmt::format("{}/filled-{}.log", testing::TempDir(), getpid());
  for (const size_t last : {size_t{100}, LogFilling().fill_bytes + 1}) {
    std::unique_ptr<rocksdb::FSWritableFile> file;
    ASSERT_TRUE(files.NewWritableFile(path, {}, &file, nullptr).ok());
    file->SetPreallocationBlockSize(size_t{1} << 20);
    uint64_t size = 0;
    const auto append = [&](size_t bytes) {
      file->PrepareWrite(size, bytes, {}, nullptr);
      ASSERT_TRUE(file->Append(std::string(bytes, 'r'), {}, nullptr).ok());
      ASSERT_TRUE(file->Sync({}, nullptr).ok());
      size += bytes;
    };
    for (int i = 0; i <= kUntilFilled; ++i) append(100);
    append(last);
    EXPECT_EQ(file->GetFileSize({}, nullptr), size);
    ASSERT_TRUE(file->Close({}, nullptr).ok());
    EXPECT_EQ(std::filesystem::file_size(path), size) << last;
  }
  std::filesystem::remove(path);
}

}  // namespace
}  // namespace sop::rocksdb_storage
