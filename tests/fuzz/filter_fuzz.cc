// Filter messages, and values that they are held against: refused by name or bound to a schema, and
// what a filter lets through its negation does not.
#include "core/base/check.h"
#include "core/base/error.h"
#include "core/catalog/filter/bound_filter.h"
#include "server/convert/filter.h"
#include "tests/fuzz/fuzz_target.h"

namespace sop::fuzz {
namespace {

using catalog::BoundFilter;

constexpr const char* kValue =
    R"({"n":3,"s":"x\u0041","a":[1,null,{"n":2.5}],"o":{"n":true},"b":1e400})";

const btree::KeySchema& Schema() {
  static const btree::KeySchema schema =
      *btree::KeySchema::ForRecord({{"region", btree::ScalarType::kString},
                                    {"number", btree::ScalarType::kInt64},
                                    {"score", btree::ScalarType::kDouble},
                                    {"id", btree::ScalarType::kUuid}},
                                   {{"region"}, {"number", btree::Direction::kDescending}});
  return schema;
}

bool LetsThrough(const catalog::Filter& filter, std::string_view value, btree::ValueFormat format) {
  static const btree::EncodedKey key = *Schema().Encode(
      btree::Record{{{"region", std::string("US")}, {"number", int64_t{7}}, {"score", 2.5}}});
  const auto bound = BoundFilter::Bind(filter, Schema());
  SOP_CHECK(bound.ok());
  if ((*bound)->range().IsEmpty() || !(*bound)->range().Contains(key.key)) return false;
  btree::PackedItem item;
  item.key = key.key;
  item.ride_on = key.ride_on;
  catalog::FilterEvaluator evaluator(*bound);
  const auto passes = evaluator.Matches(item, [&] { return catalog::ValueView{value, format}; });
  SOP_CHECK(passes.ok());
  return *passes;
}

v1::Filter On(const char* name) {
  v1::Filter filter;
  filter.mutable_condition()->mutable_field()->add_names(name);
  return filter;
}

}  // namespace

std::vector<std::string> Seeds() {
  std::vector<v1::Filter> filters;
  filters.push_back(On("region"));
  filters.back().mutable_condition()->mutable_equal()->mutable_scalar()->set_string_value("US");
  filters.push_back(On("number"));
  filters.back().mutable_condition()->mutable_less()->mutable_scalar()->set_double_value(7.5);
  filters.push_back(On("n"));
  auto* const one_of = filters.back().mutable_condition()->mutable_one_of();
  one_of->add_operands()->mutable_scalar()->set_int64_value(3);
  one_of->add_operands()->set_null_value(true);
  filters.push_back(On("a"));
  filters.back().mutable_condition()->mutable_field()->add_names("n");
  filters.back().mutable_condition()->set_exists(true);
  filters.push_back(On("s"));
  filters.back().mutable_condition()->mutable_prefix()->set_string_value("xA");
  v1::Filter all;
  for (const v1::Filter& each : filters) *all.mutable_all_of()->add_filters() = each;
  filters.push_back(all);
  filters.emplace_back();
  *filters.back().mutable_negation() = all;
  std::vector<std::string> seeds;
  for (const v1::Filter& filter : filters) {
    seeds.push_back(AsPiece(filter.SerializeAsString()) + Chosen(3, kValue));
  }
  return seeds;
}

void RunInput(std::string_view input) {
  InputReader reader(input);
  v1::Filter message;
  if (!message.ParseFromString(std::string(reader.Piece()))) return;
  const auto format = static_cast<btree::ValueFormat>(1 + reader.Byte() % 3);
  const auto filter = convert::FilterFromProto(message);
  if (!filter.ok()) {
    SOP_CHECK(ReasonCode(ReasonOf(filter.status())) == absl::StatusCode::kInvalidArgument);
    return;
  }
  const auto bound = BoundFilter::Bind(*filter, Schema());
  if (!bound.ok()) {
    SOP_CHECK(ReasonCode(ReasonOf(bound.status())) == absl::StatusCode::kInvalidArgument);
    return;
  }
  catalog::Filter negation;
  negation.kind = catalog::Filter::Kind::kNot;
  negation.parts.push_back(*filter);
  // One level more may be too many.
  if (!catalog::CheckFilter(negation).ok()) return;
  SOP_CHECK(LetsThrough(*filter, reader.rest(), format) !=
            LetsThrough(negation, reader.rest(), format));
}

}  // namespace sop::fuzz
