// SIGKILLs of a process that commits to one database from eight threads. SOP_SEED replays a run's
// plans and kill times, SOP_KILLS sets how many lives there are.

#include <signal.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include <chrono>
#include <cstdlib>
#include <filesystem>
#include <new>
#include <string>
#include <thread>

#include <fmt/format.h>
#include <gtest/gtest.h>

#include "core/base/file_system.h"
#include "core/base/random.h"
#include "tests/crash/life.h"

// A binary of its own: threads are not copied by fork(), so the parent must never start any.
namespace sop::crash {
namespace {

uint64_t NumberFrom(const char* variable, uint64_t ours) {
  const char* const given = std::getenv(variable);
  return given == nullptr ? ours : std::strtoull(given, nullptr, 10);
}

class EngineCrashTest : public testing::Test {
 protected:
  void SetUp() override {
    for (uint64_t& number : expectation_.next_number) number = 1;
    options_.seed = seed_;
    options_.path = fmt::format("{}/sop_engine_crash_{}",
                                std::filesystem::temp_directory_path().string(), ::getpid());
    void* const shared = ::mmap(nullptr, sizeof(LifeRecord), PROT_READ | PROT_WRITE,
                                MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    ASSERT_NE(shared, MAP_FAILED);
    record_ = static_cast<LifeRecord*>(shared);
  }
  void TearDown() override {
    EXPECT_TRUE(base::SystemFileSystem().RemoveRecursively(options_.path).ok());
    ::munmap(record_, sizeof(LifeRecord));
  }

  // Kills most lives a few milliseconds into the load, some while they still open and check.
  void LiveOnce(uint64_t life) {
    new (record_) LifeRecord;
    options_.life = life;
    options_.close_after_ms = life % 5 == 4 ? 1 + static_cast<int>(random_.Next64() % 30) : 0;
    const bool early = life % 8 == 7;
    const std::chrono::microseconds run(random_.Next64() % (early ? 60'000 : 70'000));
    const pid_t child = ::fork();
    if (child == 0) Live(options_, expectation_, record_);
    ASSERT_GT(child, 0);
    if (!early) WaitUntilServing();
    std::this_thread::sleep_for(run);
    ASSERT_EQ(::kill(child, SIGKILL), 0);
    int status = 0;
    ASSERT_EQ(::waitpid(child, &status, 0), child);
    ASSERT_FALSE(record_->failed) << record_->failure;
    ASSERT_TRUE(WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL)
        << "ended by itself: " << status;
    if (record_->serving) TakeOver();
  }

  void WaitUntilServing() {
    const auto end = std::chrono::steady_clock::now() + std::chrono::seconds(60);
    while (!record_->serving && !record_->failed && std::chrono::steady_clock::now() < end) {
      std::this_thread::sleep_for(std::chrono::microseconds(500));
    }
    ASSERT_TRUE(record_->serving) << "not serving after 60 s: " << record_->failure;
  }

  // What a life that was killed has settled and done becomes part of the expectation.
  void TakeOver() {
    ++lives_served_;
    snapshots_ += record_->snapshots_checked;
    closings_ += record_->closings;
    for (int thread = 0; thread < kThreads; ++thread) {
      const auto index = static_cast<size_t>(thread);
      auto& pending = expectation_.pending[index];
      if (pending.has_value()) ++pending_;
      if (pending.has_value() && record_->was_applied[index]) {
        ++pending_applied_;
        Apply(thread, pending->number);
      }
      pending.reset();
      TakeOverThread(thread, record_->threads[index]);
    }
  }

  void TakeOverThread(int thread, const LifeRecord::Thread& done) {
    const auto index = static_cast<size_t>(thread);
    uint64_t& next = expectation_.next_number[index];
    for (const auto& outcome : done.outcomes) {
      if (outcome == Outcome::kNone) break;
      const uint64_t number = next++;
      if (outcome == Outcome::kAcknowledged) {
        ++acknowledged_;
        Apply(thread, number);
      } else if (outcome == Outcome::kRefused) {
        ++refused_;
      } else {
        expectation_.pending[index] = {number, done.tried.Get()};
      }
    }
    const Uuid token = done.acknowledged.Get();
    if (!token.IsZero()) expectation_.acknowledged_token[index] = token;
  }

  void Apply(int thread, uint64_t number) {
    const Plan plan = MakePlan(seed_, thread, number);
    crash::Apply(plan, &expectation_.threads[static_cast<size_t>(thread)]);
    crash::Apply(plan, &expectation_.totals);
  }

  const uint64_t seed_ = NumberFrom("SOP_SEED", 20260101);
  base::SeededRandom random_{seed_};
  LifeOptions options_;
  LifeRecord* record_ = nullptr;
  Expectation expectation_;
  uint64_t lives_served_ = 0;
  uint64_t acknowledged_ = 0;
  uint64_t refused_ = 0;
  uint64_t pending_ = 0;
  uint64_t pending_applied_ = 0;
  uint64_t snapshots_ = 0;
  uint64_t closings_ = 0;
};

TEST_F(EngineCrashTest, KilledAtAnyMomentNothingAcknowledgedIsLostAndNothingIsHalf) {
  const uint64_t kills = NumberFrom("SOP_KILLS", 200);
  fmt::print("seed {}, {} kills\n", seed_, kills);
  SCOPED_TRACE(fmt::format("SOP_SEED={}", seed_));
  for (uint64_t life = 0; life < kills; ++life) {
    LiveOnce(life);
    ASSERT_FALSE(HasFailure()) << "life " << life;
  }
  // The last one shows that what the last kill left is right too.
  new (record_) LifeRecord;
  const pid_t child = ::fork();
  if (child == 0) Live(options_, expectation_, record_);
  WaitUntilServing();
  ::kill(child, SIGKILL);
  ASSERT_EQ(::waitpid(child, nullptr, 0), child);
  EXPECT_FALSE(record_->failed) << record_->failure;
  fmt::print(
      "{} kills, {} of them under load; {} commits acknowledged, 0 lost; {} refused as conflicts; "
      "{} under way when killed, {} of them applied whole, the others not at all; {} snapshots "
      "checked under load, {} closings in good order\n",
      kills, lives_served_, acknowledged_, refused_, pending_, pending_applied_, snapshots_,
      closings_);
  fmt::print("counter kills {}\ncounter commits_acknowledged {}\ncounter under_way {}\n", kills,
             acknowledged_, pending_);
  EXPECT_GT(acknowledged_, kills);
}

}  // namespace
}  // namespace sop::crash
