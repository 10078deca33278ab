#include "server/http/http_face.h"

#include <atomic>

#include "absl/status/status.h"
#include "fmt/format.h"
#include "gtest/gtest.h"
#include "httplib.h"

namespace sop::http {
namespace {

TEST(HttpFaceTest, ServesMetricsAndHealth) {
  std::atomic<bool> healthy = true;
  auto face = HttpFace::Open({.address = "127.0.0.1:0",
                              .metrics = [] { return std::string("sop_up 1\n"); },
                              .healthy = [&] { return healthy.load(); }});
  ASSERT_TRUE(face.ok()) << face.status();
  httplib::Client client("127.0.0.1", (*face)->port());
  auto metrics = client.Get("/metrics");
  ASSERT_TRUE(metrics);
  EXPECT_EQ(metrics->status, 200);
  EXPECT_EQ(metrics->body, "sop_up 1\n");
  EXPECT_EQ(client.Get("/healthz")->status, 200);
  healthy = false;
  EXPECT_EQ(client.Get("/healthz")->status, 503);
  EXPECT_EQ(client.Get("/../etc/passwd")->status, 404);
}

TEST(HttpFaceTest, TakenPortIsUnavailable) {
  const HttpFace::Options options = {.address = "127.0.0.1:0",
                                     .metrics = [] { return std::string(); },
                                     .healthy = [] { return true; }};
  auto first = HttpFace::Open(options);
  ASSERT_TRUE(first.ok());
  HttpFace::Options same = options;
  same.address = fmt::format("127.0.0.1:{}", (*first)->port());
  EXPECT_EQ(HttpFace::Open(same).status().code(), absl::StatusCode::kUnavailable);
}

}  // namespace
}  // namespace sop::http
