#include "clients/cli/session/failure.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <string>

#include "core/base/error.h"
#include "google/rpc/error_details.pb.h"
#include "google/rpc/status.pb.h"

namespace sop::cli {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;
using testing::Pair;

absl::Status FromServer() {
  google::rpc::ErrorInfo cause;
  cause.set_reason("CONFLICT");
  (*cause.mutable_metadata())["store"] = "accounts";
  (*cause.mutable_metadata())["key"] = "alice";
  google::rpc::Status details;
  details.set_code(grpc::StatusCode::ABORTED);
  details.add_details()->PackFrom(cause);
  return StatusFromGrpc(
      {grpc::StatusCode::ABORTED, "changed\nmeanwhile", details.SerializeAsString()});
}

TEST(FailureTest, TheServersReasonAndMetadataAreKept) {
  const Failure failure = DescribeFailure(FromServer());
  EXPECT_EQ(failure.code, "ABORTED");
  EXPECT_EQ(failure.reason, "CONFLICT");
  EXPECT_THAT(failure.metadata, ElementsAre(Pair("key", "alice"), Pair("store", "accounts")));
  EXPECT_EQ(failure.exit_code, kExitRefused);
  EXPECT_EQ(ReasonIn(FromServer()), "CONFLICT");
}

TEST(FailureTest, TheTextIsOneLineInWordsAndSaysWhatToDo) {
  const std::string text = FailureText(DescribeFailure(FromServer()));
  EXPECT_THAT(text, testing::StartsWith("ABORTED / CONFLICT: changed\\nmeanwhile (key = alice, "
                                        "store = accounts). "));
  EXPECT_THAT(text, HasSubstr("Run it again"));
}

TEST(FailureTest, TheJsonHasEveryPart) {
  const Json json = FailureJson(DescribeFailure(FromServer()));
  EXPECT_EQ(json["code"], "ABORTED");
  EXPECT_EQ(json["reason"], "CONFLICT");
  EXPECT_EQ(json["message"], "changed\nmeanwhile");
  EXPECT_EQ(json["metadata"]["store"], "accounts");
}

TEST(FailureTest, OurOwnErrorsAreToldLikeTheServers) {
  const Failure failure =
      DescribeFailure(Error(Reason::kKeyNotFound, "key x is not there", {{"key", "x"}}));
  EXPECT_EQ(failure.code, "NOT_FOUND");
  EXPECT_EQ(failure.reason, "KEY_NOT_FOUND");
  EXPECT_THAT(failure.metadata, ElementsAre(Pair("key", "x")));
}

TEST(FailureTest, WrongUsageHasItsOwnExitCode) {
  EXPECT_EQ(DescribeFailure(UsageError("no such flag")).exit_code, kExitUsage);
}

TEST(FailureTest, AnAnswerWithoutDetailsKeepsItsCode) {
  const absl::Status status = StatusFromGrpc({grpc::StatusCode::UNAVAILABLE, "no connection"});
  EXPECT_EQ(status.code(), absl::StatusCode::kUnavailable);
  EXPECT_THAT(FailureText(DescribeFailure(status)), HasSubstr("Is the server running"));
  EXPECT_TRUE(StatusFromGrpc(grpc::Status::OK).ok());
}

}  // namespace
}  // namespace sop::cli
