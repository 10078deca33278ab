#include "storage/rocksdb/upkeep/file_list_gate.h"

#include <atomic>
#include <thread>
#include <vector>

#include <gtest/gtest.h>

namespace sop::rocksdb_storage {
namespace {

TEST(FileListGateTest, ChangesAndListsNeverMeet) {
  FileListGate gate;
  std::atomic<int> changes{0};
  std::atomic<int> lists{0};
  std::atomic<int> met{0};
  std::vector<std::thread> threads;
  for (int i = 0; i < 6; ++i) {
    threads.emplace_back([&, is_change = i % 2 == 0] {
      for (int round = 0; round < 2'000; ++round) {
        is_change ? gate.BeginChange() : gate.BeginList();
        (is_change ? changes : lists)++;
        if (changes > 0 && lists > 0) ++met;
        (is_change ? changes : lists)--;
        is_change ? gate.EndChange() : gate.EndList();
      }
    });
  }
  for (std::thread& thread : threads) thread.join();
  EXPECT_EQ(met, 0);
}

TEST(FileListGateTest, AListMayBeEndedByAnotherThread) {
  FileListGate gate;
  gate.BeginList();
  std::thread([&] { gate.EndList(); }).join();
  gate.BeginChange();
  gate.EndChange();
}

}  // namespace
}  // namespace sop::rocksdb_storage
