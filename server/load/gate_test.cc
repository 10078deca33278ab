#include "server/load/gate.h"

#include "gtest/gtest.h"

namespace sop::load {
namespace {

using Entry = Gate::Entry;

struct Client : Gate::Visitor {
  void Go() override { ++told; }
  int told = 0;
};

class GateTest : public testing::Test {
 protected:
  Gate gate_{{.capacity = 2, .waiting = 1}};
  Client a_, b_, c_, d_;
};

TEST_F(GateTest, SoManyAreInAFewWaitAndOthersAreTurnedAway) {
  EXPECT_EQ(gate_.Enter(a_, 1), Entry::kIn);
  EXPECT_EQ(gate_.Enter(b_, 1), Entry::kIn);
  EXPECT_EQ(gate_.Enter(c_, 1), Entry::kWaits);
  EXPECT_EQ(gate_.Enter(d_, 1), Entry::kTurnedAway);
  gate_.Leave(b_);
  EXPECT_EQ(c_.told, 1);
  EXPECT_EQ(gate_.Enter(d_, 1), Entry::kWaits);
  gate_.Leave(a_);
  EXPECT_EQ(d_.told, 1);
  gate_.Leave(c_);
  gate_.Leave(d_);
  EXPECT_EQ(gate_.Enter(a_, 1), Entry::kIn);
  EXPECT_EQ(a_.told, 0);
}

TEST_F(GateTest, WhoWaitsMayLeave) {
  gate_.Enter(a_, 2);
  EXPECT_EQ(gate_.Enter(b_, 1), Entry::kWaits);
  gate_.Leave(b_);
  EXPECT_EQ(gate_.Enter(c_, 2), Entry::kWaits);
  gate_.Leave(a_);
  EXPECT_EQ(b_.told, 0);
  EXPECT_EQ(c_.told, 1);
}

TEST_F(GateTest, WhoIsTooHeavyForOthersGoesAloneAndIsNotOvertaken) {
  EXPECT_EQ(gate_.Enter(a_, 1), Entry::kIn);
  EXPECT_EQ(gate_.Enter(b_, 5), Entry::kWaits);
  EXPECT_EQ(gate_.Enter(c_, 1), Entry::kTurnedAway) << "the light would have had room";
  gate_.Leave(a_);
  EXPECT_EQ(b_.told, 1);
  EXPECT_EQ(gate_.Enter(c_, 1), Entry::kWaits);
  gate_.Leave(b_);
  EXPECT_EQ(c_.told, 1);
}

}  // namespace
}  // namespace sop::load
