// Many thousand transactions over lists while the engine crashes again and again: its log fails,
// with the record written or lost, and it is opened anew on what is there. SOP_SEED replays the
// choices of a run, SOP_TRANSACTIONS sets how many transactions there are.
#include <fmt/format.h>
#include <gtest/gtest.h>

#include <atomic>
#include <cstdlib>
#include <filesystem>
#include <memory>
#include <string>
#include <thread>
#include <vector>

#include "core/base/check.h"
#include "core/base/error.h"
#include "core/base/thread_pool.h"
#include "core/btree/node/apply.h"
#include "core/txn/engine.h"
#include "storage/memory/fault_injecting_storage.h"
#include "storage/memory/memory_storage.h"
#include "tests/history/append_checker.h"
#include "tests/history/list_load.h"
#include "tests/history/strained_engine.h"

namespace sop::history {
namespace {

constexpr TreeId kTree{900'001};
constexpr uint32_t kClients = 8;
// Groups of commits between two crashes, at most.
constexpr uint64_t kGroupsBetweenCrashes = 400;

uint64_t NumberFrom(const char* variable, uint64_t ours) {
  const char* const given = std::getenv(variable);
  return given == nullptr ? ours : std::strtoull(given, nullptr, 10);
}

class EngineTransaction : public ListTransaction {
 public:
  EngineTransaction(txn::Engine& engine, Intent intent)
      : engine_(engine),
        transaction_(engine.Begin(
            {intent == Intent::kReads ? txn::Mode::kReadOnly : txn::Mode::kReadWrite})),
        tree_(transaction_->OpenTree(kTree, {4})) {}

  std::optional<std::string> Get(const std::string& key) override {
    const auto item = transaction_->Get(tree_, key, txn::ReadMode::kItem);
    EXPECT_TRUE(item.ok()) << item.status();
    if (!item.ok()) return std::nullopt;
    return item->has_value() ? (*item)->value : std::string();
  }
  bool Put(const std::string& key, const std::string& bytes) override {
    txn::ItemWrite item;
    item.value = bytes;
    return transaction_->Put(tree_, key, item).ok();
  }
  Outcome Commit() override {
    const txn::CommitResult result = engine_.CommitAndWait(std::move(transaction_));
    if (result.status.ok()) return Outcome::kOk;
    if (ReasonOf(result.status) == Reason::kConflict) return Outcome::kFailed;
    EXPECT_EQ(ReasonOf(result.status), Reason::kUnavailable) << result.status;
    return Outcome::kUnknown;
  }

 private:
  txn::Engine& engine_;
  std::shared_ptr<txn::Transaction> transaction_;
  const txn::TreeSlot tree_;
};

// One life of the engine after the other over one state.
class ListAppendTest : public testing::Test {
 protected:
  // From an opening to the crash, or until `transactions_` are through.
  void Live() {
    memory::FaultInjectingStorage storage(
        std::make_unique<memory::MemoryStorage>(state_, btree::Apply));
    memory::Fault crash;
    crash.nth = 1 + random_.Next64() % kGroupsBetweenCrashes;
    crash.action = random_.Next64() % 2 == 0 ? memory::FaultAction::kFailLost
                                             : memory::FaultAction::kFailWritten;
    crash.status = Error(Reason::kUnavailable, "the log failed");
    storage.Arm(std::move(crash));
    auto engine = txn::Engine::Open(
        storage, StrainedEngine(pool_, std::filesystem::temp_directory_path().string()));
    ASSERT_TRUE(engine.ok()) << engine.status();
    std::vector<std::thread> threads;
    for (uint32_t client = 0; client < kClients; ++client) {
      threads.emplace_back([&, client] { RunClient(client, **engine); });
    }
    for (std::thread& thread : threads) thread.join();
    if (!(*engine)->health().ok()) ++crashes_;
    if (done_ < transactions_) return;
    closing_ = std::make_unique<EngineTransaction>(**engine, Intent::kReads);
    Check();
    closing_ = nullptr;
  }

  void RunClient(uint32_t client, txn::Engine& engine) {
    while (done_ < transactions_ && engine.health().ok() && !HasFailure()) {
      load_.RunOne(client, [&](Intent intent) {
        return std::make_unique<EngineTransaction>(engine, intent);
      });
      ++done_;
    }
  }

  void Check() {
    const AppendHistory history =
        load_.Gather([this](const std::string& key) { return closing_->Get(key).value(); });
    const Verdict verdict = CheckHistory(history);
    EXPECT_EQ(verdict.Words(), "");
    EXPECT_GT(verdict.transactions, transactions_ / 2);
    size_t unknown = 0;
    for (const auto& transaction : history.transactions()) {
      if (transaction.outcome == Outcome::kUnknown) ++unknown;
    }
    fmt::print(
        "{} transactions, {} happened, {} crashes that left {} outcomes unknown, {} "
        "dependencies, {} anomalies\n",
        history.transactions().size(), verdict.transactions, crashes_, unknown, verdict.edges,
        verdict.anomalies.size());
    fmt::print("counter history_transactions {}\n", verdict.transactions);
  }

  const uint64_t seed_ = NumberFrom("SOP_SEED", 1);
  const uint64_t transactions_ = NumberFrom("SOP_TRANSACTIONS", 100'000);
  base::SeededRandom random_{seed_};
  base::ThreadPool pool_{4};
  const std::shared_ptr<memory::MemoryState> state_ =
      std::make_shared<memory::MemoryState>(Uuid{7, 7});
  ListLoad load_{seed_, kClients};
  std::atomic<uint64_t> done_{0};
  int crashes_ = 0;
  std::unique_ptr<EngineTransaction> closing_;
};

TEST_F(ListAppendTest, IsStrictlySerialisableOverCrashes) {
  SCOPED_TRACE(fmt::format("SOP_SEED={}", seed_));
  while (done_ < transactions_ && !HasFailure()) Live();
  EXPECT_GT(crashes_, 0);
}

}  // namespace
}  // namespace sop::history
