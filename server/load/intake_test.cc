#include "server/load/intake.h"

#include "gtest/gtest.h"

namespace sop::load {
namespace {

struct Client : Intake::Sender {
  void GiveUp() override { given_up = true; }
  bool given_up = false;
};

class IntakeTest : public testing::Test {
 protected:
  void Wait(absl::Duration time) {
    clock_.Advance(time);
    intake_.Sweep();
  }

  base::ManualClock clock_;
  Intake intake_{
      {.slow = 2, .soon = absl::Milliseconds(10), .patience = absl::Seconds(2), .clock = &clock_}};
  Client a_, b_, c_, d_;
};

TEST_F(IntakeTest, AnyNumberIsReceivedAtOnce) {
  for (Client* client : {&a_, &b_, &c_, &d_}) intake_.Enter(*client);
  Wait(absl::Milliseconds(10));
  for (Client* client : {&a_, &b_, &c_, &d_}) {
    EXPECT_FALSE(client->given_up);
    EXPECT_TRUE(intake_.Leave(*client));
  }
}

TEST_F(IntakeTest, SoManyTakeLongerAndTheOthersAreGivenUp) {
  for (Client* client : {&a_, &b_, &c_}) intake_.Enter(*client);
  clock_.Advance(absl::Milliseconds(11));
  intake_.Enter(d_);
  intake_.Look();
  EXPECT_FALSE(a_.given_up || b_.given_up || d_.given_up);
  EXPECT_TRUE(c_.given_up) << "who came last of those who are slow";
  EXPECT_FALSE(intake_.Leave(c_));
  EXPECT_TRUE(intake_.Leave(a_));
  Wait(absl::Milliseconds(11));
  EXPECT_FALSE(d_.given_up) << "there are two again";
  EXPECT_TRUE(intake_.Leave(b_));
  EXPECT_TRUE(intake_.Leave(d_));
}

TEST_F(IntakeTest, WhoTakesTooLongIsGivenUpOnceOthersAre) {
  intake_.Enter(a_);
  intake_.Enter(b_);
  Wait(absl::Seconds(3));
  EXPECT_FALSE(a_.given_up) << "nobody else wants to be slow";
  intake_.Enter(c_);
  Wait(absl::Milliseconds(11));
  EXPECT_TRUE(c_.given_up);
  EXPECT_TRUE(a_.given_up) << "the next one gets its place";
  EXPECT_FALSE(b_.given_up);
  intake_.Enter(d_);
  Wait(absl::Milliseconds(11));
  EXPECT_FALSE(d_.given_up);
}

}  // namespace
}  // namespace sop::load
