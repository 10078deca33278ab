// Snapshots held open while thousands of groups are written: what they see, and what they cost.

#include <map>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include <fmt/format.h>

#include "core/base/error.h"
#include "core/txn/engine_fixture_test.h"
#include "core/txn/test_seed.h"

namespace sop::txn {
namespace {

class HeldSnapshotTest : public EngineFixture {
 protected:
  using Model = std::map<std::string, std::string>;
  struct Held {
    std::shared_ptr<Transaction> reader;
    Model model;
  };

  static void Check(const Held& held, base::SeededRandom& random) {
    Transaction& reader = *held.reader;
    std::string begin = fmt::format("k{:04}", random.Next64() % 400);
    std::string end = fmt::format("k{:04}", random.Next64() % 400);
    if (begin > end) std::swap(begin, end);
    const auto expected = std::distance(held.model.lower_bound(begin), held.model.lower_bound(end));
    const auto count = reader.Count(Open(reader), begin, end);
    ASSERT_TRUE(count.ok()) << count.status();
    ASSERT_EQ(*count, static_cast<uint64_t>(expected)) << "[" << begin << ", " << end << ")";
    const auto found = held.model.find(begin);
    ASSERT_EQ(Get(reader, begin), found == held.model.end() ? "-" : found->second);
  }
  // A group of three changes, made in the model too.
  void Change(base::SeededRandom& random, const std::string& value, Model* model) {
    auto writer = Begin();
    for (int i = 0; i < 3; ++i) {
      const std::string key = fmt::format("k{:04}", random.Next64() % 400);
      if (random.Next64() % 3 == 0) {
        ASSERT_TRUE(writer->Erase(Open(*writer), key).ok());
        model->erase(key);
      } else {
        ASSERT_TRUE(Put(*writer, key, value).ok());
        (*model)[key] = value;
      }
    }
    ASSERT_TRUE(Commit(std::move(writer)).ok());
  }
};

TEST_F(HeldSnapshotTest, SeesItsCountsAndItemsAndCostsABoundedAmount) {
  // A cache that keeps nearly nothing: inner nodes are read from storage and completed.
  options_.cache = std::make_shared<CacheBudget>(size_t{16} << 10);
  options_.groups_between_folds = 64;
  Reopen();
  base::SeededRandom random(TestSeed(31));
  Model model;
  std::vector<Held> held;
  for (int group = 0; group < 4'000; ++group) {
    Change(random, std::to_string(group), &model);
    if (group % 1'000 == 137) held.push_back({Begin(Mode::kReadOnly), model});
    if (group % 97 != 0) continue;
    for (const Held& each : held) Check(each, random);
  }
  const Engine::Statistics during = engine_->statistics();
  EXPECT_EQ(during.snapshots, held.size() + 1);
  EXPECT_GT(during.oldest_snapshot, absl::ZeroDuration());
  // The groups since the last folding, and for each snapshot what came before it since the folding
  // before it; not the 12,000 changes that there were.
  EXPECT_LT(during.count_entries, 64 * 8 + held.size() * 200);
  for (int round = 0; round < 50; ++round) {
    for (const Held& each : held) Check(each, random);
    Check({Begin(Mode::kReadOnly), model}, random);
  }
  held.clear();
  ASSERT_TRUE(PutOne("z", "1").ok());
  ASSERT_TRUE(engine_->Fold().ok());
  ASSERT_TRUE(PutOne("z", "2").ok());
  EXPECT_LT(engine_->statistics().count_entries, 64u);
  EXPECT_LE(engine_->statistics().snapshots, 2u);
}

TEST_F(HeldSnapshotTest, StagesOfEveryCommitAreTimed) {
  for (int i = 0; i < 20; ++i) ASSERT_TRUE(PutOne(fmt::format("k{}", i), "1").ok());
  auto writer = Begin();
  ASSERT_TRUE(Put(*writer, "last", "1").ok());
  const CommitResult result = engine_->CommitAndWait(std::move(writer));
  ASSERT_TRUE(result.status.ok());
  const Engine::Statistics statistics = engine_->statistics();
  for (size_t i = 0; i < kCommitStages; ++i) {
    EXPECT_GT(result.times[i], 0) << kCommitStageNames[i];
    uint64_t count = 0;
    for (const uint64_t bucket : statistics.stages[i].buckets) count += bucket;
    EXPECT_EQ(count, 21u) << kCommitStageNames[i];
    EXPECT_GE(statistics.stages[i].sum_nanos, result.times[i]);
  }
}

TEST_F(HeldSnapshotTest, AFullQueueRefusesAndNothingHappened) {
  options_.limits.queued_commits = 0;
  Reopen();
  const absl::Status refused = PutOne("a", "1");
  EXPECT_EQ(ReasonOf(refused), Reason::kOverloaded);
  EXPECT_EQ(Get(*Begin(), "a"), "-");
}

}  // namespace
}  // namespace sop::txn
