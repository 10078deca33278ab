// A disk whose calls fail, once or for ever, and one that is full. SOP_SEED replays a run's
// choices, SOP_CASES sets how many disks there are.

#include <filesystem>
#include <thread>

#include <fmt/format.h>
#include <gtest/gtest.h>

#include "core/base/error.h"
#include "core/base/random.h"
#include "tests/crash/workload.h"
#include "tests/faults/engine_on_disk.h"
#include "tests/faults/recorded_load.h"

namespace sop::faults {
namespace {

using model_disk::Disk;
using model_disk::DiskFault;
using model_disk::DiskState;
using model_disk::Survival;
using Call = DiskFault::Call;
using Lasting = DiskFault::Lasting;

constexpr uint64_t kPlans = 8;  // of each thread, before the fault and after it

// Calls worth failing and how often a load makes them, about.
struct Target {
  Call call;
  const char* name;
  uint64_t calls;
};
constexpr Target kTargets[] = {
    {Call::kSync, ".log", 24},   {Call::kWrite, ".log", 40},     {Call::kSync, ".sst", 6},
    {Call::kWrite, ".sst", 20},  {Call::kSync, "MANIFEST", 6},   {Call::kWrite, "MANIFEST", 6},
    {Call::kSync, ".blob", 2},   {Call::kWrite, ".blob", 6},     {Call::kSyncFolder, "", 8},
    {Call::kName, "", 20},       {Call::kRead, ".sst", 20},      {Call::kName, ".log", 3},
    {Call::kWrite, ".dbtmp", 2}, {Call::kSync, "SOP-FORMAT", 1},
};

class DiskErrorTest : public ::testing::Test {
 protected:
  uint64_t Below(uint64_t bound) { return random_.Next64() % bound; }

  DiskFault PickFault() {
    const Target& target = kTargets[Below(std::size(kTargets))];
    return {target.call, target.name, 1 + Below(target.calls),
            Below(2) == 0 ? Lasting::kOnce : Lasting::kForEver};
  }

  static std::string Words(const DiskFault& fault) {
    constexpr const char* kCalls[] = {"write", "sync", "sync of a folder", "name", "read"};
    return fmt::format("{} {} of '{}' fails {}", kCalls[static_cast<size_t>(fault.call)], fault.nth,
                       fault.name, fault.lasting == Lasting::kOnce ? "once" : "for ever");
  }

  // A failed log takes nothing, reads go on.
  void ProbeFailed(EngineOnDisk& opened, uint64_t seed, uint64_t number) {
    for (int thread = 0; thread < kLoadThreads; ++thread) {
      const auto version =
          crash::RunPlan(opened.engine(), crash::MakePlan(seed, thread, number), Uuid{1, number});
      EXPECT_FALSE(version.ok()) << "acknowledged after a failure";
    }
  }

  // Opens what is left, on a disk that works, and checks it.
  std::string Recover(Disk& disk, uint64_t seed, LoadResult* result, Sequence* tail) {
    auto opened = EngineOnDisk::Open(disk);
    if (!opened.ok()) return fmt::format("does not open: {}", opened.status().ToString());
    *tail = (*opened)->engine().published();
    const std::string settled = result->Settle((*opened)->engine());
    if (!settled.empty()) return settled;
    if (*tail < result->acknowledged) {
      return fmt::format("{} was acknowledged, {} is the last", result->acknowledged.value,
                         tail->value);
    }
    return CheckPrefix(**opened, seed, result->commits);
  }

  // The machine loses its power at once, or the process starts again first.
  void RecoverBothWays(const DiskState& left, uint64_t seed, LoadResult result) {
    Sequence tail;
    if (Below(2) == 0) {
      Disk disk(left.AfterPowerLoss(static_cast<Survival>(Below(4)), Survival::kNothing, random_));
      EXPECT_EQ(Recover(disk, seed, &result, &tail), "") << "after a power loss";
      return;
    }
    Disk disk(left);
    EXPECT_EQ(Recover(disk, seed, &result, &tail), "") << "after a restart";
    // What the restarted one showed is on stable storage, whatever the failed sync left in memory.
    Disk again(disk.state().AfterPowerLoss(Survival::kNothing, Survival::kNothing, random_));
    result.acknowledged = std::max(result.acknowledged, tail);
    EXPECT_EQ(Recover(again, seed, &result, &tail), "") << "after a restart and a power loss";
  }

  const uint64_t seed_ = NumberFrom("SOP_SEED", 1);
  const uint64_t cases_ = NumberFrom("SOP_CASES", 50);
  base::SeededRandom random_{seed_};
};

TEST_F(DiskErrorTest, NothingIsAcknowledgedAfterAFailureAndEverythingBeforeIsKept) {
  uint64_t struck = 0;
  uint64_t stopped = 0;
  uint64_t refused_openings = 0;
  for (uint64_t i = 0; i < cases_ && !HasFailure(); ++i) {
    const uint64_t seed = seed_ * 100'000 + i;
    const DiskFault fault = PickFault();
    const bool reopens = Below(4) == 0;
    SCOPED_TRACE(fmt::format("plan: SOP_SEED={}, disk {}, {}{}", seed_, i, Words(fault),
                             reopens ? ", from its opening on" : ""));
    Disk disk;
    LoadResult result;
    auto opened = EngineOnDisk::Open(disk);
    ASSERT_TRUE(opened.ok()) << opened.status();
    ASSERT_TRUE(crash::MakeAccounts((*opened)->engine()).ok());
    CommitPlans(**opened, disk, {seed, 1, kPlans}, &result);
    if (reopens) opened->reset();
    disk.Arm(fault);
    if (reopens) opened = EngineOnDisk::Open(disk);
    if (opened.ok()) {
      std::thread compaction([&] { (*opened)->storage().Compact().IgnoreError(); });
      CommitPlans(**opened, disk, {seed, kPlans + 1, 2 * kPlans}, &result);
      compaction.join();
      if (!(*opened)->engine().health().ok()) {
        ++stopped;
        ProbeFailed(**opened, seed, 2 * kPlans + 1);
      }
      if (fault.call != Call::kRead) EXPECT_EQ(crash::CheckSnapshot((*opened)->engine()), "");
      opened->reset();
    } else {
      ++refused_openings;
    }
    EXPECT_EQ(result.unexpected, "");
    EXPECT_EQ(result.full, 0U);
    struck += disk.struck() > 0;
    RecoverBothWays(disk.state(), seed, std::move(result));
  }
  fmt::print("{} disks, {} failed, {} stopped the database, {} its opening\n", cases_, struck,
             stopped, refused_openings);
  fmt::print("counter disks {}\ncounter failed {}\ncounter stopped {}\n", cases_, struck, stopped);
  EXPECT_GT(struck, cases_ / 4);
  EXPECT_GT(stopped, 0U);
}

TEST_F(DiskErrorTest, FullDiskRefusesWritesAndTakesThemAgainWhenSpaceReturns) {
  constexpr uint64_t kReserve = 256 << 10;  // folds and removals use it
  const uint64_t cases = std::max<uint64_t>(cases_ / 5, 1);
  uint64_t refused = 0;
  for (uint64_t i = 0; i < cases && !HasFailure(); ++i) {
    const uint64_t seed = seed_ * 200'000 + i;
    SCOPED_TRACE(fmt::format("plan: SOP_SEED={}, full disk {}", seed_, i));
    Disk disk;
    LoadResult result;
    auto opened = EngineOnDisk::Open(disk, {.reserve_bytes = kReserve});
    ASSERT_TRUE(opened.ok()) << opened.status();
    ASSERT_TRUE(crash::MakeAccounts((*opened)->engine()).ok());
    CommitPlans(**opened, disk, {seed, 1, kPlans}, &result);
    disk.SetCapacity(disk.state().used_bytes() + kReserve + Below(32 << 10));
    (*opened)->LetTimePass();
    CommitPlans(**opened, disk, {seed, kPlans + 1, 5 * kPlans}, &result);
    EXPECT_GT(result.full, 0U);
    EXPECT_TRUE((*opened)->engine().health().ok());
    EXPECT_EQ(crash::CheckSnapshot((*opened)->engine()), "") << "reads go on";
    refused += result.full;
    disk.SetCapacity(uint64_t{1} << 30);
    const uint64_t full = result.full;
    const size_t committed = result.commits.size();
    CommitPlans(**opened, disk, {seed, 5 * kPlans + 1, 6 * kPlans}, &result);
    EXPECT_EQ(result.full, full) << "space has returned";
    EXPECT_GT(result.commits.size(), committed);
    EXPECT_EQ(result.unexpected, "");
    EXPECT_TRUE(result.unknown.empty());
    EXPECT_EQ(CheckPrefix(**opened, seed, result.commits), "");
    opened->reset();
    RecoverBothWays(disk.state(), seed, std::move(result));
  }
  fmt::print("{} full disks, {} commits refused\n", cases, refused);
  fmt::print("counter full_disks {}\n", cases);
}

// Nodes under numbers that commits give out too. While they might be removed by the next start,
// nobody else may get those numbers.
TEST_F(DiskErrorTest, StagedNodesThatCannotBeRemovedStopTheDatabase) {
  constexpr TreeId kTree{7};
  const auto commit = [kTree](EngineOnDisk& opened) {
    auto writer = opened.engine().Begin({});
    txn::ItemWrite item;
    item.value = "value";
    EXPECT_TRUE(writer->Put(writer->OpenTree(kTree, {}), "key", item).ok());
    return opened.engine().CommitAndWait(std::move(writer)).status;
  };
  Disk disk;
  auto opened = EngineOnDisk::Open(disk);
  ASSERT_TRUE(opened.ok()) << opened.status();
  ASSERT_TRUE(commit(**opened).ok());
  auto nodes = (*opened)->storage().nodes().StageNodes(persistence::SpaceUse::kAboveReserve);
  ASSERT_TRUE(nodes.ok()) << nodes.status();
  const NodeId node{MakeSerial(Sequence{1'000}, 0).value};
  ASSERT_TRUE((*nodes)->PutNode(kTree, node, "an image").ok());
  ASSERT_TRUE((*nodes)->Seal().ok());
  disk.SetCapacity(0);
  nodes->reset();
  disk.SetCapacity(uint64_t{1} << 30);
  (*opened)->LetTimePass();
  const absl::Status refused = commit(**opened);
  EXPECT_EQ(ReasonOf(refused), Reason::kUnavailable) << refused;
  opened->reset();
  opened = EngineOnDisk::Open(disk);
  ASSERT_TRUE(opened.ok()) << opened.status();
  EXPECT_TRUE(commit(**opened).ok());
  const auto snapshot = (*opened)->storage().nodes().TakeSnapshot();
  ASSERT_TRUE(snapshot.ok()) << snapshot.status();
  EXPECT_FALSE((*snapshot)->ReadNode(kTree, node).value().has_value());
}

// Not even the reserve is kept: the log itself meets the end of the disk.
TEST_F(DiskErrorTest, DiskThatIsFullToTheLastByteLosesNothing) {
  const uint64_t cases = std::max<uint64_t>(cases_ / 5, 1);
  for (uint64_t i = 0; i < cases && !HasFailure(); ++i) {
    const uint64_t seed = seed_ * 300'000 + i;
    SCOPED_TRACE(fmt::format("plan: SOP_SEED={}, disk {} full to the last byte", seed_, i));
    Disk disk;
    LoadResult result;
    auto opened = EngineOnDisk::Open(disk);
    ASSERT_TRUE(opened.ok()) << opened.status();
    ASSERT_TRUE(crash::MakeAccounts((*opened)->engine()).ok());
    CommitPlans(**opened, disk, {seed, 1, kPlans}, &result);
    disk.SetCapacity(disk.state().used_bytes() + Below(32 << 10));
    std::thread compaction;
    if (Below(2) == 0) {
      compaction = std::thread([&] { (*opened)->storage().Compact().IgnoreError(); });
    }
    CommitPlans(**opened, disk, {seed, kPlans + 1, 5 * kPlans}, &result);
    if (compaction.joinable()) compaction.join();
    EXPECT_GT(result.full + result.unknown.size(), 0U);
    EXPECT_EQ(result.unexpected, "");
    EXPECT_EQ(crash::CheckSnapshot((*opened)->engine()), "") << "reads go on";
    opened->reset();
    RecoverBothWays(disk.state(), seed, std::move(result));
  }
  fmt::print("counter overfull_disks {}\n", cases);
}

}  // namespace
}  // namespace sop::faults
