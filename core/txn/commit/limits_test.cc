// Limits of a transaction: one less and the limit itself are taken, one more is refused.

#include <string>

#include <fmt/format.h>

#include "core/base/error.h"
#include "core/txn/engine_fixture_test.h"

namespace sop::txn {
namespace {

class LimitsTest : public EngineFixture {
 protected:
  static std::string Detail(const absl::Status& status, std::string_view name) {
    for (const auto& detail : DetailsOf(status)) {
      if (detail.first == name) return detail.second;
    }
    return "";
  }
};

TEST_F(LimitsTest, WritesUpToTheLimitAreTaken) {
  options_.limits.transaction_writes = 10;
  Reopen();
  for (const int writes : {9, 10, 11}) {
    auto writer = Begin();
    absl::Status status;
    for (int i = 0; i < writes; ++i) {
      status = Put(*writer, fmt::format("{}-{:02}", writes, i), "v");
      if (i < 10) ASSERT_TRUE(status.ok()) << status;
    }
    EXPECT_EQ(status.ok(), writes <= 10);
    if (!status.ok()) {
      EXPECT_EQ(ReasonOf(status), Reason::kLimitExceeded);
      EXPECT_EQ(Detail(status, "limit"), "10");
    }
    EXPECT_TRUE(Commit(std::move(writer)).ok()) << "it stays usable";
  }
}

TEST_F(LimitsTest, BytesUpToTheLimitAreTaken) {
  auto measured = Begin();
  ASSERT_TRUE(Put(*measured, "key", "").ok());
  const uint64_t beside = measured->write_bytes();
  options_.limits.transaction_bytes = 1'000;
  measured.reset();
  Reopen();
  for (const uint64_t bytes : {999, 1'000, 1'001}) {
    auto writer = Begin();
    const absl::Status status = Put(*writer, "key", std::string(bytes - beside, 'v'));
    EXPECT_EQ(status.ok(), bytes <= 1'000) << bytes;
    if (!status.ok()) {
      EXPECT_EQ(ReasonOf(status), Reason::kLimitExceeded);
      EXPECT_EQ(Detail(status, "limit"), "1000");
    } else {
      EXPECT_EQ(writer->write_bytes(), bytes);
    }
    EXPECT_TRUE(Commit(std::move(writer)).ok());
  }
}

}  // namespace
}  // namespace sop::txn
