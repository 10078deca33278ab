// Random filters on random items against an evaluation that knows nothing of encodings or ranges.
#include <gtest/gtest.h>

#include <cmath>
#include <nlohmann/json.hpp>
#include <optional>
#include <string>
#include <vector>

#include "core/base/random.h"
#include "core/catalog/filter/bound_filter.h"
#include "core/txn/test_seed.h"

namespace sop::catalog {
namespace {

using Json = nlohmann::json;
using Op = FilterOperator;

struct TestItem {
  btree::Record key;
  btree::EncodedKey encoded;
  Json value;
  std::string text;
};

constexpr const char* kFields[] = {"region", "age", "score", "note", "x"};

// Compares as docs/filters.md says, with numbers as long doubles, which hold every one exactly.
std::optional<int> Compared(const Json& found, const Literal& literal) {
  const auto sign = [](auto a, auto b) { return a < b ? -1 : (a > b ? 1 : 0); };
  const auto* scalar = std::get_if<btree::Scalar>(&literal);
  if (scalar == nullptr) return found.is_null() ? std::optional(0) : std::nullopt;
  if (const auto* text = std::get_if<std::string>(scalar); text && found.is_string()) {
    return sign(found.get<std::string>(), *text);
  }
  if (const auto* truth = std::get_if<bool>(scalar); truth && found.is_boolean()) {
    return sign(found.get<bool>(), *truth);
  }
  if (!found.is_number()) return std::nullopt;
  const long double number = found.is_number_integer()
                                 ? static_cast<long double>(found.get<int64_t>())
                                 : static_cast<long double>(found.get<double>());
  if (const auto* whole = std::get_if<int64_t>(scalar)) {
    return sign(number, static_cast<long double>(*whole));
  }
  if (const auto* real = std::get_if<double>(scalar)) {
    return sign(number, static_cast<long double>(*real));
  }
  return std::nullopt;
}

bool Meets(const Json& found, Op op, const Literal& operand) {
  if (op == Op::kPrefix) {
    const auto& prefix = std::get<std::string>(std::get<btree::Scalar>(operand));
    return found.is_string() && found.get<std::string>().starts_with(prefix);
  }
  const std::optional<int> order = Compared(found, operand);
  if (!order.has_value()) return false;
  switch (op) {
    case Op::kLess:
      return *order < 0;
    case Op::kLessOrEqual:
      return *order <= 0;
    case Op::kGreater:
      return *order > 0;
    case Op::kGreaterOrEqual:
      return *order >= 0;
    default:
      return *order == 0;
  }
}

Json AsJson(const btree::Scalar& scalar) {
  if (const auto* text = std::get_if<std::string>(&scalar)) return *text;
  if (const auto* whole = std::get_if<int64_t>(&scalar)) return *whole;
  if (const auto* real = std::get_if<double>(&scalar)) return *real;
  return std::get<bool>(scalar);
}

// What a condition's field is in the item: nothing, or one or several values.
std::optional<std::vector<Json>> Found(const TestItem& item, const std::string& name) {
  if (const btree::Scalar* scalar = item.key.Find(name); scalar != nullptr) {
    return std::vector{AsJson(*scalar)};
  }
  // The schema has it, and the item has not.
  if (name == "note") return std::nullopt;
  if (!item.value.contains(name)) return std::nullopt;
  const Json& member = item.value[name];
  if (!member.is_array()) return std::vector{member};
  return std::vector<Json>(member.begin(), member.end());
}

bool Expected(const Filter& filter, const TestItem& item) {
  if (filter.kind == Filter::Kind::kNot) return !Expected(filter.parts[0], item);
  if (filter.kind != Filter::Kind::kCondition) {
    for (const Filter& part : filter.parts) {
      const bool decisive = filter.kind == Filter::Kind::kAny;
      if (Expected(part, item) == decisive) return decisive;
    }
    return filter.kind == Filter::Kind::kAll;
  }
  const Condition& condition = filter.condition;
  auto found = Found(item, condition.field.names[0]);
  if (condition.op == Op::kExists) {
    return found.has_value() == std::get<bool>(std::get<btree::Scalar>(condition.operands[0]));
  }
  bool meets = false;
  if (!found.has_value()) found = std::vector{Json()};
  for (const Json& value : *found) {
    for (const Literal& operand : condition.operands) {
      meets = meets || Meets(value, condition.op, operand);
    }
  }
  return meets != (condition.op == Op::kNotEqual);
}

class FilterOracleTest : public testing::Test {
 protected:
  FilterOracleTest() : seed_(txn::TestSeed(20261127)), random_(seed_) {}

  uint64_t Below(uint64_t bound) { return random_.Next64() % bound; }
  std::string Word() {
    static constexpr const char* kWords[] = {"", "a", "ab", "abc", "b", "b\xc3\xa9", "\"q\"", "z"};
    return kWords[Below(8)];
  }
  double Half() { return (static_cast<double>(Below(12)) - 6) / 2; }

  TestItem MakeItem(const btree::KeySchema& schema) {
    TestItem item;
    item.key.fields = {
        {"region", Word()}, {"age", static_cast<int64_t>(Below(6)) - 3}, {"score", Half()}};
    if (Below(2) == 0) item.key.fields.push_back({"note", Word()});
    item.encoded = *schema.Encode(item.key);
    item.value = Json::object();
    if (Below(4) != 0) item.value["x"] = MakeJson(2);
    if (Below(2) == 0) item.value["other"] = MakeJson(2);
    item.text = item.value.dump(Below(2) == 0 ? -1 : 1, ' ', Below(2) == 0);
    return item;
  }
  Json MakeJson(int depth) {
    switch (Below(depth > 0 ? 8 : 6)) {
      case 0:
        return nullptr;
      case 1:
        return Below(2) == 0;
      case 2:
        return Word();
      case 3:
        return Half();
      case 4:
      case 5:
        return static_cast<int64_t>(Below(6)) - 3;
      case 6: {
        Json array = Json::array();
        // Arrays in arrays are not looked into, and so do not equal what is in them.
        for (uint64_t i = Below(4); i > 0; --i) array.push_back(MakeJson(0));
        return array;
      }
      default:
        return Json{{"x", MakeJson(0)}};
    }
  }

  Literal MakeLiteral(const std::string& field, Op op) {
    const bool is_text = field == "region" || field == "note";
    if (op == Op::kPrefix) return btree::Scalar(Word());
    if (Below(8) == 0 && (op == Op::kEqual || op == Op::kNotEqual || op == Op::kIn)) {
      return Literal();
    }
    const bool any = field == "x";
    if (any && Below(4) == 0) return btree::Scalar(Below(2) == 0);
    if (is_text || (any && Below(2) == 0)) return btree::Scalar(Word());
    if (Below(2) == 0) return btree::Scalar(Half());
    return btree::Scalar(static_cast<int64_t>(Below(6)) - 3);
  }
  Filter MakeCondition() {
    Filter filter;
    filter.kind = Filter::Kind::kCondition;
    const std::string field = kFields[Below(5)];
    filter.condition.field.names = {field};
    auto op = static_cast<Op>(Below(9));
    if (op == Op::kPrefix && (field == "age" || field == "score")) op = Op::kEqual;
    filter.condition.op = op;
    if (op == Op::kExists) {
      filter.condition.operands = {btree::Scalar(Below(2) == 0)};
      return filter;
    }
    const uint64_t operands = op == Op::kIn ? Below(4) : 1;
    for (uint64_t i = 0; i < operands; ++i) {
      filter.condition.operands.push_back(MakeLiteral(field, op));
    }
    return filter;
  }
  Filter MakeFilter(int depth) {
    const uint64_t kind = depth == 0 ? 0 : Below(5);
    if (kind < 2) return MakeCondition();
    Filter filter;
    // Mostly conjunctions: those make ranges.
    filter.kind = kind == 2   ? Filter::Kind::kNot
                  : kind == 3 ? Filter::Kind::kAny
                              : Filter::Kind::kAll;
    const uint64_t parts = kind == 2 ? 1 : Below(4);
    for (uint64_t i = 0; i < parts; ++i) filter.parts.push_back(MakeFilter(depth - 1));
    return filter;
  }

  const uint64_t seed_;
  base::SeededRandom random_;
};

TEST_F(FilterOracleTest, RandomFiltersLetThroughWhatTheyShould) {
  SCOPED_TRACE(testing::Message() << "seed " << seed_);
  const btree::KeySchema schema =
      *btree::KeySchema::ForRecord({{"region", btree::ScalarType::kString},
                                    {"age", btree::ScalarType::kInt64},
                                    {"score", btree::ScalarType::kDouble},
                                    {"note", btree::ScalarType::kString}},
                                   {{"region", btree::Direction::kDescending},
                                    {"age"},
                                    {"score", btree::Direction::kDescending}});
  std::vector<TestItem> items;
  for (int i = 0; i < 60; ++i) items.push_back(MakeItem(schema));
  int passed = 0;
  int ranges = 0;
  for (int round = 0; round < 3000; ++round) {
    const Filter filter = MakeFilter(3);
    const auto bound = BoundFilter::Bind(filter, schema);
    ASSERT_TRUE(bound.ok()) << bound.status();
    FilterEvaluator evaluator(*bound);
    if ((*bound)->is_range() && !(*bound)->range().begin.empty()) ++ranges;
    for (const TestItem& item : items) {
      btree::PackedItem packed;
      packed.key = item.encoded.key;
      packed.ride_on = item.encoded.ride_on;
      const auto rest = evaluator.Matches(packed, [&] {
        return ValueView{item.text, btree::ValueFormat::kJson};
      });
      ASSERT_TRUE(rest.ok()) << rest.status();
      const bool in_range =
          !(*bound)->range().IsEmpty() && (*bound)->range().Contains(item.encoded.key);
      ASSERT_EQ(in_range && *rest, Expected(filter, item))
          << "round " << round << ": " << Printable(btree::Key(item.key)) << " " << item.text;
      passed += in_range && *rest ? 1 : 0;
    }
  }
  // The test has met both.
  EXPECT_GT(passed, 1000);
  EXPECT_GT(ranges, 50);
}

}  // namespace
}  // namespace sop::catalog
