#include "core/catalog/filter/filter.h"

#include <gtest/gtest.h>

#include <string>
#include <utility>
#include <vector>

#include "core/base/error.h"
#include "core/catalog/filter/bound_filter.h"

namespace sop::catalog {
namespace {

using btree::Scalar;
using btree::ScalarType;
using Op = FilterOperator;

btree::KeySchema People() {
  return *btree::KeySchema::ForRecord({{"region", ScalarType::kString},
                                       {"age", ScalarType::kInt64},
                                       {"score", ScalarType::kDouble},
                                       {"active", ScalarType::kBool},
                                       {"id", ScalarType::kUuid}},
                                      {{"region"}, {"age", btree::Direction::kDescending}});
}

Filter On(FieldPath field, Op op, std::vector<Literal> operands) {
  Filter filter;
  filter.kind = Filter::Kind::kCondition;
  filter.condition = {std::move(field), op, std::move(operands)};
  return filter;
}

Filter On(const char* name, Op op, Literal operand) {
  return On(FieldPath{FieldSource::kKeyOrValue, {name}}, op, {std::move(operand)});
}

Filter Joined(Filter::Kind kind, std::vector<Filter> parts) {
  Filter filter;
  filter.kind = kind;
  filter.parts = std::move(parts);
  return filter;
}

Filter All(std::vector<Filter> parts) { return Joined(Filter::Kind::kAll, std::move(parts)); }

Literal Text(const char* text) { return Scalar(std::string(text)); }
Literal Whole(int64_t number) { return Scalar(number); }
Literal Real(double number) { return Scalar(number); }

std::shared_ptr<const BoundFilter> Bind(const Filter& filter) {
  const auto bound = BoundFilter::Bind(filter, People());
  EXPECT_TRUE(bound.ok()) << bound.status();
  return *bound;
}

// Reason and field of the refusal.
std::string Refusal(const Filter& filter) {
  const absl::Status status = BoundFilter::Bind(filter, People()).status();
  std::string told(ReasonName(ReasonOf(status)));
  for (const auto& [name, value] : DetailsOf(status)) {
    if (name == "field" || name == "limit") told += " " + value;
  }
  return told;
}

bool Passes(const Filter& filter, std::string_view value,
            btree::ValueFormat format = btree::ValueFormat::kJson) {
  FilterEvaluator evaluator(Bind(filter));
  const auto encoded = *People().Encode(btree::Record{
      {{"region", std::string("US")}, {"age", int64_t{7}}, {"score", 2.5}, {"active", true}}});
  btree::PackedItem item;
  item.key = encoded.key;
  item.ride_on = encoded.ride_on;
  return *evaluator.Matches(item, [&] { return ValueView{value, format}; });
}

TEST(FilterTest, LeadingFieldsMakeTheRange) {
  const btree::KeySchema schema = People();
  const auto region = On("region", Op::kEqual, Text("US"));
  const auto us = *schema.EncodePrefix(btree::Record{{{"region", std::string("US")}}},
                                       btree::PrefixMatch::kWholeFields);
  EXPECT_EQ(Bind(region)->range(), us);
  EXPECT_TRUE(Bind(region)->is_range());
  EXPECT_FALSE(Bind(region)->reads_values());
  // One value of $in fixes, too.
  EXPECT_EQ(Bind(On("region", Op::kIn, Text("US")))->range(), us);

  const auto both = Bind(All({On("age", Op::kEqual, Whole(7)), region}));
  EXPECT_TRUE(both->is_range());
  EXPECT_EQ(both->range(), *schema.EncodePrefix(
                               btree::Record{{{"region", std::string("US")}, {"age", int64_t{7}}}},
                               btree::PrefixMatch::kWholeFields));
  const auto prefix = Bind(On("region", Op::kPrefix, Text("U")));
  EXPECT_TRUE(prefix->is_range());
  EXPECT_TRUE(prefix->range().Contains(us.begin));
}

TEST(FilterTest, WhatComesLaterIsLookedAt) {
  const auto score = On("score", Op::kGreater, Real(1));
  const auto region = On("region", Op::kEqual, Text("US"));
  const auto filter = Bind(All({score, region, On("name", Op::kEqual, Text("x"))}));
  EXPECT_EQ(filter->range(), Bind(region)->range());
  EXPECT_FALSE(filter->is_range());
  EXPECT_TRUE(filter->reads_values());
  // Without the first field the second has no place in the order.
  EXPECT_EQ(Bind(On("age", Op::kEqual, Whole(7)))->range(), btree::KeyRange());
  EXPECT_EQ(Bind(Joined(Filter::Kind::kAny, {region, score}))->range(), btree::KeyRange());
  EXPECT_EQ(Bind(Joined(Filter::Kind::kNot, {region}))->range(), btree::KeyRange());
}

TEST(FilterTest, WhatNothingMeetsHasAnEmptyRange) {
  EXPECT_TRUE(Bind(On({FieldSource::kKey, {"region"}}, Op::kIn, {}))->range().IsEmpty());
  EXPECT_TRUE(Bind(All({On("region", Op::kGreater, Text("b")), On("region", Op::kLess, Text("a"))}))
                  ->range()
                  .IsEmpty());
}

TEST(FilterTest, RefusalsNameTheField) {
  EXPECT_EQ(Refusal(On("region", Op::kEqual, Whole(1))), "KEY_TYPE_DIFFERS region");
  EXPECT_EQ(Refusal(On("age", Op::kLess, Text("1"))), "KEY_TYPE_DIFFERS age");
  EXPECT_EQ(Refusal(On("id", Op::kEqual, Text("1"))), "KEY_TYPE_DIFFERS id");
  EXPECT_EQ(Refusal(On("score", Op::kEqual, Real(0.0 / 0.0))), "INVALID_KEY score");
  EXPECT_EQ(Refusal(On("other", Op::kEqual, Real(0.0 / 0.0))), "INVALID_ARGUMENT other");
  EXPECT_EQ(Refusal(On("other", Op::kEqual, Scalar(Uuid{}))), "INVALID_ARGUMENT other");
  EXPECT_EQ(Refusal(On({FieldSource::kKey, {"other"}}, Op::kEqual, {Whole(1)})),
            "FIELD_UNKNOWN other");
  EXPECT_EQ(Refusal(On({FieldSource::kKey, {}}, Op::kEqual, {Whole(1)})), "FIELD_UNKNOWN key");
  EXPECT_EQ(Refusal(On({FieldSource::kKey, {"a", "b"}}, Op::kEqual, {Whole(1)})),
            "INVALID_ARGUMENT a.b");
  EXPECT_EQ(Refusal(On({FieldSource::kKeyOrValue, {}}, Op::kEqual, {Whole(1)})),
            "INVALID_ARGUMENT value");
  EXPECT_EQ(Refusal(On("age", Op::kLess, Literal())), "INVALID_ARGUMENT age");
  EXPECT_EQ(Refusal(On("age", Op::kPrefix, Whole(1))), "INVALID_ARGUMENT age");
  EXPECT_EQ(Refusal(On("age", Op::kExists, Whole(1))), "INVALID_ARGUMENT age");
  EXPECT_EQ(Refusal(On({FieldSource::kKey, {"age"}}, Op::kEqual, {})), "INVALID_ARGUMENT age");
}

TEST(FilterTest, SizesAreLimited) {
  const auto nested = [](size_t levels) {
    Filter filter = On("age", Op::kEqual, Whole(1));
    for (size_t level = 1; level < levels; ++level) {
      filter = Joined(Filter::Kind::kNot, {std::move(filter)});
    }
    return filter;
  };
  EXPECT_TRUE(CheckFilter(nested(kMaxFilterDepth)).ok());
  EXPECT_EQ(Refusal(nested(kMaxFilterDepth + 1)), "INVALID_ARGUMENT filter 20");
  const auto wide = [](size_t parts) {
    return All(std::vector<Filter>(parts - 1, On("age", Op::kEqual, Whole(1))));
  };
  EXPECT_TRUE(CheckFilter(wide(kMaxFilterParts)).ok());
  EXPECT_EQ(Refusal(wide(kMaxFilterParts + 1)), "INVALID_ARGUMENT filter 1000");
  const auto listed = [](size_t operands) {
    return On({FieldSource::kKey, {"age"}}, Op::kIn, std::vector<Literal>(operands, Whole(1)));
  };
  EXPECT_TRUE(CheckFilter(listed(kMaxFilterOperands)).ok());
  EXPECT_EQ(Refusal(listed(kMaxFilterOperands + 1)), "INVALID_ARGUMENT filter 10000");
  const auto path = [](size_t names) {
    return On({FieldSource::kValue, std::vector<std::string>(names, "n")}, Op::kEqual, {Whole(1)});
  };
  EXPECT_TRUE(CheckFilter(path(kMaxFilterPathNames)).ok());
  EXPECT_EQ(Refusal(path(kMaxFilterPathNames + 1)), "INVALID_ARGUMENT filter 20");
}

TEST(FilterTest, ValuesAreAskedForOnlyIfTheyDecide) {
  const auto filter = All({On("name", Op::kEqual, Text("x")), On("age", Op::kEqual, Whole(8))});
  FilterEvaluator evaluator(Bind(filter));
  const auto encoded =
      *People().Encode(btree::Record{{{"region", std::string("US")}, {"age", int64_t{7}}}});
  btree::PackedItem item;
  item.key = encoded.key;
  const auto never = []() -> absl::StatusOr<ValueView> {
    ADD_FAILURE() << "the key decides";
    return ValueView();
  };
  EXPECT_FALSE(*evaluator.Matches(item, never));
}

TEST(FilterTest, MissingFieldsAndNullAreEqual) {
  for (const char* value : {"{}", R"({"name":null})", R"({"name":{"a":1}})"}) {
    const bool is_null = std::string_view(value).find(':') == std::string_view::npos ||
                         std::string_view(value).find("null") != std::string_view::npos;
    EXPECT_EQ(Passes(On("name", Op::kEqual, Literal()), value), is_null) << value;
    EXPECT_EQ(Passes(On("name", Op::kNotEqual, Literal()), value), !is_null) << value;
    EXPECT_FALSE(Passes(On("name", Op::kEqual, Text("x")), value)) << value;
    EXPECT_TRUE(Passes(On("name", Op::kNotEqual, Text("x")), value)) << value;
    EXPECT_FALSE(Passes(On("name", Op::kLess, Text("x")), value)) << value;
  }
  EXPECT_FALSE(Passes(On("name", Op::kExists, Scalar(true)), "{}"));
  EXPECT_TRUE(Passes(On("name", Op::kExists, Scalar(true)), R"({"name":null})"));
  // A field that rides on is not there.
  EXPECT_TRUE(Passes(On("id", Op::kEqual, Literal()), "{}"));
  EXPECT_TRUE(Passes(On("id", Op::kExists, Scalar(false)), "{}"));
  EXPECT_FALSE(Passes(On("active", Op::kEqual, Literal()), "{}"));
}

TEST(FilterTest, NumbersCompareByValue) {
  EXPECT_TRUE(Passes(On("n", Op::kEqual, Whole(3)), R"({"n":3.0})"));
  EXPECT_TRUE(Passes(On("n", Op::kEqual, Real(3)), R"({"n":3})"));
  EXPECT_TRUE(Passes(On("n", Op::kLess, Real(3.5)), R"({"n":3})"));
  EXPECT_FALSE(Passes(On("n", Op::kEqual, Text("3")), R"({"n":3})"));
  EXPECT_FALSE(Passes(On("n", Op::kEqual, Whole(1)), R"({"n":true})"));
  // 2^53 + 1 is no double.
  EXPECT_TRUE(Passes(On("n", Op::kGreater, Real(9007199254740992)), R"({"n":9007199254740993})"));
  EXPECT_TRUE(Passes(On("n", Op::kGreater, Whole(INT64_MAX)), R"({"n":18446744073709551615})"));
  EXPECT_TRUE(Passes(On("age", Op::kLess, Real(7.5)), "{}"));
  EXPECT_TRUE(Passes(On("age", Op::kEqual, Real(7)), "{}"));
  EXPECT_TRUE(Passes(On("score", Op::kGreater, Whole(2)), "{}"));
}

TEST(FilterTest, ArraysStandForTheirElements) {
  const char* tags = R"({"tags":["red","blue"],"parts":[{"n":1},{"n":5}],"none":[]})";
  EXPECT_TRUE(Passes(On("tags", Op::kEqual, Text("red")), tags));
  EXPECT_FALSE(Passes(On("tags", Op::kNotEqual, Text("red")), tags));
  EXPECT_TRUE(Passes(On("tags", Op::kPrefix, Text("bl")), tags));
  EXPECT_TRUE(Passes(On({FieldSource::kValue, {"parts", "n"}}, Op::kGreater, {Whole(4)}), tags));
  EXPECT_FALSE(Passes(On({FieldSource::kValue, {"parts", "n"}}, Op::kGreater, {Whole(5)}), tags));
  EXPECT_TRUE(Passes(On("none", Op::kExists, Scalar(true)), tags));
  EXPECT_FALSE(Passes(On("none", Op::kEqual, Literal()), tags));
}

TEST(FilterTest, FormatsSayWhatIsLookedInto) {
  const auto name = On("name", Op::kEqual, Text("x"));
  EXPECT_TRUE(Passes(name, R"({"name":"x"})", btree::ValueFormat::kText));
  EXPECT_FALSE(Passes(name, R"(name x)", btree::ValueFormat::kText));
  EXPECT_FALSE(Passes(name, R"({"name":"x"})", btree::ValueFormat::kBytes));
  const FieldPath value{FieldSource::kValue, {}};
  EXPECT_TRUE(Passes(On(value, Op::kEqual, {Text("5")}), "5", btree::ValueFormat::kText));
  EXPECT_TRUE(Passes(On(value, Op::kEqual, {Whole(5)}), "5", btree::ValueFormat::kJson));
  EXPECT_TRUE(Passes(On(value, Op::kPrefix, {Scalar(btree::Bytes{"ab"})}), "abc",
                     btree::ValueFormat::kBytes));
  EXPECT_FALSE(Passes(On(value, Op::kExists, {Scalar(true)}), "tru", btree::ValueFormat::kJson));
}

TEST(FilterTest, EmptyCombinationsAreAllAndNothing) {
  EXPECT_TRUE(Passes(Filter(), "{}"));
  EXPECT_TRUE(Bind(Filter())->is_range());
  EXPECT_FALSE(Passes(Joined(Filter::Kind::kAny, {}), "{}"));
  EXPECT_TRUE(Passes(Joined(Filter::Kind::kNot, {Joined(Filter::Kind::kAny, {})}), "{}"));
}

}  // namespace
}  // namespace sop::catalog
