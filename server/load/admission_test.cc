#include "server/load/admission.h"

#include <algorithm>
#include <memory>
#include <string>
#include <vector>

#include "core/base/error.h"
#include "gtest/gtest.h"

namespace sop::load {
namespace {

std::string Detail(const absl::Status& status, std::string_view name) {
  for (const auto& detail : DetailsOf(status)) {
    if (detail.first == name) return detail.second;
  }
  return "";
}

class AdmissionTest : public testing::Test {
 protected:
  base::ManualClock clock_;
  std::shared_ptr<base::MemoryBudget> budget_ =
      std::make_shared<base::MemoryBudget>(size_t{16} << 20);
  Admission admission_{{.max_requests = 3, .max_streams = 2, .budget = budget_, .clock = &clock_}};
};

TEST_F(AdmissionTest, RequestsBeyondTheLimitAreOverloaded) {
  std::vector<std::unique_ptr<Admitted>> places;
  for (int i = 0; i < 3; ++i) {
    places.push_back(std::make_unique<Admitted>(admission_, Admission::Shape::kRequest));
    EXPECT_TRUE(places.back()->Enter(10).ok()) << i;
  }
  {
    Admitted fourth(admission_, Admission::Shape::kRequest);
    const absl::Status refused = fourth.Enter(10);
    EXPECT_EQ(ReasonOf(refused), Reason::kOverloaded);
    EXPECT_EQ(Detail(refused, "limit"), "3");
    EXPECT_GE(std::stod(Detail(refused, "retry_after_ms")), 100);
    Admitted stream(admission_, Admission::Shape::kStream);
    EXPECT_TRUE(stream.Enter(10).ok()) << "streams are counted apart";
  }
  places.pop_back();
  Admitted again(admission_, Admission::Shape::kRequest);
  EXPECT_TRUE(again.Enter(10).ok());
  EXPECT_EQ(admission_.counters().too_many, 1u);
}

TEST_F(AdmissionTest, AnsweredRequestsCountNoLongerButHoldTheirMemory) {
  std::vector<std::unique_ptr<Admitted>> answered;
  for (int i = 0; i < 10; ++i) {
    answered.push_back(std::make_unique<Admitted>(admission_, Admission::Shape::kRequest));
    ASSERT_TRUE(answered.back()->Enter(10).ok()) << i;
    answered.back()->Answered();
  }
  EXPECT_GT(budget_->firm_bytes(), 10 * (8 << 10));
  answered.clear();
  EXPECT_EQ(budget_->firm_bytes(), 0);
  std::vector<std::unique_ptr<Admitted>> places;
  for (int i = 0; i < 4; ++i) {
    places.push_back(std::make_unique<Admitted>(admission_, Admission::Shape::kRequest));
    EXPECT_EQ(places.back()->Enter(10).ok(), i < 3) << "none was counted off twice";
  }
}

TEST_F(AdmissionTest, StreamsBeyondTheLimitAreOverloaded) {
  Admitted first(admission_, Admission::Shape::kStream);
  Admitted second(admission_, Admission::Shape::kStream);
  EXPECT_TRUE(second.Enter(0).ok());
  Admitted third(admission_, Admission::Shape::kStream);
  EXPECT_EQ(ReasonOf(third.Enter(0)), Reason::kOverloaded);
}

TEST_F(AdmissionTest, WithoutRoomNothingIsAdmittedAndAllIsGivenBack) {
  {
    Admitted large(admission_, Admission::Shape::kRequest);
    ASSERT_TRUE(large.Enter(4 << 20).ok());
    large.HoldAnswer(3 << 20);
    large.HoldAnswer(4 << 20);
    EXPECT_GE(budget_->firm_bytes(), 16 << 20);
    EXPECT_LE(budget_->firm_bytes(), (16 << 20) + (8 << 10));
    Admitted small(admission_, Admission::Shape::kRequest);
    const absl::Status refused = small.Enter(1);
    EXPECT_EQ(ReasonOf(refused), Reason::kOverloaded);
    EXPECT_EQ(Detail(refused, "limit"), "16777216");
  }
  EXPECT_EQ(budget_->firm_bytes(), 0);
  EXPECT_EQ(admission_.counters().no_memory, 1u);
}

TEST_F(AdmissionTest, AnAnswerIsMadeOnlyIfThereIsRoom) {
  Admitted reader(admission_, Admission::Shape::kRequest);
  ASSERT_TRUE(reader.Enter(0).ok());
  EXPECT_TRUE(reader.GrowAnswer(4 << 20));
  EXPECT_FALSE(reader.GrowAnswer(4 << 20));
  EXPECT_TRUE(reader.GrowAnswer(3 << 20));
  const absl::Status refused = reader.RefuseAnswer();
  EXPECT_EQ(ReasonOf(refused), Reason::kOverloaded);
  EXPECT_GE(std::stod(Detail(refused, "retry_after_ms")), 100);
  reader.HoldAnswer(1 << 20);
  EXPECT_EQ(budget_->firm_bytes(), (2 << 20) + (8 << 10));
}

TEST_F(AdmissionTest, HeavyOnesTakeTurns) {
  constexpr int64_t kHeavy = Admission::kHeavyBytes + 1;
  Admission admission({.max_heavy_bytes = 2 * kHeavy, .budget = budget_, .clock = &clock_});
  std::vector<int> ran;
  std::vector<std::unique_ptr<Admitted>> places;
  for (int i = 0; i < 11; ++i) {
    places.push_back(std::make_unique<Admitted>(admission, Admission::Shape::kRequest));
    EXPECT_FALSE(places.back()->IsHeavy(Admission::kHeavyBytes));
    EXPECT_TRUE(places.back()->IsHeavy(kHeavy));
    const absl::Status status = places.back()->WaitForTurn(kHeavy, [&ran, i] { ran.push_back(i); });
    // Two run, eight wait.
    EXPECT_EQ(status.ok(), i < 10) << i;
    if (!status.ok()) EXPECT_EQ(ReasonOf(status), Reason::kOverloaded);
  }
  EXPECT_EQ(ran, (std::vector<int>{0, 1}));
  places[1]->Answered();
  EXPECT_EQ(ran, (std::vector<int>{0, 1, 2}));
  places[0].reset();
  EXPECT_EQ(ran.back(), 3);
  Admitted part(admission, Admission::Shape::kPartOfStream);
  EXPECT_FALSE(part.IsHeavy(kHeavy)) << "a stream has bounds of its own";
}

TEST_F(AdmissionTest, TheMoreAreRefusedTheLaterTheyComeAgain) {
  std::vector<std::unique_ptr<Admitted>> places;
  for (int i = 0; i < 4; ++i) {
    places.push_back(std::make_unique<Admitted>(admission_, Admission::Shape::kRequest));
  }
  // The mean of what so many are told, in milliseconds, when it is spread as it should be.
  const auto refused = [&](int times, double expected) {
    double sum = 0;
    double least = 1e9;
    double most = 0;
    for (int i = 0; i < times; ++i) {
      const double told = std::stod(Detail(places[0]->Enter(1), "retry_after_ms"));
      sum += told;
      least = std::min(least, told);
      most = std::max(most, told);
    }
    EXPECT_GE(least, std::max(100.0, expected * 0.5 - 1));
    EXPECT_LE(most, expected * 1.5);
    if (times > 1) EXPECT_GE(most - least, expected * 0.4);
    return sum / times;
  };
  // Below 100 is made 100.
  EXPECT_NEAR(refused(500, 100), 112.5, 1);
  clock_.Advance(absl::Milliseconds(100));
  EXPECT_NEAR(refused(500, 1'000), 1'000, 10);
  clock_.Advance(absl::Milliseconds(100));
  refused(1, 10'000);
  clock_.Advance(absl::Milliseconds(100));
  refused(1, 200);
  clock_.Advance(absl::Seconds(10));
  refused(1, 100);
}

}  // namespace
}  // namespace sop::load
