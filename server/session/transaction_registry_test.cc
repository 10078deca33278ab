#include "server/session/transaction_registry.h"

#include <filesystem>
#include <memory>
#include <string>
#include <vector>

#include "core/base/error.h"
#include "core/base/random.h"
#include "core/base/thread_pool.h"
#include "core/btree/node/apply.h"
#include "gtest/gtest.h"
#include "storage/memory/memory_storage.h"

namespace sop::session {
namespace {

constexpr absl::Duration kIdle = absl::Seconds(60);
constexpr absl::Duration kLongest = absl::Minutes(15);
constexpr absl::Duration kTick = absl::Milliseconds(1);

// A registry of at most three transactions on a database in memory, and a clock that the test
// moves.
class TransactionRegistryTest : public testing::Test {
 protected:
  void SetUp() override {
    catalog::DatabaseOptions options;
    options.name = "default";
    options.storage =
        memory::MemoryStorage::Create(&btree::Apply, base::SystemClock(), base::SystemRandom());
    options.engine.clock = &base::SystemClock();
    options.engine.random = &base::SystemRandom();
    options.engine.files = &base::SystemFileSystem();
    options.engine.pool = &pool_;
    options.engine.cache = std::make_shared<txn::CacheBudget>(size_t{1} << 20);
    options.engine.spill_folder = std::filesystem::temp_directory_path() / "sop-registry-spill";
    auto engine = catalog::Database::Open(std::move(options));
    ASSERT_TRUE(engine.ok()) << engine.status();
    database_ = std::make_shared<OpenDatabase>();
    database_->name = "default";
    database_->metrics = metrics_.ForDatabase("default");
    database_->engine = *std::move(engine);
  }

  std::shared_ptr<OpenTransaction> Begin() {
    return registry_.Add(database_->engine->Begin({}), database_,
                         {.idle_limit = kIdle, .max_duration = kLongest});
  }
  // What a request gets that comes now; OK if it is served.
  Reason Use(OpenTransaction& transaction) {
    Reason reason = Reason::kInternal;
    transaction.WhenFree([&](Turn turn) { reason = ReasonOf(turn->CheckOpen()); });
    return reason;
  }

  base::ManualClock clock_;
  base::ThreadPool pool_{2};
  observe::Metrics metrics_;
  std::shared_ptr<OpenDatabase> database_;
  TransactionRegistry registry_{{.max_open = 3,
                                 .max_ends = 2,
                                 .is_ours = [](TransactionId) { return true; },
                                 .clock = &clock_,
                                 .workers = &pool_,
                                 .metrics = &metrics_}};
};

TEST_F(TransactionRegistryTest, AnUnusedOneEndsAtItsIdleLimit) {
  for (const int ticks : {-1, 0, 1}) {
    const auto transaction = Begin();
    clock_.Advance(kIdle + ticks * kTick);
    registry_.Sweep();
    EXPECT_EQ(Use(*transaction),
              ticks < 0 ? ReasonOf(absl::OkStatus()) : Reason::kTransactionExpired)
        << ticks;
    registry_.EndAll(std::nullopt);
  }
}

TEST_F(TransactionRegistryTest, OneIsNotIdleWhileARequestOfItIsReceived) {
  const auto transaction = Begin();
  for (int i = 0; i < 3; ++i) {
    clock_.Advance(kIdle - kTick);
    transaction->Touch();
    registry_.Sweep();
  }
  EXPECT_EQ(Use(*transaction), ReasonOf(absl::OkStatus()));
}

TEST_F(TransactionRegistryTest, AUsedOneEndsAtItsLongestDuration) {
  for (const int ticks : {-1, 0, 1}) {
    const auto transaction = Begin();
    for (int i = 0; i < 29; ++i) {
      clock_.Advance(kLongest / 30);
      ASSERT_EQ(Use(*transaction), ReasonOf(absl::OkStatus())) << i;
    }
    clock_.Advance(kLongest / 30 + ticks * kTick);
    registry_.Sweep();
    EXPECT_EQ(Use(*transaction),
              ticks < 0 ? ReasonOf(absl::OkStatus()) : Reason::kTransactionExpired)
        << ticks;
    registry_.EndAll(std::nullopt);
  }
}

TEST_F(TransactionRegistryTest, SoManyAreOpen) {
  std::vector<std::shared_ptr<OpenTransaction>> open;
  for (int i = 0; i < 3; ++i) {
    EXPECT_TRUE(registry_.CheckRoom().ok()) << i;
    open.push_back(Begin());
  }
  EXPECT_EQ(ReasonOf(registry_.CheckRoom()), Reason::kLimitExceeded);
  registry_.RollBack(open.front()->id());
  EXPECT_TRUE(registry_.CheckRoom().ok());
}

TEST_F(TransactionRegistryTest, SoManyEndsAreRemembered) {
  std::vector<TransactionId> ids;
  for (int i = 0; i < 3; ++i) {
    ids.push_back(Begin()->id());
    registry_.RollBack(ids.back());
  }
  EXPECT_EQ(ReasonOf(registry_.Find(ids[0], "").status()), Reason::kTransactionNotFound);
  EXPECT_EQ(ReasonOf(registry_.Find(ids[1], "").status()), Reason::kTransactionEnded);
  EXPECT_EQ(ReasonOf(registry_.Find(ids[2], "").status()), Reason::kTransactionEnded);
}

}  // namespace
}  // namespace sop::session
