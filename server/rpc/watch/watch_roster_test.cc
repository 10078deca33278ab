#include "server/rpc/watch/watch_roster.h"

#include <string>

#include <gtest/gtest.h>

#include "core/base/error.h"

namespace sop::rpc {
namespace {

class FakeWatcher : public WatchRoster::Watcher {
 public:
  explicit FakeWatcher(std::string database) : database_(std::move(database)) {}
  void Tick(absl::Duration now) override { ticked_at = now; }
  void Stop(const absl::Status& why) override { stopped.Update(why); }
  std::string_view database_name() const override { return database_; }

  absl::Duration ticked_at;
  absl::Status stopped;

 private:
  const std::string database_;
};

TEST(WatchRosterTest, ThoseThatAreInAreReminded) {
  WatchRoster roster;
  FakeWatcher a("a");
  FakeWatcher b("b");
  ASSERT_TRUE(roster.Enter(a).ok());
  ASSERT_TRUE(roster.Enter(b).ok());
  EXPECT_EQ(roster.size(), 2);
  roster.Leave(b);
  roster.Tick(absl::Seconds(5));
  EXPECT_EQ(a.ticked_at, absl::Seconds(5));
  EXPECT_EQ(b.ticked_at, absl::ZeroDuration());
}

TEST(WatchRosterTest, ADatabaseThatIsDeletedEndsItsOwn) {
  WatchRoster roster;
  FakeWatcher a("a");
  FakeWatcher b("b");
  ASSERT_TRUE(roster.Enter(a).ok());
  ASSERT_TRUE(roster.Enter(b).ok());
  roster.EndAll("a");
  EXPECT_EQ(ReasonOf(a.stopped), Reason::kUnavailable);
  EXPECT_TRUE(b.stopped.ok());
}

TEST(WatchRosterTest, AServerThatStopsEndsAllAndTakesNoMore) {
  WatchRoster roster;
  FakeWatcher a("a");
  FakeWatcher b("b");
  ASSERT_TRUE(roster.Enter(a).ok());
  roster.Drain();
  EXPECT_EQ(ReasonOf(a.stopped), Reason::kUnavailable);
  EXPECT_EQ(ReasonOf(roster.Enter(b)), Reason::kUnavailable);
  EXPECT_EQ(roster.size(), 1);
}

}  // namespace
}  // namespace sop::rpc
