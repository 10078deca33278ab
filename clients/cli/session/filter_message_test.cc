#include "clients/cli/session/filter_message.h"

#include <gtest/gtest.h>

#include <string>

#include "google/protobuf/text_format.h"

namespace sop::cli {
namespace {

StoreKeys People() {
  StoreKeys keys;
  keys.schema = *btree::KeySchema::ForRecord(
      {{"region", btree::ScalarType::kString}, {"id", btree::ScalarType::kUuid}}, {{"region"}});
  keys.index_fields = {"region"};
  return keys;
}

std::string Read(std::string_view text) {
  const auto filter = ParseFilter(People(), text);
  if (!filter.ok()) return std::string(filter.status().message());
  std::string printed;
  google::protobuf::TextFormat::Printer printer;
  printer.SetSingleLineMode(true);
  printer.PrintToString(*filter, &printed);
  return printed;
}

TEST(FilterMessageTest, MembersAreJoinedByAnd) {
  EXPECT_EQ(Read("{}"), "all_of { } ");
  EXPECT_EQ(Read(R"({"region":"US"})"),
            "condition { field { names: \"region\" } "
            "equal { scalar { string_value: \"US\" } } } ");
  EXPECT_EQ(Read(R"({"a.b":{"$gte":3,"$lt":4.5}})"),
            "all_of { filters { condition { field { names: \"a\" names: \"b\" } "
            "greater_or_equal { scalar { int64_value: 3 } } } } "
            "filters { condition { field { names: \"a\" names: \"b\" } "
            "less { scalar { double_value: 4.5 } } } } } ");
}

TEST(FilterMessageTest, EveryOperatorIsRead) {
  EXPECT_EQ(Read(R"({"$or":[{"x":null},{"$nor":[]}]})"),
            "any_of { filters { condition { field { names: \"x\" } equal { null_value: true } } } "
            "filters { negation { any_of { } } } } ");
  EXPECT_EQ(Read(R"({"$value":{"$nin":[true]}})"),
            "negation { condition { field { source: FIELD_SOURCE_VALUE } "
            "one_of { operands { scalar { bool_value: true } } } } } ");
  EXPECT_EQ(Read(R"({"$key.region":{"$prefix":"U"}})"),
            "condition { field { source: FIELD_SOURCE_KEY names: \"region\" } "
            "prefix { string_value: \"U\" } } ");
  EXPECT_EQ(Read(R"({"x":{"$not":{"$exists":false}}})"),
            "negation { condition { field { names: \"x\" } exists: false } } ");
}

TEST(FilterMessageTest, TextBecomesTheTypeOfTheKeysField) {
  EXPECT_EQ(
      Read(R"({"id":"00000000-0000-0000-0000-000000000041"})"),
      "condition { field { names: \"id\" } equal { scalar { uuid_value: "
      "\"\\000\\000\\000\\000\\000\\000\\000\\000\\000\\000\\000\\000\\000\\000\\000A\" } } } ");
  EXPECT_NE(Read(R"({"id":"x"})").find("filter on field \"id\""), std::string::npos);
}

TEST(FilterMessageTest, WhatIsNoFilterIsNamed) {
  for (const auto& [text, named] : std::initializer_list<std::pair<const char*, const char*>>{
           {"[", "no JSON"},
           {"3", "no JSON object"},
           {R"({"$near":1})", "\"$near\""},
           {R"({"":1})", "neither a field"},
           {R"({"age":{"$regex":"x"}})", "\"age\" has $regex"},
           {R"({"age":{}})", "\"age\" is compared with an object"},
           {R"({"age":{"$in":3}})", "\"age\" takes an array"},
           {R"({"age":{"$exists":1}})", "\"age\" has $exists"},
           {R"({"age":{"$gt":[1]}})", "\"age\" compares with what is no scalar"},
           {R"({"$and":{}})", "\"$and\" takes an array"}}) {
    EXPECT_NE(Read(text).find(named), std::string::npos) << text << ": " << Read(text);
  }
}

}  // namespace
}  // namespace sop::cli
