#include "server/status/wire_status.h"

#include <string>

#include "core/base/error.h"
#include "google/rpc/error_details.pb.h"
#include "gtest/gtest.h"

namespace sop::status {
namespace {

google::rpc::ErrorInfo ErrorOf(const google::rpc::Status& wire) {
  google::rpc::ErrorInfo error;
  EXPECT_GE(wire.details_size(), 1);
  EXPECT_TRUE(wire.details(0).UnpackTo(&error));
  return error;
}

TEST(WireStatusTest, OkHasNoDetails) {
  EXPECT_EQ(ToRpcStatus(absl::OkStatus()).details_size(), 0);
  EXPECT_TRUE(ToGrpcStatus(absl::OkStatus()).ok());
}

TEST(WireStatusTest, ReasonAndMetadataTravel) {
  const auto wire =
      ToRpcStatus(Error(Reason::kConflict, "key a changed", {{"store", "words"}, {"key", "a"}}));
  EXPECT_EQ(wire.code(), static_cast<int>(absl::StatusCode::kAborted));
  EXPECT_EQ(wire.message(), "key a changed");
  const auto error = ErrorOf(wire);
  EXPECT_EQ(error.reason(), "CONFLICT");
  EXPECT_EQ(error.domain(), "sop");
  EXPECT_EQ(error.metadata().at("store"), "words");
  EXPECT_EQ(error.metadata().at("key"), "a");
  EXPECT_EQ(wire.details_size(), 1);
}

TEST(WireStatusTest, WaitingIsSuggestedWhereItHelps) {
  for (const Reason reason : {Reason::kOverloaded, Reason::kDiskFull}) {
    const auto wire = ToRpcStatus(Error(reason, "no room"));
    ASSERT_EQ(wire.details_size(), 2);
    google::rpc::RetryInfo retry;
    ASSERT_TRUE(wire.details(1).UnpackTo(&retry));
    EXPECT_GT(retry.retry_delay().seconds() * 1'000'000'000 + retry.retry_delay().nanos(), 0);
  }
  EXPECT_EQ(ToRpcStatus(Error(Reason::kLimitExceeded, "too much")).details_size(), 1);
}

TEST(WireStatusTest, ForeignStatusesGetTheReasonOfTheirCode) {
  EXPECT_EQ(ErrorOf(ToRpcStatus(absl::CancelledError("gone"))).reason(), "CANCELLED");
  const auto wire = ToRpcStatus(absl::UnknownError("what"));
  EXPECT_EQ(wire.code(), static_cast<int>(absl::StatusCode::kInternal));
  EXPECT_EQ(ErrorOf(wire).reason(), "INTERNAL");
}

TEST(WireStatusTest, LongTextsAreCutBetweenCharacters) {
  std::string text(2047, 'a');
  text += "\u00e9\u00e9";
  const auto wire = ToRpcStatus(Error(Reason::kInvalidKey, text, {{"key", std::string(999, 'k')}}));
  EXPECT_EQ(wire.message(), std::string(2047, 'a'));
  EXPECT_EQ(ErrorOf(wire).metadata().at("key").size(), 256u);
}

TEST(WireStatusTest, GrpcStatusCarriesTheSerializedDetails) {
  const grpc::Status status = ToGrpcStatus(Error(Reason::kStoreNotFound, "store x is not there"));
  EXPECT_EQ(status.error_code(), grpc::StatusCode::NOT_FOUND);
  google::rpc::Status wire;
  ASSERT_TRUE(wire.ParseFromString(status.error_details()));
  EXPECT_EQ(ErrorOf(wire).reason(), "STORE_NOT_FOUND");
}

}  // namespace
}  // namespace sop::status
