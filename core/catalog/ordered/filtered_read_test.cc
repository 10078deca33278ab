#include <fmt/format.h>
#include <gtest/gtest.h>

#include <map>
#include <string>
#include <vector>

#include "core/btree/node/apply.h"
#include "core/catalog/database_fixture_test.h"
#include "core/catalog/ordered/rank_choice.h"
#include "storage/memory/memory_storage.h"

namespace sop::catalog {
namespace {

using btree::Scalar;
using Op = FilterOperator;

// A store of 3 regions with 200 people each: {"n": number, "odd": ...}; the key's `vip` rides on.
class FilteredReadTest : public testing::Test {
 protected:
  static constexpr int kPeople = 200;

  FilteredReadTest()
      : database_(memory::MemoryStorage::Create(btree::Apply, base::SystemClock(),
                                                base::SystemRandom())) {
    GivenOptions options;
    options.index =
        btree::IndexSpecification{{"region"}, {"number", btree::Direction::kDescending}};
    options.value_placement = ValuePlacement::kBig;
    EXPECT_TRUE(database_.Create("people", options).ok());
    stores_ = database_.Begin();
    OrderedStore people = Open(*stores_);
    std::vector<WriteItem> items;
    std::vector<std::string> values;
    values.reserve(3 * kPeople);
    for (const char* region : {"AT", "JP", "US"}) {
      for (int64_t number = 0; number < kPeople; ++number) {
        values.push_back(fmt::format("{{\"n\":{},\"odd\":{}}}", number, number % 2 == 1));
        items.push_back({.key = Person(region, number, number % 10 == 0),
                         .value = values.back(),
                         .format = btree::ValueFormat::kJson});
      }
    }
    EXPECT_TRUE(people.Add(items, Require::kAll).ok());
    Commit();
  }

  static btree::Key Person(const char* region, int64_t number, bool vip) {
    return btree::Record{{{"region", std::string(region)}, {"number", number}, {"vip", vip}}};
  }
  static OrderedStore Open(StoreSet& stores) { return OrderedStore(**stores.Open("people")); }
  void Commit() {
    const absl::Status status = database_.Commit(std::move(stores_));
    EXPECT_TRUE(status.ok()) << status;
    stores_ = database_.Begin();
  }

  static Filter On(const char* field, Op op, Scalar operand) {
    Filter filter;
    filter.kind = Filter::Kind::kCondition;
    filter.condition = {{FieldSource::kKeyOrValue, {field}}, op, {std::move(operand)}};
    return filter;
  }
  static Filter All(std::vector<Filter> parts) {
    Filter filter;
    filter.parts = std::move(parts);
    return filter;
  }
  static ScanRequest Reading(OrderedStore& store, const Filter& filter) {
    ScanRequest request;
    request.filter = *BoundFilter::Bind(filter, *store.schema());
    request.content = ItemContent::kKeys;
    return request;
  }
  // "AT7" for every item, in pages of `page` items at most that look at `examined`.
  static std::vector<std::string> Pages(OrderedStore& store, ScanRequest request, uint64_t page,
                                        uint64_t examined) {
    std::vector<std::string> names;
    for (;;) {
      const auto sink = [&](const btree::PackedItem& item) {
        const auto record =
            std::get<btree::Record>(*store.schema()->Decode(item.key, item.ride_on));
        names.push_back(fmt::format("{}{}", std::get<std::string>(*record.Find("region")),
                                    std::get<int64_t>(*record.Find("number"))));
        return true;
      };
      const auto end = store.ReadPage(request, {.max_items = page, .max_examined = examined}, sink);
      EXPECT_TRUE(end.ok()) << end.status();
      if (!end.ok() || end->end) return names;
      request.start = PageToken{end->next_page_token};
    }
  }

  TestDatabase database_;
  std::unique_ptr<StoreSet> stores_;
};

TEST_F(FilteredReadTest, PagesGiveWhatTheFilterLetsThroughBothWays) {
  OrderedStore people = Open(*stores_);
  ScanRequest request =
      Reading(people, All({On("region", Op::kGreaterOrEqual, std::string("JP")),
                           On("odd", Op::kEqual, true), On("number", Op::kLess, int64_t{6})}));
  const std::vector<std::string> expected = {"JP5", "JP3", "JP1", "US5", "US3", "US1"};
  const std::vector<std::string> reversed(expected.rbegin(), expected.rend());
  for (const uint64_t page : {1, 2, 100}) {
    for (const uint64_t examined : {1, 7, 10'000}) {
      request.direction = ScanDirection::kForward;
      EXPECT_EQ(Pages(people, request, page, examined), expected) << page << " " << examined;
      request.direction = ScanDirection::kBackward;
      EXPECT_EQ(Pages(people, request, page, examined), reversed) << page << " " << examined;
    }
  }
}

TEST_F(FilteredReadTest, OffsetsCountWhatIsLetThrough) {
  OrderedStore people = Open(*stores_);
  // One by which the range says all, and one that looks at items.
  for (const Filter& filter :
       {All({On("region", Op::kEqual, std::string("JP")), On("number", Op::kLess, int64_t{3})}),
        All({On("region", Op::kEqual, std::string("JP")), On("n", Op::kLess, int64_t{3})})}) {
    ScanRequest request = Reading(people, filter);
    request.start = Offset{1};
    EXPECT_EQ(Pages(people, request, 100, 1000), (std::vector<std::string>{"JP1", "JP0"}));
    request.direction = ScanDirection::kBackward;
    EXPECT_EQ(Pages(people, request, 100, 1000), (std::vector<std::string>{"JP1", "JP2"}));
    request.start = Offset{3};
    EXPECT_TRUE(Pages(people, request, 100, 1000).empty());
  }
}

TEST_F(FilteredReadTest, PackedScansSkipToo) {
  OrderedStore people = Open(*stores_);
  const auto request = Reading(people, On("vip", Op::kEqual, true));
  const auto scan = people.Scan(request);
  ASSERT_TRUE(scan.ok());
  btree::PackedPageBuilder page(btree::PageColumns::kKeys, {});
  const auto end = (*scan)->FillPacked({}, &page);
  ASSERT_TRUE(end.ok());
  EXPECT_EQ(end->items, 60u);
  EXPECT_EQ(page.count(), 60u);
  EXPECT_TRUE(end->end);
}

TEST_F(FilteredReadTest, CountsAreThoseOfTheItems) {
  OrderedStore people = Open(*stores_);
  const auto count = [&](const Filter& filter) {
    return *people.CountMatching(Reading(people, filter));
  };
  EXPECT_EQ(count(Filter()), 600u);
  EXPECT_EQ(count(On("region", Op::kEqual, std::string("US"))), 200u);
  EXPECT_EQ(count(On("region", Op::kGreater, std::string("AT"))), 400u);
  EXPECT_EQ(count(On("odd", Op::kEqual, true)), 300u);
  EXPECT_EQ(count(On("number", Op::kLess, int64_t{10})), 30u);
  EXPECT_EQ(count(On("nothing", Op::kExists, true)), 0u);
}

TEST_F(FilteredReadTest, ARangeThatTheFilterMakesIsAllThatIsTracked) {
  // Reads the filter in one transaction, changes an item in another, and writes in the first.
  const auto commits_after = [&](const Filter& filter, const btree::Key& changed, Op how) {
    auto reading = database_.Begin();
    OrderedStore people = Open(*reading);
    Pages(people, Reading(people, filter), 1000, 1000);
    auto writing = database_.Begin();
    OrderedStore others = Open(*writing);
    const WriteItem update{.key = changed, .value = "{}", .format = btree::ValueFormat::kJson};
    const WriteItem removal{.key = changed};
    EXPECT_TRUE(how == Op::kEqual ? others.Update({&update, 1}, Require::kAll).ok()
                                  : others.Remove({&removal, 1}, Require::kAll).ok());
    EXPECT_TRUE(database_.Commit(std::move(writing)).ok());
    const WriteItem own{.key = Person("ZZ", static_cast<int64_t>(how), false), .value = "1"};
    EXPECT_TRUE(people.Upsert({&own, 1}).ok());
    return database_.Commit(std::move(reading)).ok();
  };
  const Filter us = On("region", Op::kEqual, std::string("US"));
  EXPECT_TRUE(commits_after(us, Person("AT", 1, false), Op::kNotEqual));
  EXPECT_FALSE(commits_after(us, Person("US", 1, false), Op::kNotEqual));
  EXPECT_TRUE(commits_after(us, Person("US", 3, false), Op::kEqual));
  // Looked at and not let through, with its value.
  EXPECT_FALSE(
      commits_after(All({us, On("n", Op::kLess, int64_t{0})}), Person("US", 5, false), Op::kEqual));
}

TEST_F(FilteredReadTest, ANobodyWantedReadEnds) {
  OrderedStore people = Open(*stores_);
  int asked = 0;
  ScanRequest request = Reading(people, On("n", Op::kLess, int64_t{0}));
  for (int i = 0; i < 10; ++i) {
    std::vector<WriteItem> more;
    for (int64_t number = 0; number < kPeople; ++number) {
      more.push_back({.key = Person("XX", 1000 * (i + 1) + number, false), .value = "{}"});
    }
    ASSERT_TRUE(people.Add(more, Require::kAll).ok());
  }
  request.still_wanted = [&] {
    ++asked;
    return Error(Reason::kCancelled, "nobody waits");
  };
  EXPECT_EQ(ReasonOf(people.CountMatching(request).status()), Reason::kCancelled);
  EXPECT_EQ(asked, 1);
}

TEST_F(FilteredReadTest, SamplesAreOfTheRangeInOrderAndNoneTwice) {
  OrderedStore people = Open(*stores_);
  SampleRequest request;
  request.range = *people.schema()->EncodePrefix(btree::Record{{{"region", std::string("JP")}}},
                                                 btree::PrefixMatch::kWholeFields);
  request.count = 50;
  request.seed = 7;
  const auto sample = [&] {
    std::vector<std::string> keys;
    const auto size = people.Sample(request, [&](const btree::PackedItem& item) {
      keys.emplace_back(item.key);
      EXPECT_TRUE(item.value.starts_with("{\"n\":")) << item.value;
      return true;
    });
    EXPECT_TRUE(size.ok()) << size.status();
    EXPECT_EQ(*size, 200u);
    return keys;
  };
  const std::vector<std::string> keys = sample();
  EXPECT_EQ(keys.size(), 50u);
  EXPECT_TRUE(std::is_sorted(keys.begin(), keys.end()));
  EXPECT_EQ(std::adjacent_find(keys.begin(), keys.end()), keys.end());
  for (const std::string& key : keys) EXPECT_TRUE(request.range.Contains(key));
  EXPECT_EQ(sample(), keys);
  request.seed = 8;
  EXPECT_NE(sample(), keys);
  request.count = 1000;
  EXPECT_EQ(sample().size(), 200u);
}

TEST_F(FilteredReadTest, SamplesSeeOwnWrites) {
  OrderedStore people = Open(*stores_);
  std::vector<WriteItem> gone;
  for (int64_t number = 0; number < kPeople; ++number) {
    if (number != 42) gone.push_back({.key = Person("JP", number, false)});
  }
  ASSERT_TRUE(people.Remove(gone, Require::kAll).ok());
  SampleRequest request;
  request.range = *people.schema()->EncodePrefix(btree::Record{{{"region", std::string("JP")}}},
                                                 btree::PrefixMatch::kWholeFields);
  request.count = 3;
  int items = 0;
  const auto size = people.Sample(request, [&](const btree::PackedItem& item) {
    EXPECT_EQ(item.value, "{\"n\":42,\"odd\":false}");
    return ++items > 0;
  });
  EXPECT_EQ(*size, 1u);
  EXPECT_EQ(items, 1);
}

// Pearson's chi-squared over all sets of 2 of 6, and over single numbers.
TEST(RankChoiceTest, EverySetIsEquallyLikely) {
  std::map<std::vector<uint64_t>, int> sets;
  constexpr int kDraws = 30'000;
  for (int seed = 0; seed < kDraws; ++seed) {
    ++sets[ChooseRanks(6, 2, static_cast<uint64_t>(seed) * 0x9e3779b97f4a7c15)];
  }
  ASSERT_EQ(sets.size(), 15u);
  double chi_squared = 0;
  const double expected = kDraws / 15.0;
  for (const auto& [ranks, drawn] : sets) {
    chi_squared += (drawn - expected) * (drawn - expected) / expected;
  }
  // 14 degrees of freedom: above 36.1 once in 1,000 runs; the seeds are fixed.
  EXPECT_LT(chi_squared, 36.1);
}

TEST(RankChoiceTest, EdgesAreNothingAndEverything) {
  EXPECT_TRUE(ChooseRanks(0, 5, 1).empty());
  EXPECT_TRUE(ChooseRanks(5, 0, 1).empty());
  EXPECT_EQ(ChooseRanks(3, 9, 1), (std::vector<uint64_t>{0, 1, 2}));
  const auto few = ChooseRanks(uint64_t{1} << 40, 1000, 5);
  EXPECT_EQ(few.size(), 1000u);
  EXPECT_EQ(std::adjacent_find(few.begin(), few.end()), few.end());
}

TEST_F(FilteredReadTest, GapsBetweenTheValuesOfInAreJumpedOver) {
  OrderedStore people = Open(*stores_);
  Filter numbers;
  numbers.kind = Filter::Kind::kCondition;
  numbers.condition = {{FieldSource::kKey, {"number"}},
                       Op::kIn,
                       {Scalar(int64_t{190}), Scalar(int64_t{3}), Scalar(int64_t{77}),
                        Scalar(int64_t{3}), Scalar(int64_t{900}), Literal()}};
  const Filter region = On("region", Op::kEqual, std::string("JP"));
  ScanRequest request = Reading(people, All({region, numbers}));
  const std::vector<std::string> expected = {"JP190", "JP77", "JP3"};
  const std::vector<std::string> reversed(expected.rbegin(), expected.rend());
  EXPECT_EQ(people.CountMatching(request).value(), 3U);
  uint64_t most = 0;
  for (const ScanDirection direction : {ScanDirection::kForward, ScanDirection::kBackward}) {
    const bool forward = direction == ScanDirection::kForward;
    request.direction = direction;
    request.start = {};
    EXPECT_EQ(Pages(people, request, 1, 1), forward ? expected : reversed);
    // Three are looked at, not the 188 between them.
    const auto all = people.ReadPage(request, {.max_examined = 3},
                                     [&](const btree::PackedItem&) { return ++most > 0; });
    EXPECT_TRUE(all->end && all->items == 3) << all->items;
    request.start = Offset{2};
    EXPECT_EQ(Pages(people, request, 9, 9), std::vector<std::string>{forward ? "JP3" : "JP190"});
  }
  EXPECT_EQ(most, 6U);
  // With another condition beside it, what is let through is counted.
  request = Reading(people, All({region, numbers, On("odd", Op::kEqual, true)}));
  EXPECT_EQ(people.CountMatching(request).value(), 2U);
  EXPECT_EQ(Pages(people, request, 1, 1), (std::vector<std::string>{"JP77", "JP3"}));
  request = Reading(people, All({region, numbers, On("number", Op::kLess, int64_t{100})}));
  EXPECT_EQ(people.CountMatching(request).value(), 2U);
  request = Reading(people, All({region, numbers, On("number", Op::kGreater, int64_t{190})}));
  EXPECT_EQ(people.CountMatching(request).value(), 0U);
  EXPECT_EQ(Pages(people, request, 9, 9), std::vector<std::string>());
}

TEST_F(FilteredReadTest, WhatIsJumpedOverIsNoConflict) {
  const auto in = [](std::vector<Literal> operands) {
    Filter filter;
    filter.kind = Filter::Kind::kCondition;
    filter.condition = {{FieldSource::kKey, {"region"}}, Op::kIn, std::move(operands)};
    return filter;
  };
  // At the end of its region, and at the beginning.
  for (const auto& [written, number] : {std::pair{"JP", int64_t{-5}}, {"US", int64_t{100'000}}}) {
    auto reader = database_.Begin();
    OrderedStore people = Open(*reader);
    const ScanRequest request =
        Reading(people, All({in({Scalar(std::string("AT")), Scalar(std::string("US"))}),
                             On("number", Op::kEqual, int64_t{199})}));
    EXPECT_EQ(Pages(people, request, 100, 1'000'000).size(), 2U);
    const WriteItem own{.key = Person("ZZ", written[0], false), .value = "1"};
    EXPECT_TRUE(people.Upsert({&own, 1}).ok());
    auto writer = database_.Begin();
    const WriteItem other{.key = Person(written, number, false), .value = "1"};
    EXPECT_TRUE(Open(*writer).Upsert({&other, 1}).ok());
    EXPECT_TRUE(database_.Commit(std::move(writer)).ok());
    const absl::Status status = database_.Commit(std::move(reader));
    EXPECT_EQ(status.ok(), written == std::string_view("JP")) << written << " " << status;
  }
}

}  // namespace
}  // namespace sop::catalog
