#include "core/catalog/store_feed.h"

#include <string>
#include <vector>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "core/btree/node/apply.h"
#include "core/catalog/database_fixture_test.h"
#include "storage/memory/memory_storage.h"

namespace sop::catalog {
namespace {

using testing::ElementsAre;
using testing::IsEmpty;

btree::Key Text(std::string_view text) { return btree::Scalar(std::string(text)); }

class StoreFeedTest : public testing::Test {
 protected:
  StoreFeedTest()
      : database_(memory::MemoryStorage::Create(btree::Apply, base::SystemClock(),
                                                base::SystemRandom())) {
    EXPECT_TRUE(database_.Create("s", {.feed = Feed::kOn}).ok());
  }

  std::unique_ptr<StoreFeed> Open(const FeedStart& start = FeedOldest{}) {
    auto feed = StoreFeed::Open(*database_, {.store = "s", .start = start, .range = nullptr});
    EXPECT_TRUE(feed.ok()) << feed.status();
    return feed.ok() ? *std::move(feed) : nullptr;
  }
  Reason ReasonToRefuse(const std::string& store, const FeedStart& start) {
    return ReasonOf(
        StoreFeed::Open(*database_, {.store = store, .start = start, .range = nullptr}).status());
  }
  // "+a=1" for each change, "!" for the end of the store; at most so many.
  std::vector<std::string> Read(StoreFeed& feed, size_t most = 100) {
    std::vector<std::string> seen;
    const auto sink = [&](const StoreChange& change) {
      if (seen.size() == most) return false;
      std::string text(1, " +*-~!"[static_cast<size_t>(change.kind)]);
      if (change.kind != txn::FeedKind::kStoreRemoved) {
        text += Printable(*feed.schema()->Decode(change.item.key, change.item.ride_on));
        if (change.has_value == txn::FeedValue::kWhole)
          text += fmt::format("={}", change.item.value);
      }
      positions_.push_back(change.position);
      seen.push_back(std::move(text));
      return true;
    };
    const auto read = feed.Read(UINT64_MAX, sink);
    if (!read.ok()) seen.push_back(std::string(ReasonName(ReasonOf(read.status()))));
    if (read.ok()) state_ = *read;
    return seen;
  }
  absl::Status Remove(std::string_view store) {
    auto stores = database_.Begin();
    const absl::Status removed = stores->Remove(store);
    return removed.ok() ? database_.Commit(std::move(stores)) : removed;
  }

  TestDatabase database_;
  std::vector<std::string> positions_;  // of what was read
  FeedState state_ = FeedState::kMore;
};

TEST_F(StoreFeedTest, ItBeginsWhereItIsTold) {
  ASSERT_TRUE(database_.Put("s", Text("a"), "1").ok());
  const auto now = Open(FeedNow{});
  const auto oldest = Open();
  EXPECT_THAT(Read(*now), IsEmpty());
  EXPECT_EQ(state_, FeedState::kCaughtUp);
  ASSERT_TRUE(database_.Put("s", Text("b"), "2").ok());
  ASSERT_TRUE(database_.Put("s", Text("a"), "3").ok());
  EXPECT_THAT(Read(*now), ElementsAre("+b=2", "*a=3"));
  EXPECT_THAT(Read(*oldest, 2), ElementsAre("+a=1", "+b=2"));
  EXPECT_EQ(state_, FeedState::kMore);
  const std::string position = oldest->position();
  EXPECT_THAT(Read(*oldest), ElementsAre("*a=3"));
  EXPECT_THAT(Read(*Open(FeedFrom{position})), ElementsAre("*a=3"));
  EXPECT_EQ(oldest->reported(), database_->published());
}

TEST_F(StoreFeedTest, EveryChangeHasAPositionThatGoesOnBehindIt) {
  auto stores = database_.Begin();
  OrderedStore store(**stores->Open("s"));
  std::vector<WriteItem> items;
  for (const char* const key : {"a", "b", "c", "d"})
    items.push_back({.key = Text(key), .value = "v"});
  ASSERT_TRUE(store.Upsert(items).ok());
  ASSERT_TRUE(database_.Commit(std::move(stores)).ok());
  ASSERT_TRUE(database_.Put("s", Text("e"), "v").ok());
  const std::vector<std::string> all = Read(*Open());
  ASSERT_EQ(all.size(), 5);
  const std::vector<std::string> positions = positions_;
  for (size_t i = 0; i < all.size(); ++i) {
    EXPECT_EQ(Read(*Open(FeedFrom{positions[i]})),
              std::vector<std::string>(all.begin() + static_cast<int>(i) + 1, all.end()));
  }
}

TEST_F(StoreFeedTest, RangesAreOfTheKeysAsTheStoreHasThem) {
  FeedOptions options{.store = "s", .start = FeedOldest{}, .range = [](const auto& schema) {
                        return schema.EncodeRange(btree::KeyBound{Text("b")},
                                                  btree::KeyBound{Text("c")});
                      }};
  const auto feed = StoreFeed::Open(*database_, options).value();
  for (const char* const key : {"a", "b", "c", "d"}) {
    ASSERT_TRUE(database_.Put("s", Text(key), "v").ok());
  }
  EXPECT_THAT(Read(*feed), ElementsAre("+b=v", "+c=v"));
  EXPECT_EQ(feed->reported(), database_->published());
}

TEST_F(StoreFeedTest, TheEndOfTheStoreIsTheLastChangeWhoeverResumes) {
  const auto live = Open();
  const std::string start = live->position();
  ASSERT_TRUE(database_.Put("s", Text("a"), "1").ok());
  EXPECT_THAT(Read(*live), ElementsAre("+a=1"));
  ASSERT_TRUE(database_.Put("s", Text("b"), "2").ok());
  ASSERT_TRUE(Remove("s").ok());
  ASSERT_TRUE(database_.Create("s", {.feed = Feed::kOn}).ok());
  ASSERT_TRUE(database_.Put("s", Text("other"), "3").ok());
  EXPECT_THAT(Read(*live), ElementsAre("+b=2", "!"));
  EXPECT_EQ(state_, FeedState::kEnded);
  EXPECT_THAT(Read(*live), IsEmpty());
  EXPECT_EQ(state_, FeedState::kEnded);
  // One that was away meanwhile is told the same, one that begins follows the new store.
  EXPECT_THAT(Read(*Open(FeedFrom{start}), 2), ElementsAre("+a=1", "+b=2"));
  EXPECT_THAT(Read(*Open(FeedFrom{start})), ElementsAre("+a=1", "+b=2", "!"));
  EXPECT_THAT(Read(*Open()), ElementsAre("+other=3"));
  EXPECT_EQ(ReasonToRefuse("s", FeedFrom{positions_.back()}), Reason::kUnspecified);
  EXPECT_EQ(ReasonToRefuse("s", FeedFrom{live->position()}), Reason::kPositionNotKept);
}

TEST_F(StoreFeedTest, WhatCannotBeFollowedIsRefused) {
  ASSERT_TRUE(database_.Create("silent").ok());
  EXPECT_EQ(ReasonToRefuse("silent", FeedNow{}), Reason::kFeedOff);
  EXPECT_EQ(ReasonToRefuse("none", FeedNow{}), Reason::kStoreNotFound);
  EXPECT_EQ(ReasonToRefuse("s", FeedFrom{"position"}), Reason::kInvalidArgument);
  const std::string position = Open()->position();
  EXPECT_EQ(ReasonToRefuse("silent", FeedFrom{position}), Reason::kPositionNotKept);
  EXPECT_EQ(ReasonToRefuse("none", FeedFrom{position}), Reason::kPositionNotKept);
  TestDatabase other(
      memory::MemoryStorage::Create(btree::Apply, base::SystemClock(), base::SystemRandom()));
  ASSERT_TRUE(other.Create("s", {.feed = Feed::kOn}).ok());
  EXPECT_EQ(ReasonOf(StoreFeed::Open(*other,
                                     {.store = "s", .start = FeedFrom{position}, .range = nullptr})
                         .status()),
            Reason::kPositionNotKept);
}

TEST_F(StoreFeedTest, TheOptionIsComparedAndStored) {
  auto stores = database_.Begin();
  EXPECT_EQ(ReasonOf(stores->Create("s", {.options = {.feed = Feed::kOff}}).status()),
            Reason::kOptionsDiffer);
  EXPECT_TRUE(stores->Create("s", {}).ok());
  EXPECT_EQ(ParseStoreEntry(Serialize((*stores->Open("s"))->entry()))->options.feed, Feed::kOn);
}

}  // namespace
}  // namespace sop::catalog
