#include "storage/rocksdb/model_disk/disk.h"

#include <string>
#include <vector>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "core/base/error.h"
#include "storage/rocksdb/model_disk/disk_files.h"

namespace sop::model_disk {
namespace {

using ::testing::Contains;
using ::testing::ElementsAre;
using ::testing::IsEmpty;

class DiskTest : public ::testing::Test {
 protected:
  // What is in a file after the power went.
  std::string After(const std::string& path, Survival bytes, Survival names = Survival::kNothing) {
    const DiskState state = disk_.state().AfterPowerLoss(bytes, names, random_);
    const auto node = state.Find(path);
    return node.has_value() ? state.file(node->file).bytes : "gone";
  }
  uint64_t Create(const std::string& path) {
    uint64_t file = 0;
    EXPECT_EQ(disk_.Create(path, &file), DiskStatus::kOk);
    return file;
  }

  Disk disk_;
  base::SeededRandom random_{3};
};

TEST_F(DiskTest, OnlySyncedBytesOfSyncedNamesSurvive) {
  const uint64_t file = Create("/f");
  disk_.Append(file, "safe");
  disk_.Sync(file);
  disk_.Append(file, "rest");
  EXPECT_EQ(After("/f", Survival::kNothing), "gone");
  disk_.SyncFolder("/");
  EXPECT_EQ(After("/f", Survival::kNothing), "safe");
  EXPECT_EQ(After("/f", Survival::kAll), "saferest");
  for (int i = 0; i < 20; ++i) {
    const std::string torn = After("/f", Survival::kPrefix);
    EXPECT_TRUE(torn.starts_with("safe") && std::string("saferest").starts_with(torn)) << torn;
  }
}

TEST_F(DiskTest, SectorsSurviveInNoOrder) {
  const uint64_t file = Create("/f");
  disk_.SyncFolder("/");
  disk_.Append(file, std::string(4096, 'x'));
  bool hole = false;
  for (int i = 0; i < 50; ++i) {
    const std::string torn = After("/f", Survival::kSectors);
    const size_t zero = torn.find('\0');
    if (zero == std::string::npos) continue;
    EXPECT_EQ(zero % 512, 0U);
    hole = hole || torn.find('x', zero) != std::string::npos;
  }
  EXPECT_TRUE(hole);
}

TEST_F(DiskTest, WhatIsOverwrittenSurvivesUntilItIsSynced) {
  const uint64_t file = Create("/f");
  disk_.SyncFolder("/");
  disk_.Append(file, "01234567");
  disk_.Sync(file);
  disk_.Write(file, 2, "ab");
  disk_.Write(file, 3, "cd");
  disk_.Write(file, 7, "ef");
  EXPECT_EQ(After("/f", Survival::kAll), "01acd56ef");
  EXPECT_EQ(After("/f", Survival::kNothing), "01234567");
  const std::vector<std::string> possible = {"01234567", "01a34567", "01ab4567", "01ac4567",
                                             "01acd567", "01acd56e", "01acd56ef"};
  for (int i = 0; i < 50; ++i) EXPECT_THAT(possible, Contains(After("/f", Survival::kPrefix)));
  disk_.Sync(file);
  EXPECT_EQ(After("/f", Survival::kNothing), "01acd56ef");
}

TEST_F(DiskTest, OverwrittenSectorsSurviveWholeInNoOrder) {
  const uint64_t file = Create("/f");
  disk_.SyncFolder("/");
  disk_.Append(file, std::string(2048, 'x'));
  disk_.Sync(file);
  for (size_t at = 0; at < 2048; at += 256) disk_.Write(file, at, std::string(256, 'y'));
  bool mixed = false;
  for (int round = 0; round < 50; ++round) {
    const std::string found = After("/f", Survival::kSectors);
    for (size_t at = 0; at < 2048; at += 512) {
      EXPECT_EQ(found.substr(at, 512), std::string(512, found[at]));
    }
    mixed = mixed || found.find("xy") != std::string::npos;
  }
  EXPECT_TRUE(mixed);
}

TEST_F(DiskTest, FailedSyncLosesWhatWasOverwritten) {
  const uint64_t file = Create("/f");
  disk_.SyncFolder("/");
  disk_.Append(file, "abcd");
  disk_.Sync(file);
  disk_.Write(file, 1, "XY");
  disk_.Arm({DiskFault::Call::kSync, "f"});
  EXPECT_EQ(disk_.Sync(file), DiskStatus::kFailed);
  EXPECT_EQ(disk_.Sync(file), DiskStatus::kOk);
  EXPECT_EQ(After("/f", Survival::kAll), "abcd");
}

TEST_F(DiskTest, RenameSurvivesWholeOrNotAtAll) {
  const uint64_t file = Create("/a");
  disk_.Append(file, "x");
  disk_.Sync(file);
  disk_.SyncFolder("/");
  disk_.Rename("/a", "/b");
  EXPECT_EQ(After("/a", Survival::kAll), "x");
  EXPECT_EQ(After("/b", Survival::kAll), "gone");
  EXPECT_EQ(After("/a", Survival::kAll, Survival::kAll), "gone");
  EXPECT_EQ(After("/b", Survival::kAll, Survival::kAll), "x");
}

TEST_F(DiskTest, FilesOfAFolderThatIsGoneAreGone) {
  disk_.CreateFolder("/d");
  const uint64_t file = Create("/d/f");
  disk_.Sync(file);
  disk_.SyncFolder("/d");
  EXPECT_EQ(After("/d/f", Survival::kAll), "gone");
  disk_.SyncFolder("/");
  EXPECT_EQ(After("/d/f", Survival::kAll), "");
}

TEST_F(DiskTest, FailedSyncLosesBytesEvenIfALaterOneSucceeds) {
  const uint64_t file = Create("/f");
  disk_.SyncFolder("/");
  disk_.Append(file, "ab");
  disk_.Sync(file);
  disk_.Append(file, "cd");
  disk_.Arm({DiskFault::Call::kSync, "f"});
  EXPECT_EQ(disk_.Sync(file), DiskStatus::kFailed);
  EXPECT_EQ(disk_.Sync(file), DiskStatus::kOk);
  EXPECT_EQ(After("/f", Survival::kNothing), std::string("ab\0\0", 4));
  EXPECT_EQ(disk_.struck(), 1U);
}

TEST_F(DiskTest, FaultsStrikeOnceOrForEver) {
  const uint64_t file = Create("/f.log");
  disk_.Arm({DiskFault::Call::kWrite, ".log", 2});
  disk_.Arm({DiskFault::Call::kSync, ".log", 1, DiskFault::Lasting::kForEver});
  EXPECT_EQ(disk_.Append(file, "x"), DiskStatus::kOk);
  EXPECT_EQ(disk_.Append(file, "x"), DiskStatus::kFailed);
  EXPECT_EQ(disk_.Append(file, "x"), DiskStatus::kOk);
  for (int i = 0; i < 3; ++i) EXPECT_EQ(disk_.Sync(file), DiskStatus::kFailed);
  EXPECT_EQ(disk_.Sync(Create("/f.sst")), DiskStatus::kOk);
}

TEST_F(DiskTest, FullDiskTakesWhatFitsAndFreesWhatIsRemoved) {
  const uint64_t file = Create("/f");
  disk_.SetCapacity(3);
  EXPECT_EQ(disk_.Append(file, "ab"), DiskStatus::kOk);
  EXPECT_EQ(disk_.Append(file, "cd"), DiskStatus::kFull);
  EXPECT_EQ(disk_.SizeOf(file), 3U);
  EXPECT_EQ(disk_.FreeBytes(), 0U);
  disk_.Remove("/f");
  EXPECT_EQ(disk_.FreeBytes(), 3U);
}

TEST_F(DiskTest, JournalMakesEveryMomentAgain) {
  DiskFiles files(disk_);
  ASSERT_TRUE(files.MakeFolders("/data/x").ok());
  ASSERT_TRUE(files.WriteDurably("/data/x/a", "1").ok());
  disk_.Mark(7);
  ASSERT_TRUE(files.WriteDurably("/data/x/a", "2").ok());
  EXPECT_EQ(After("/data/x/a", Survival::kNothing), "2");
  DiskState again;
  for (const DiskOperation& operation : disk_.journal()) {
    if (operation.kind == DiskOperation::Kind::kMark) break;
    again.Apply(operation);
  }
  const auto node = again.AfterPowerLoss(Survival::kNothing, Survival::kNothing, random_);
  EXPECT_THAT(node.Files(), ElementsAre("/data/x/a"));
  EXPECT_EQ(node.file(node.Find("/data/x/a")->file).bytes, "1");
  ASSERT_TRUE(files.RemoveRecursively("/data/x").ok());
  EXPECT_THAT(disk_.List("/data"), IsEmpty());
}

TEST_F(DiskTest, LockIsHeldOnce) {
  DiskFiles files(disk_);
  auto lock = files.Lock("/LOCK");
  ASSERT_TRUE(lock.ok());
  EXPECT_EQ(ReasonOf(files.Lock("/LOCK").status()), Reason::kFolderInUse);
  lock->reset();
  EXPECT_TRUE(files.Lock("/LOCK").ok());
}

}  // namespace
}  // namespace sop::model_disk
