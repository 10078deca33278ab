// What meets in one group, what a refused group leaves behind, and folding.

#include <future>
#include <memory>
#include <string>
#include <utility>

#include <fmt/format.h>
#include <gtest/gtest.h>

#include "core/base/bytes.h"
#include "core/base/error.h"
#include "core/txn/commit/meta_rows.h"
#include "core/txn/count_ledger.h"
#include "core/txn/engine_fixture_test.h"
#include "storage/memory/fault_injecting_storage.h"

namespace sop::txn {
namespace {

using persistence::Space;

// The slot is this tree.
class TreeIs : public Assumption {
 public:
  TreeIs(TreeSlot slot, TreeId tree) : slot_(slot), tree_(tree) {}
  absl::Status Settle(CommitView& view) override {
    view.Bind(slot_, tree_);
    return absl::OkStatus();
  }

 private:
  const TreeSlot slot_;
  const TreeId tree_;
};

// An engine whose only pool thread can be held up, so that what is submitted meanwhile becomes one
// group, over storage with planned faults.
class EngineGroupTest : public EngineFixture {
 protected:
  void SetUp() override {
    options_.pool = &single_;
    EngineFixture::SetUp();
    engine_.reset();
    faulty_ = std::make_unique<memory::FaultInjectingStorage>(std::move(storage_));
    OpenAgain();
  }
  void TearDown() override {
    engine_.reset();
    faulty_.reset();
  }
  void OpenAgain() {
    engine_.reset();
    options_.cache = std::make_shared<CacheBudget>(options_.cache->limit_bytes());
    auto engine = Engine::Open(*faulty_, options_);
    ASSERT_TRUE(engine.ok()) << engine.status();
    engine_ = *std::move(engine);
  }

  void Pause() {
    {
      base::MutexLock lock(mu_);
      paused_ = true;
    }
    single_.Schedule([this] {
      base::MutexLock lock(mu_);
      while (paused_) resumed_.Wait(mu_);
    });
  }
  void Resume() {
    base::MutexLock lock(mu_);
    paused_ = false;
    resumed_.NotifyAll();
  }
  std::future<CommitResult> Submit(std::shared_ptr<Transaction> transaction) {
    auto promise = std::make_shared<std::promise<CommitResult>>();
    auto result = promise->get_future();
    engine_->Commit(std::move(transaction), {},
                    [promise](CommitResult done) { promise->set_value(std::move(done)); });
    return result;
  }

  void Arm(memory::FaultPoint point, Reason reason) {
    memory::Fault fault;
    fault.point = point;
    fault.status = Error(reason, "planned");
    faulty_->Arm(std::move(fault));
  }
  uint64_t CountRows() {
    uint64_t rows = 0;
    const auto snapshot = faulty_->nodes().TakeSnapshot().value();
    EXPECT_TRUE(snapshot
                    ->ScanRows(Space::kMeta, kCountRecordsBegin, kCountRecordsEnd,
                               [&](std::string_view, std::string_view) { return ++rows > 0; })
                    .ok());
    return rows;
  }
  void PutMany(int from, int to) {
    for (int i = from; i < to; ++i) {
      ASSERT_TRUE(PutOne(fmt::format("{:04}", i), std::string(60, 'v')).ok());
    }
  }
  uint64_t CountAll() {
    auto reader = Begin(Mode::kReadOnly);
    return reader->Count(Open(*reader), "", "").value();
  }
  std::shared_ptr<Transaction> CountingCreator(std::string_view key, uint64_t* count) {
    auto transaction = Begin();
    const TreeSlot slot = transaction->ProvisionalTree({});
    transaction->Assume(std::make_unique<TreeIs>(slot, TreeId{50}));
    *count = transaction->Count(slot, "", "").value();
    EXPECT_TRUE(transaction->Put(slot, key, {}).ok());
    return transaction;
  }

  base::ThreadPool single_{1};
  std::unique_ptr<memory::FaultInjectingStorage> faulty_;
  base::Mutex mu_;
  base::CondVar resumed_;
  bool paused_ SOP_GUARDED_BY(mu_) = false;
};

TEST_F(EngineGroupTest, OfTwoLargeValuesOfOneKeyTheLaterStays) {
  const auto put = [this](char fill) {
    auto staged = engine_->StageValue(kTree).value();
    EXPECT_TRUE(staged->Append(std::string(persistence::kMaxWholeValueBytes + 1, fill)).ok());
    EXPECT_TRUE(staged->Seal().ok());
    auto transaction = Begin();
    ItemWrite item;
    item.staged = std::move(staged);
    EXPECT_TRUE(transaction->Put(Open(*transaction), "k", item).ok());
    return transaction;
  };
  Pause();
  auto first = Submit(put('a'));
  auto second = Submit(put('b'));
  Resume();
  EXPECT_TRUE(first.get().status.ok());
  EXPECT_TRUE(second.get().status.ok());
  EXPECT_EQ(engine_->statistics().groups, 1U);
  auto reader = Begin(Mode::kReadOnly);
  EXPECT_EQ(Get(*reader, "k"), std::string(persistence::kMaxWholeValueBytes + 1, 'b'));
  uint64_t pieces = 0;
  const auto snapshot = faulty_->nodes().TakeSnapshot().value();
  ASSERT_TRUE(
      snapshot->ScanValues({}, [&](TreeId, Serial, std::string_view) { return ++pieces > 0; })
          .ok());
  EXPECT_EQ(pieces, 5U);
}

TEST_F(EngineGroupTest, CountsOfATreeMadeInTheSameGroupConflict) {
  uint64_t first_count = 1;
  uint64_t second_count = 1;
  auto first = CountingCreator("a", &first_count);
  auto second = CountingCreator("b", &second_count);
  EXPECT_EQ(first_count + second_count, 0U);
  Pause();
  auto first_result = Submit(std::move(first));
  auto second_result = Submit(std::move(second));
  Resume();
  EXPECT_TRUE(first_result.get().status.ok());
  EXPECT_EQ(ReasonOf(second_result.get().status), Reason::kConflict);
}

TEST_F(EngineGroupTest, RideOnChangedTwiceInOneGroupKeepsTheValue) {
  auto writer = Begin();
  const std::string value(3000, 'v');
  ItemWrite item;
  item.value = value;
  item.placement = Placement::kOutOfNode;
  ASSERT_TRUE(writer->Put(Open(*writer), "k", item).ok());
  ASSERT_TRUE(Commit(std::move(writer)).ok());
  auto first = Begin();
  auto second = Begin();
  ASSERT_TRUE(first->SetRideOn(Open(*first), "k", "1").ok());
  ASSERT_TRUE(second->SetRideOn(Open(*second), "k", "2").ok());
  Pause();
  auto first_result = Submit(std::move(first));
  auto second_result = Submit(std::move(second));
  Resume();
  EXPECT_TRUE(first_result.get().status.ok());
  EXPECT_TRUE(second_result.get().status.ok());
  auto reader = Begin();
  EXPECT_EQ(Get(*reader, "k"), value);
  EXPECT_EQ((*reader->Get(Open(*reader), "k", ReadMode::kItem))->ride_on, "2");
}

TEST_F(EngineGroupTest, AddAndRideOnOfOneTransactionBothHold) {
  auto first = Begin();
  ASSERT_TRUE(first->Add(Open(*first), "c", 5).ok());
  ASSERT_TRUE(Commit(std::move(first)).ok());
  for (const bool add_first : {true, false}) {
    auto transaction = Begin();
    const TreeSlot tree = Open(*transaction);
    if (add_first) ASSERT_TRUE(transaction->Add(tree, "c", 3).ok());
    ASSERT_TRUE(transaction->SetRideOn(tree, "c", add_first ? "r" : "s").ok());
    if (!add_first) ASSERT_TRUE(transaction->Add(tree, "c", 3).ok());
    ASSERT_TRUE(Commit(std::move(transaction)).ok());
    auto reader = Begin();
    const auto item = *reader->Get(Open(*reader), "c", ReadMode::kItem);
    ASSERT_TRUE(item.has_value());
    EXPECT_EQ(base::LoadLittle64(item->value.data()), add_first ? 8U : 11U);
    EXPECT_EQ(item->ride_on, add_first ? "r" : "s");
  }
}

TEST_F(EngineGroupTest, RideOnOfAnErasedKeyDoesNotBringItBack) {
  ASSERT_TRUE(PutOne("k", "v").ok());
  auto transaction = Begin();
  ASSERT_TRUE(transaction->Erase(Open(*transaction), "k").ok());
  ASSERT_TRUE(transaction->SetRideOn(Open(*transaction), "k", "r").ok());
  ASSERT_TRUE(Commit(std::move(transaction)).ok());
  EXPECT_EQ(Get(*Begin(), "k"), "-");
}

// The count is the same for a reason that the transaction's own answer did not allow for.
TEST_F(EngineGroupTest, CountWithOwnBlindPutDependsOnTheKey) {
  ASSERT_TRUE(PutOne("j", "1").ok());
  auto counting = Begin();
  ASSERT_TRUE(Put(*counting, "k", "1").ok());
  EXPECT_EQ(*counting->Count(Open(*counting), "", ""), 2U);
  auto other = Begin();
  ASSERT_TRUE(Put(*other, "k", "2").ok());
  ASSERT_TRUE(other->Erase(Open(*other), "j").ok());
  ASSERT_TRUE(Commit(std::move(other)).ok());
  EXPECT_EQ(ReasonOf(Commit(std::move(counting))), Reason::kConflict);
}

TEST_F(EngineGroupTest, RequestOlderThanTheOutcomesIsNotRun) {
  base::ManualClock before(options_.clock->Now() - options_.limits.outcome_retention -
                           absl::Seconds(1));
  auto transaction = Begin();
  ASSERT_TRUE(Put(*transaction, "a", "1").ok());
  CommitOptions options;
  options.token = base::MakeUuid7(before, *options_.random);
  const CommitResult result = engine_->CommitAndWait(std::move(transaction), options);
  EXPECT_EQ(ReasonOf(result.status), Reason::kOutcomeUnknown);
  EXPECT_EQ(Get(*Begin(), "a"), "-");
}

TEST_F(EngineGroupTest, RefusedRecordsAreNotCountedAsOutcomes) {
  for (const bool refused : {true, false}) {
    auto transaction = Begin();
    ASSERT_TRUE(Put(*transaction, "a", "1").ok());
    if (refused) Arm(memory::FaultPoint::kAppend, Reason::kDiskFull);
    CommitOptions options;
    options.token = engine_->MakeTransactionId();
    options.reply = std::string(1000, 'r');
    EXPECT_EQ(engine_->CommitAndWait(std::move(transaction), options).status.ok(), !refused);
  }
  uint64_t bytes = 0;
  const auto snapshot = faulty_->nodes().TakeSnapshot().value();
  ASSERT_TRUE(snapshot
                  ->ScanRows(Space::kOutcomes, {}, {},
                             [&](std::string_view key, std::string_view value) {
                               bytes += key.size() + value.size();
                               return true;
                             })
                  .ok());
  const auto totals =
      DecodeOutcomeTotals(snapshot->ReadRow(Space::kMeta, kOutcomeTotalsRow).value().value());
  ASSERT_TRUE(totals.has_value());
  EXPECT_EQ(totals->bytes, bytes);
}

TEST_F(EngineGroupTest, RecordWhoseValuesAreMissingIsRefusedAndTheNextGoesIn) {
  Arm(memory::FaultPoint::kAppend, Reason::kPreconditionNotMet);
  EXPECT_EQ(ReasonOf(PutOne("a", "1")), Reason::kPreconditionNotMet);
  EXPECT_TRUE(engine_->health().ok());
  EXPECT_TRUE(PutOne("b", "1").ok());
  EXPECT_EQ(Scan(*Begin()), "b=1");
}

TEST_F(EngineGroupTest, RefusedFoldSaysSoAndTheNextFoldsEverything) {
  PutMany(0, 60);
  ASSERT_GT(CountRows(), 0U);
  Arm(memory::FaultPoint::kAppend, Reason::kDiskFull);
  EXPECT_EQ(ReasonOf(engine_->Fold()), Reason::kDiskFull);
  PutMany(60, 80);
  ASSERT_TRUE(engine_->Fold().ok());
  EXPECT_EQ(CountRows(), 0U);
  OpenAgain();
  EXPECT_EQ(CountAll(), 80U);
}

TEST_F(EngineGroupTest, FoldThatCannotReadANodeLosesNoCounts) {
  PutMany(0, 60);
  ASSERT_GT(CountRows(), 0U);
  OpenAgain();  // with nothing cached
  Arm(memory::FaultPoint::kReadNode, Reason::kUnavailable);
  EXPECT_EQ(ReasonOf(engine_->Fold()), Reason::kUnavailable);
  OpenAgain();
  EXPECT_EQ(CountAll(), 60U);
  ASSERT_TRUE(engine_->Fold().ok());
  OpenAgain();
  EXPECT_EQ(CountAll(), 60U);
}

TEST_F(EngineGroupTest, FoldReadsNoNodeThatIsCached) {
  PutMany(0, 60);
  ASSERT_TRUE(engine_->Fold().ok());
  PutMany(60, 120);
  ASSERT_GT(CountRows(), 0U);
  const uint64_t read = faulty_->Calls(memory::FaultPoint::kReadNode);
  ASSERT_TRUE(engine_->Fold().ok());
  EXPECT_EQ(faulty_->Calls(memory::FaultPoint::kReadNode), read);
  OpenAgain();
  EXPECT_EQ(CountAll(), 120U);
}

TEST_F(EngineGroupTest, SnapshotsDoNotPileUpBehindAnOldOne) {
  auto old = Begin(Mode::kReadOnly);
  for (int i = 0; i < 300; ++i) ASSERT_TRUE(PutOne("a", fmt::format("{}", i)).ok());
  EXPECT_LT(engine_->statistics().snapshots, 100U);
  EXPECT_EQ(Get(*old, "a"), "-");
}

}  // namespace
}  // namespace sop::txn
