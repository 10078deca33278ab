// SIGKILLs of a process that commits to one database from eight threads. SOP_SEED replays a run's
// plans and kill times, SOP_KILLS sets how many lives there are.

#include <fmt/format.h>
#include <gtest/gtest.h>

#include "core/base/random.h"
#include "tests/crash/engine_lives.h"

namespace sop::crash {
namespace {

TEST(EngineCrashTest, KilledAtAnyMomentNothingAcknowledgedIsLostAndNothingIsHalf) {
  const uint64_t seed = NumberFrom("SOP_SEED", 20260101);
  const uint64_t kills = NumberFrom("SOP_KILLS", 200);
  fmt::print("seed {}, {} kills\n", seed, kills);
  base::SeededRandom random(seed);
  EngineLives lives(seed, "engine_crash");
  for (uint64_t life = 0; life < kills; ++life) {
    // Most lives end a few milliseconds into the load, some while they still open and check.
    EngineLives::Kill kill;
    kill.life = life;
    kill.close_after_ms = life % 5 == 4 ? 1 + static_cast<int>(random.Next64() % 30) : 0;
    kill.early = life % 8 == 7;
    kill.after = std::chrono::microseconds(random.Next64() % (kill.early ? 60'000 : 70'000));
    ASSERT_EQ(lives.LiveOnce(kill), "") << "plan: SOP_SEED=" << seed << ", life " << life;
  }
  // The last one shows that what the last kill left is right too.
  ASSERT_EQ(lives.LiveOnce({.life = kills}), "") << "plan: SOP_SEED=" << seed << ", after the last";
  const EngineLives::Counts& counts = lives.counts();
  fmt::print(
      "{} kills, {} of them under load; {} commits acknowledged, 0 lost; {} refused as conflicts; "
      "{} under way when killed, {} of them applied whole, the others not at all; {} snapshots "
      "checked under load, {} closings in good order\n",
      kills, counts.served - 1, counts.acknowledged, counts.refused, counts.pending,
      counts.pending_applied, counts.snapshots, counts.closings);
  fmt::print("counter kills {}\ncounter commits_acknowledged {}\ncounter under_way {}\n", kills,
             counts.acknowledged, counts.pending);
  EXPECT_GT(counts.acknowledged, kills);
}

}  // namespace
}  // namespace sop::crash
