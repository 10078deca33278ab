// A process that ends itself at every fail point, under load. SOP_SEED replays a run's plans and
// passages, SOP_ROUNDS sets how often each point is taken.

#include <fmt/format.h>
#include <gtest/gtest.h>

#include "core/base/random.h"
#include "tests/crash/engine_lives.h"

namespace sop::crash {
namespace {

constexpr std::chrono::milliseconds kServes{3};  // between two fail points

// Points that a life passes seldom; the others it passes hundreds of times.
bool IsSeldom(std::string_view point) {
  for (const std::string_view family : {"create.", "open.", "start.", "close.", "flush.", "fold.",
                                        "compaction.", "split.root", "merge.root", "stage."}) {
    if (point.starts_with(family)) return true;
  }
  return false;
}

TEST(FailPointTest, EndedAtEveryStepNothingAcknowledgedIsLostAndNothingIsHalf) {
  const uint64_t seed = NumberFrom("SOP_SEED", 20260102);
  const uint64_t rounds = NumberFrom("SOP_ROUNDS", 2);
  fmt::print("seed {}, {} rounds of {} fail points\n", seed, rounds, kFailPoints.size());
  base::SeededRandom random(seed);
  EngineLives lives(seed, "fail_points");
  uint64_t acknowledged_elsewhere = 0;
  for (uint64_t round = 0; round < rounds; ++round) {
    for (size_t point = 0; point < kFailPoints.size(); ++point) {
      EngineLives::Kill kill;
      kill.life = round * kFailPoints.size() + point;
      kill.close_after_ms = 1 + static_cast<int>(random.Next64() % 12);
      kill.die_at = point;
      kill.die_at_passage = 1 + random.Next64() % (IsSeldom(kFailPoints[point]) ? 2 : 40);
      const std::string plan = fmt::format("plan: SOP_SEED={}, round {}, passage {} of {}", seed,
                                           round, kill.die_at_passage, kFailPoints[point]);
      // A database is made only once, so that these need one that is not there yet.
      if (kFailPoints[point].starts_with("create.")) {
        kill.die_at_passage = 1;
        EngineLives fresh(seed, "fail_points_fresh");
        ASSERT_EQ(fresh.LiveOnce(kill), "") << plan;
        ASSERT_EQ(fresh.LiveOnce({.life = kill.life, .after = kServes}), "") << plan;
        ASSERT_EQ(fresh.LiveOnce({.life = kill.life}), "") << plan;
        acknowledged_elsewhere += fresh.counts().acknowledged;
        continue;
      }
      ASSERT_EQ(lives.LiveOnce(kill), "") << plan;
      ASSERT_EQ(lives.LiveOnce({.life = kill.life, .after = kServes}), "") << plan;
    }
  }
  ASSERT_EQ(lives.LiveOnce({}), "");
  const EngineLives::Counts& counts = lives.counts();
  fmt::print("{} commits acknowledged, 0 lost; {} under way, {} of them applied whole\n",
             counts.acknowledged + acknowledged_elsewhere, counts.pending, counts.pending_applied);
  fmt::print("counter fail_points {}\ncounter commits_acknowledged {}\n",
             rounds * kFailPoints.size(), counts.acknowledged + acknowledged_elsewhere);
  EXPECT_GT(counts.acknowledged, rounds * kFailPoints.size());
}

}  // namespace
}  // namespace sop::crash
