// The power goes at every moment of a recorded load. SOP_SEED replays a run's choices (not its
// interleaving: the disk of a failure is kept), SOP_STATES sets how many moments there are.

#include <algorithm>
#include <filesystem>
#include <optional>

#include <fmt/format.h>
#include <gtest/gtest.h>

#include "core/base/random.h"
#include "tests/faults/engine_on_disk.h"
#include "tests/faults/recorded_load.h"

namespace sop::faults {
namespace {

using model_disk::Disk;
using model_disk::DiskOperation;
using model_disk::DiskState;
using model_disk::Survival;

// How the power goes.
struct Plan {
  size_t moment = 0;  // operations of the journal that happened
  Survival bytes = Survival::kNothing;
  Survival names = Survival::kNothing;

  std::string Words() const {
    constexpr const char* kNames[] = {"nothing", "all", "prefix", "sectors"};
    return fmt::format("power at operation {}, unsynced bytes: {}, unsynced names: {}", moment,
                       kNames[static_cast<size_t>(bytes)], kNames[static_cast<size_t>(names)]);
  }
};

class PowerLossTest : public ::testing::Test {
 protected:
  Survival PickSurvival(uint64_t kinds) { return static_cast<Survival>(random_.Next64() % kinds); }

  // Opens what `disk` holds and checks it. `least`: what was acknowledged.
  std::string Recover(const RecordedLoad& load, Disk& disk, Sequence least, Sequence* tail) {
    auto opened = EngineOnDisk::Open(disk);
    if (!opened.ok()) return fmt::format("does not open: {}", opened.status().ToString());
    disk.Mark(1);
    *tail = (*opened)->engine().published();
    if (*tail < least) {
      return fmt::format("{} was acknowledged, {} is the last", least.value, tail->value);
    }
    return load.Check(**opened);
  }

  // One moment; now and then the power goes again during what follows.
  std::string Visit(const RecordedLoad& load, const DiskState& before, const Plan& plan,
                    Sequence acknowledged) {
    const DiskState found = before.AfterPowerLoss(plan.bytes, plan.names, random_);
    Disk disk(found);
    Sequence tail;
    std::string wrong = Recover(load, disk, acknowledged, &tail);
    ++states_;
    if (!wrong.empty()) return fmt::format("{}; {}", wrong, Keep(found));
    if (random_.Next64() % 8 != 0) return {};
    return VisitRecovery(load, found, disk.journal(), acknowledged, tail);
  }

  std::string VisitRecovery(const RecordedLoad& load, DiskState state,
                            const std::vector<DiskOperation>& journal, Sequence acknowledged,
                            Sequence tail) {
    const size_t moment = random_.Next64() % (journal.size() + 1);
    bool served = false;
    for (size_t i = 0; i < moment; ++i) {
      state.Apply(journal[i]);
      served = served || journal[i].kind == DiskOperation::Kind::kMark;
    }
    const Plan plan{moment, PickSurvival(4), PickSurvival(3)};
    const DiskState found = state.AfterPowerLoss(plan.bytes, plan.names, random_);
    Disk disk(found);
    ++states_;
    ++during_recovery_;
    // What was read after the first recovery must not go any more.
    Sequence again;
    const std::string wrong = Recover(load, disk, served ? tail : acknowledged, &again);
    if (wrong.empty()) return wrong;
    return fmt::format("{}; then, during recovery, {}; {}", wrong, plan.Words(), Keep(found));
  }

  // Before and after every sync, and at one in eight of the other moments.
  void VisitAll(const RecordedLoad& load, uint64_t most) {
    DiskState state;
    Sequence acknowledged;
    for (size_t i = 0; i < load.journal().size() && states_ < most; ++i) {
      const DiskOperation& operation = load.journal()[i];
      const bool after_sync = i > 0 && load.journal()[i - 1].IsSync();
      if (operation.IsSync() || after_sync || random_.Next64() % 8 == 0) {
        const Plan plan{i, PickSurvival(4), PickSurvival(3)};
        const std::string wrong = Visit(load, state, plan, acknowledged);
        ASSERT_EQ(wrong, "") << "plan: SOP_SEED=" << seed_ << ", load " << load.seed() << ", "
                             << plan.Words();
      }
      if (operation.kind == DiskOperation::Kind::kMark) {
        acknowledged = std::max(acknowledged, Sequence{operation.number});
      }
      overwritings_ += operation.kind == DiskOperation::Kind::kOverwrite;
      state.Apply(operation);
    }
  }

  std::string Keep(const DiskState& found) const {
    return KeepDisk(found, fmt::format("{}/sop_power_loss_{}",
                                       std::filesystem::temp_directory_path().string(), seed_));
  }

  const uint64_t seed_ = NumberFrom("SOP_SEED", 1);
  base::SeededRandom random_{seed_};
  uint64_t states_ = 0;
  uint64_t during_recovery_ = 0;
  uint64_t overwritings_ = 0;  // logs that were filled ahead
};

TEST_F(PowerLossTest, WhatIsRecoveredIsAPrefixWithEverythingAcknowledged) {
  const uint64_t most = NumberFrom("SOP_STATES", 2000);
  fmt::print("seed {}, {} states\n", seed_, most);
  uint64_t loads = 0;
  for (; states_ < most && !HasFailure(); ++loads) {
    RecordedLoad load;
    ASSERT_EQ(RecordedLoad::Record(seed_ * 1000 + loads, 24, &load), "");
    ASSERT_GT(load.last_version(), load.accounts_version());
    VisitAll(load, most);
  }
  EXPECT_GT(overwritings_, 0U);
  fmt::print("{} states of {} loads, {} of them during the recovery of another\n", states_, loads,
             during_recovery_);
  fmt::print("counter states {}\ncounter during_recovery {}\ncounter overwritings {}\n", states_,
             during_recovery_, overwritings_);
}

// A commit that nobody was promised frees a value, whose files go at once. The power takes the
// commit back: what it freed is still referred to.
TEST_F(PowerLossTest, FilesGoOnlyOnceTheCommitThatFreesThemIsOnDisk) {
  constexpr TreeId kTree{7};
  const std::string large(persistence::kMaxWholeValueBytes + 1, 'l');
  Disk disk;
  auto opened = EngineOnDisk::Open(disk);
  ASSERT_TRUE(opened.ok()) << opened.status();
  txn::Engine& engine = (*opened)->engine();
  std::shared_ptr<txn::StagedValue> staged = *engine.StageValue(kTree);
  ASSERT_TRUE(staged->Append(large).ok());
  ASSERT_TRUE(staged->Seal().ok());
  auto writer = engine.Begin({});
  txn::ItemWrite item;
  item.staged = std::move(staged);
  ASSERT_TRUE(writer->Put(writer->OpenTree(kTree, {}), "key", item).ok());
  item.staged = nullptr;
  ASSERT_TRUE(engine.CommitAndWait(std::move(writer)).status.ok());
  auto remover = engine.Begin({});
  ASSERT_TRUE(remover->Erase(remover->OpenTree(kTree, {}), "key").ok());
  txn::CommitOptions relaxed;
  relaxed.durability = persistence::Durability::kRelaxed;
  ASSERT_TRUE(engine.CommitAndWait(std::move(remover), relaxed).status.ok());
  ASSERT_TRUE((*opened)->storage().KeepHouse().ok());
  DiskState state;
  bool files_went = false;
  for (const DiskOperation& operation : disk.journal()) {
    files_went = files_went || (operation.kind == DiskOperation::Kind::kRemove &&
                                operation.path.ends_with(".sst") &&
                                operation.path.find("/staging/") == std::string::npos);
    state.Apply(operation);
  }
  EXPECT_TRUE(files_went);
  Disk found(state.AfterPowerLoss(Survival::kNothing, Survival::kAll, random_));
  auto again = EngineOnDisk::Open(found);
  ASSERT_TRUE(again.ok()) << again.status();
  auto reader = (*again)->engine().Begin({.mode = txn::Mode::kReadOnly});
  const txn::TreeSlot tree = reader->OpenTree(kTree, {});
  auto there = reader->Get(tree, "key", txn::ReadMode::kItem);
  ASSERT_TRUE(there.ok()) << there.status();
  if (!there->has_value()) return;  // the removal survived
  const absl::Status loaded = reader->LoadValue(tree, &**there);
  ASSERT_TRUE(loaded.ok()) << loaded;
  EXPECT_EQ((*there)->value, large);
}

}  // namespace
}  // namespace sop::faults
