#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "server/observe/log.h"
#include "server/observe/metrics.h"

namespace sop::observe {
namespace {

using ::testing::HasSubstr;
using ::testing::Not;

TEST(MetricsTest, CallsAreCountedByMethodAndCode) {
  Metrics metrics;
  MethodMetrics& get = metrics.ForMethod("sop.v1.BtreeService/Get");
  EXPECT_EQ(&get, &metrics.ForMethod("sop.v1.BtreeService/Get"));
  get.Finished({.took = absl::Milliseconds(3), .request_bytes = 10, .response_bytes = 20});
  get.Finished({.took = absl::Milliseconds(3), .request_bytes = 1, .response_bytes = 2});
  get.Finished({.code = absl::StatusCode::kNotFound, .took = absl::Seconds(1)});
  const std::string text = metrics.Text();
  EXPECT_THAT(text,
              HasSubstr("sop_requests_total{code=\"OK\",method=\"sop.v1.BtreeService/Get\"} 2"));
  EXPECT_THAT(text, HasSubstr("code=\"NOT_FOUND\",method=\"sop.v1.BtreeService/Get\"} 1"));
  EXPECT_THAT(text, HasSubstr("sop_request_bytes_total{method=\"sop.v1.BtreeService/Get\"} 11"));
  EXPECT_THAT(text, HasSubstr("sop_response_bytes_total{method=\"sop.v1.BtreeService/Get\"} 22"));
  EXPECT_THAT(text, HasSubstr("sop_request_seconds_count{method=\"sop.v1.BtreeService/Get\"} 3"));
}

TEST(MetricsTest, ForgottenDatabasesAreNotShown) {
  Metrics metrics;
  metrics.ForDatabase("words").operations->Increment();
  EXPECT_THAT(metrics.Text(), HasSubstr("sop_database_operations_total{database=\"words\"} 1"));
  metrics.ForgetDatabase("words");
  EXPECT_THAT(metrics.Text(), Not(HasSubstr("words")));
}

TEST(LogTest, TextLinesQuoteWhatIsNotPlain) {
  EXPECT_EQ(FormatFields(config::LogFormat::kText, "database opened",
                         {{"name", "a"}, {"folder", "/x y"}, {"empty", ""}, {"q", "a\"b\n"}}),
            "database opened name=a folder=\"/x y\" empty=\"\" q=\"a\\\"b\\u000a\"");
}

TEST(LogTest, JsonLinesHaveOneMemberPerField) {
  EXPECT_EQ(FormatFields(config::LogFormat::kJson, "database opened", {{"name", "a\\b"}}),
            "\"event\":\"database opened\",\"name\":\"a\\\\b\"");
}

}  // namespace
}  // namespace sop::observe
