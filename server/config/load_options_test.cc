#include "server/config/load_options.h"

#include <map>

#include "core/base/error.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace sop::config {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;

// LoadOptions over an environment and files that the test writes.
class LoadOptionsTest : public ::testing::Test {
 protected:
  absl::StatusOr<CommandLine> Load(const std::vector<std::string>& arguments) {
    Surroundings surroundings;
    surroundings.environment = [this](const std::string& name) -> std::optional<std::string> {
      const auto found = environment_.find(name);
      if (found == environment_.end()) return std::nullopt;
      return found->second;
    };
    surroundings.read_file = [this](const std::string& path) -> absl::StatusOr<std::string> {
      const auto found = files_.find(path);
      if (found == files_.end()) return Error(Reason::kInvalidArgument, "cannot be read");
      return found->second;
    };
    return LoadOptions(arguments, surroundings);
  }

  void ExpectRefused(const std::vector<std::string>& arguments, Reason reason,
                     const std::string& message) {
    const auto line = Load(arguments);
    ASSERT_FALSE(line.ok());
    EXPECT_EQ(ReasonOf(line.status()), reason);
    EXPECT_THAT(std::string(line.status().message()), HasSubstr(message));
  }

  std::map<std::string, std::string> environment_;
  std::map<std::string, std::string> files_;
};

TEST_F(LoadOptionsTest, DefaultsAreThoseOfTheManual) {
  const auto line = Load({});
  ASSERT_TRUE(line.ok()) << line.status();
  EXPECT_EQ(line->options.home_folder, "./sop-data");
  EXPECT_EQ(line->options.listen, "127.0.0.1:7373");
  EXPECT_EQ(line->options.http, "127.0.0.1:7374");
  EXPECT_EQ(line->options.memory_bytes, 512 << 20);
  EXPECT_GE(line->options.workers, 4);
  EXPECT_EQ(line->options.limits.transaction_idle, absl::Seconds(60));
  EXPECT_EQ(line->options.limits.feed_age, absl::Hours(24));
  EXPECT_EQ(line->options.limits.feed_bytes, 1 << 30);
}

TEST_F(LoadOptionsTest, FlagBeatsEnvironmentBeatsFileBeatsDefault) {
  files_["c.toml"] = "listen = \"127.0.0.1:1\"\nhttp = \"127.0.0.1:2\"\ndata = \"/from/file\"\n";
  environment_["SOPD_CONFIG"] = "c.toml";
  environment_["SOPD_LISTEN"] = "127.0.0.1:3";
  environment_["SOPD_HTTP"] = "127.0.0.1:4";
  const auto line = Load({"--listen", "127.0.0.1:5"});
  ASSERT_TRUE(line.ok()) << line.status();
  EXPECT_EQ(line->options.listen, "127.0.0.1:5");
  EXPECT_EQ(line->options.http, "127.0.0.1:4");
  EXPECT_EQ(line->options.home_folder, "/from/file");
}

TEST_F(LoadOptionsTest, ConfigFlagBeatsConfigEnvironment) {
  files_["a.toml"] = "data = \"a\"\n";
  environment_["SOPD_CONFIG"] = "missing.toml";
  const auto line = Load({"--config", "a.toml"});
  ASSERT_TRUE(line.ok()) << line.status();
  EXPECT_EQ(line->options.home_folder, "a");
}

TEST_F(LoadOptionsTest, RootsComeFromEverySource) {
  auto line = Load({"--stores-root", "/a", "--stores-root", "/b"});
  ASSERT_TRUE(line.ok()) << line.status();
  EXPECT_THAT(line->options.stores_roots, ElementsAre("/a", "/b"));
  environment_["SOPD_STORES_ROOT"] = "/c:/d";
  line = Load({});
  ASSERT_TRUE(line.ok()) << line.status();
  EXPECT_THAT(line->options.stores_roots, ElementsAre("/c", "/d"));
  environment_.clear();
  files_["f"] = "stores-root = [\"/e\", \"/f\"]\n";
  line = Load({"--config", "f"});
  ASSERT_TRUE(line.ok()) << line.status();
  EXPECT_THAT(line->options.stores_roots, ElementsAre("/e", "/f"));
}

TEST_F(LoadOptionsTest, SizesAndTimesTakeUnits) {
  const auto line = Load({"--memory", "2GiB", "--transaction-idle", "90s", "--drain", "1min"});
  ASSERT_TRUE(line.ok()) << line.status();
  EXPECT_EQ(line->options.memory_bytes, int64_t{2} << 30);
  EXPECT_EQ(line->options.limits.transaction_idle, absl::Seconds(90));
  EXPECT_EQ(line->options.drain, absl::Minutes(1));
  const auto feed = Load({"--feed-bytes", "1MiB", "--feed-age", "2160h"});
  ASSERT_TRUE(feed.ok()) << feed.status();
  EXPECT_EQ(feed->options.limits.feed_bytes, 1 << 20);
  EXPECT_EQ(feed->options.limits.feed_age, absl::Hours(2160));
}

TEST_F(LoadOptionsTest, BadValuesAreNamedWithTheirSource) {
  ExpectRefused({"--memory", "1MiB"}, Reason::kInvalidArgument, "option --memory: \"1MiB\"");
  ExpectRefused({"--listen", "nowhere"}, Reason::kInvalidArgument, "HOST:PORT");
  ExpectRefused({"--listen", "h:70000"}, Reason::kInvalidArgument, "HOST:PORT");
  ExpectRefused({"--transaction-idle", "2h"}, Reason::kInvalidArgument, "1h");
  ExpectRefused({"--feed-bytes", "1048575"}, Reason::kInvalidArgument, "1MiB");
  ExpectRefused({"--feed-bytes", "1025GiB"}, Reason::kInvalidArgument, "1024GiB");
  ExpectRefused({"--feed-age", "999ms"}, Reason::kInvalidArgument, "1s");
  ExpectRefused({"--feed-age", "2161h"}, Reason::kInvalidArgument, "2160h");
  ExpectRefused({"--no-such-flag"}, Reason::kInvalidArgument, "no-such-flag");
  ExpectRefused({"--config", "none"}, Reason::kInvalidArgument, "config file none");
  environment_["SOPD_WORKERS"] = "many";
  ExpectRefused({}, Reason::kInvalidArgument, "environment SOPD_WORKERS: \"many\"");
}

TEST_F(LoadOptionsTest, BadFilesAreNamed) {
  files_["unknown"] = "lisen = \"127.0.0.1:1\"\n";
  ExpectRefused({"--config", "unknown"}, Reason::kInvalidArgument, "lisen does not exist");
  files_["broken"] = "data = \"x\"\nlisten = \n";
  ExpectRefused({"--config", "broken"}, Reason::kInvalidArgument, "line 2");
  files_["typed"] = "data = 1.5\n";
  ExpectRefused({"--config", "typed"}, Reason::kInvalidArgument, "option data");
}

TEST_F(LoadOptionsTest, OtherNetworksNeedTheLongFlag) {
  ExpectRefused({"--listen", "0.0.0.0:7373"}, Reason::kPermissionDenied, "0.0.0.0:7373");
  ExpectRefused({"--http", "[::]:7374"}, Reason::kPermissionDenied, "[::]:7374");
  const auto line =
      Load({"--listen", "0.0.0.0:1", "--insecure-listen-on-all-networks-without-authentication"});
  ASSERT_TRUE(line.ok()) << line.status();
  EXPECT_EQ(line->options.listen, "0.0.0.0:1");
}

TEST_F(LoadOptionsTest, ClusterOptionsAreTypedUnimplemented) {
  ExpectRefused({"--redis", "redis://h"}, Reason::kUnimplemented, "cluster mode");
  files_["f"] = "redis = \"redis://h\"\n";
  ExpectRefused({"--config", "f"}, Reason::kUnimplemented, "cluster mode");
}

TEST_F(LoadOptionsTest, HelpNamesEveryOption) {
  const auto line = Load({"--help"});
  ASSERT_TRUE(line.ok()) << line.status();
  ASSERT_TRUE(line->text.has_value());
  for (const char* name : {"--data", "--listen", "--http", "--stores-root", "--memory"}) {
    EXPECT_THAT(*line->text, HasSubstr(name));
  }
}

TEST(IsLoopbackTest, KnowsAddressesFromNames) {
  EXPECT_TRUE(IsLoopback("127.0.0.1:1"));
  EXPECT_TRUE(IsLoopback("127.1.2.3:1"));
  EXPECT_TRUE(IsLoopback("localhost:1"));
  EXPECT_TRUE(IsLoopback("[::1]:1"));
  EXPECT_FALSE(IsLoopback("127.0.0.1.example.com:1"));
  EXPECT_FALSE(IsLoopback("10.0.0.1:1"));
  EXPECT_FALSE(IsLoopback(":1"));
}

}  // namespace
}  // namespace sop::config
