#include "core/base/error.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <set>
#include <string>

namespace sop {
namespace {

using ::testing::ElementsAre;
using ::testing::IsEmpty;
using ::testing::Pair;

constexpr auto kLast = Reason::kUnauthenticated;

TEST(ReasonTest, TheTableHasOneRowPerReasonInOrder) {
  std::set<std::string> names;
  for (int i = 0; i <= static_cast<int>(kLast); ++i) {
    const auto reason = static_cast<Reason>(i);
    EXPECT_TRUE(names.insert(std::string(ReasonName(reason))).second) << i;
    EXPECT_NE(ReasonCode(reason), absl::StatusCode::kOk) << i;
    EXPECT_EQ(ReasonOf(Error(reason, "failed")), reason) << i;
  }
  EXPECT_EQ(ReasonName(Reason::kUnspecified), "UNSPECIFIED");
  EXPECT_EQ(ReasonName(kLast), "UNAUTHENTICATED");
}

TEST(ReasonTest, CodesSayWhatTheCallerMustDo) {
  EXPECT_EQ(ReasonCode(Reason::kConflict), absl::StatusCode::kAborted);
  EXPECT_EQ(ReasonCode(Reason::kSchemaDecided), absl::StatusCode::kAborted);
  EXPECT_EQ(ReasonCode(Reason::kTransactionPoisoned), absl::StatusCode::kFailedPrecondition);
  EXPECT_EQ(ReasonCode(Reason::kFieldMissing), absl::StatusCode::kInvalidArgument);
  EXPECT_EQ(ReasonCode(Reason::kStoreNotFound), absl::StatusCode::kNotFound);
  EXPECT_EQ(ReasonCode(Reason::kDiskFull), absl::StatusCode::kResourceExhausted);
  EXPECT_EQ(ReasonCode(Reason::kDamaged), absl::StatusCode::kDataLoss);
}

TEST(ErrorTest, CarriesCodeMessageReasonAndDetails) {
  const absl::Status status =
      Error(Reason::kConflict, "key a of store s was changed", {{"store", "s"}, {"key", "a"}});
  EXPECT_EQ(status.code(), absl::StatusCode::kAborted);
  EXPECT_EQ(std::string(status.message()), "key a of store s was changed");
  EXPECT_EQ(ReasonOf(status), Reason::kConflict);
  EXPECT_THAT(DetailsOf(status), ElementsAre(Pair("store", "s"), Pair("key", "a")));
}

TEST(ErrorTest, DetailsKeepAnyBytes) {
  const std::string bytes("\0\xff\n", 3);
  EXPECT_THAT(DetailsOf(Error(Reason::kInvalidKey, "bad key", {{"key", bytes}})),
              ElementsAre(Pair("key", bytes)));
}

TEST(ErrorTest, AStatusFromElsewhereHasNoReason) {
  EXPECT_EQ(ReasonOf(absl::OkStatus()), Reason::kUnspecified);
  EXPECT_EQ(ReasonOf(absl::InternalError("theirs")), Reason::kUnspecified);
  EXPECT_THAT(DetailsOf(absl::InternalError("theirs")), IsEmpty());
}

TEST(WithDetailTest, AddsOnceAndKeepsTheRest) {
  const absl::Status plain = Error(Reason::kKeyNotFound, "no key a", {{"key", "a"}});
  const absl::Status more = WithDetail(plain, "store", "s");
  EXPECT_EQ(more.code(), plain.code());
  EXPECT_EQ(more.message(), plain.message());
  EXPECT_EQ(ReasonOf(more), Reason::kKeyNotFound);
  EXPECT_THAT(DetailsOf(more), ElementsAre(Pair("key", "a"), Pair("store", "s")));
  EXPECT_THAT(DetailsOf(WithDetail(more, "store", "other")),
              ElementsAre(Pair("key", "a"), Pair("store", "s")));
  EXPECT_TRUE(WithDetail(absl::OkStatus(), "store", "s").ok());
}

}  // namespace
}  // namespace sop
