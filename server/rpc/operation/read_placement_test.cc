#include "server/rpc/operation/read_placement.h"

#include "gtest/gtest.h"

namespace sop::rpc {
namespace {

using Reads = ReadPlacement::Reads;

TEST(ReadPlacementTest, StorageSendsTheNextOperationsToTheWorkers) {
  ReadPlacement placement;
  EXPECT_TRUE(placement.RunsHere());
  placement.Ran(Reads::kMemory);
  EXPECT_TRUE(placement.RunsHere());
  placement.Ran(Reads::kStorage);
  for (int i = 0; i < ReadPlacement::kCold; ++i) {
    EXPECT_FALSE(placement.RunsHere()) << i;
    placement.Ran(Reads::kMemory);
  }
  EXPECT_TRUE(placement.RunsHere());
}

TEST(ReadPlacementTest, StorageBeginsTheRowAnew) {
  ReadPlacement placement;
  placement.Ran(Reads::kStorage);
  for (int i = 1; i < ReadPlacement::kCold; ++i) placement.Ran(Reads::kMemory);
  placement.Ran(Reads::kStorage);
  for (int i = 1; i < ReadPlacement::kCold; ++i) placement.Ran(Reads::kMemory);
  EXPECT_FALSE(placement.RunsHere());
}

TEST(ReadPlacementTest, WatchSeesThatNothingWasRead) {
  ReadPlacement placement;
  placement.Ran(Reads::kStorage);
  for (int i = 0; i < ReadPlacement::kCold; ++i) const ReadPlacement::Watch watch(placement);
  EXPECT_TRUE(placement.RunsHere());
}

}  // namespace
}  // namespace sop::rpc
