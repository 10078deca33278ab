#include "core/catalog/filter/json_fields.h"

#include <fmt/format.h>
#include <gtest/gtest.h>

#include <vector>

namespace sop::catalog {
namespace {

std::string Text(const FoundValue& found) {
  if (std::holds_alternative<std::monostate>(found)) return "null";
  if (const auto* truth = std::get_if<bool>(&found)) return *truth ? "true" : "false";
  if (const auto* number = std::get_if<Number>(&found)) {
    return std::visit([](auto value) { return fmt::format("{}", value); }, *number);
  }
  if (const auto* text = std::get_if<std::string_view>(&found)) return fmt::format("'{}'", *text);
  return "unordered";
}

// Everything at a path, "-" if it leads nowhere.
std::string At(JsonFields& fields, const std::vector<std::string>& path) {
  std::string values;
  const bool found = fields.Visit(path, [&](const FoundValue& value) {
    values += (values.empty() ? "" : " ") + Text(value);
    return false;
  });
  return found ? values : "-";
}

std::string At(std::string_view text, const std::vector<std::string>& path) {
  JsonFields fields;
  return fields.Open(text) ? At(fields, path) : "no JSON";
}

TEST(JsonFieldsTest, ScalarsOfEveryTypeAreFound) {
  const std::string_view text =
      R"({"n":null,"t":true,"f":false,"i":-7,"u":18446744073709551615,"d":2.5,"s":"x","e":1e3})";
  JsonFields fields;
  ASSERT_TRUE(fields.Open(text));
  // In any order, as often as one likes.
  EXPECT_EQ(At(fields, {"e"}), "1000");
  EXPECT_EQ(At(fields, {"n"}), "null");
  EXPECT_EQ(At(fields, {"t"}), "true");
  EXPECT_EQ(At(fields, {"f"}), "false");
  EXPECT_EQ(At(fields, {"i"}), "-7");
  EXPECT_EQ(At(fields, {"u"}), "18446744073709551615");
  EXPECT_EQ(At(fields, {"d"}), "2.5");
  EXPECT_EQ(At(fields, {"s"}), "'x'");
  EXPECT_EQ(At(fields, {"x"}), "-");
  EXPECT_EQ(At(fields, {"i"}), "-7");
}

TEST(JsonFieldsTest, NumbersBeyondIntegersAreDoubles) {
  EXPECT_EQ(At(R"({"a":123456789012345678901234567890})", {"a"}), "1.2345678901234568e+29");
  EXPECT_EQ(At(R"({"a":1e999,"b":1})", {"a"}), "unordered");
  EXPECT_EQ(At(R"({"a":1e999,"b":1})", {"b"}), "1");
}

TEST(JsonFieldsTest, EscapesAreTextInNamesAndValues) {
  EXPECT_EQ(At(R"({"caf\u00e9":"a\"b\n"})", {"caf\xc3\xa9"}), "'a\"b\n'");
  EXPECT_EQ(At(R"({"a\/b":1})", {"a/b"}), "1");
  EXPECT_EQ(At("{\"caf\xc3\xa9\":1}", {"caf\xc3\xa9"}), "1");
  EXPECT_EQ(At(R"({"a":["\u0041","b","\u0041"]})", {"a"}), "'A' 'b' 'A'");
}

TEST(JsonFieldsTest, PathsLeadIntoObjects) {
  const std::string_view text = R"({"a":{"b":{"c":1},"d":2},"e":{"b":3},"":{"":4}})";
  EXPECT_EQ(At(text, {"a", "b", "c"}), "1");
  EXPECT_EQ(At(text, {"e", "b"}), "3");
  EXPECT_EQ(At(text, {"a", "b"}), "unordered");
  EXPECT_EQ(At(text, {"a", "d", "c"}), "-");
  EXPECT_EQ(At(text, {"a", "x", "c"}), "-");
  EXPECT_EQ(At(text, {"", ""}), "4");
}

TEST(JsonFieldsTest, ArraysStandForTheirElements) {
  const std::string_view text =
      R"({"a":[1,"x",[2],{"y":3}],"b":[{"c":1},{"d":2},{"c":[4,5]},7,[{"c":9}]],"e":[],"f":[{}]})";
  EXPECT_EQ(At(text, {"a"}), "1 'x' unordered unordered");
  EXPECT_EQ(At(text, {"a", "y"}), "3");
  EXPECT_EQ(At(text, {"b", "c"}), "1 4 5");
  EXPECT_EQ(At(text, {"e"}), "");
  EXPECT_EQ(At(text, {"e", "x"}), "-");
  EXPECT_EQ(At(text, {"f", "x"}), "-");
}

TEST(JsonFieldsTest, DocumentsNeedNotBeObjects) {
  EXPECT_EQ(At("5", {}), "5");
  EXPECT_EQ(At(" \"x\" ", {}), "'x'");
  EXPECT_EQ(At("\"\\u0041\"", {}), "'A'");
  EXPECT_EQ(At("true", {}), "true");
  EXPECT_EQ(At("null", {}), "null");
  EXPECT_EQ(At("[1,2]", {}), "1 2");
  EXPECT_EQ(At("[{\"a\":1}]", {"a"}), "1");
  EXPECT_EQ(At("{\"a\":1}", {}), "unordered");
  EXPECT_EQ(At("5", {"a"}), "-");
}

TEST(JsonFieldsTest, TheFirstOfEqualNamesCounts) { EXPECT_EQ(At(R"({"a":1,"a":2})", {"a"}), "1"); }

TEST(JsonFieldsTest, DamageHidesNoMoreThanItself) {
  EXPECT_EQ(At("", {"a"}), "no JSON");
  EXPECT_EQ(At("{\"a", {"a"}), "no JSON");
  EXPECT_EQ(At("{\"a\":\"\xff\"}", {"a"}), "no JSON");
  EXPECT_EQ(At(R"({"a":tru,"b":1})", {"a"}), "-");
  EXPECT_EQ(At(R"({"a":tru,"b":1})", {"b"}), "1");
  EXPECT_EQ(At(R"({"b":1 "a":2})", {"b"}), "1");
  EXPECT_EQ(At(R"({"b":1 "a":2})", {"a"}), "-");
}

TEST(JsonFieldsTest, OneReaderTakesManyDocuments) {
  JsonFields fields;
  for (int size = 0; size < 300; ++size) {
    const std::string text = fmt::format("{{\"p\":\"{}\",\"n\":{}}}", std::string(size, 'p'), size);
    ASSERT_TRUE(fields.Open(text));
    ASSERT_EQ(At(fields, {"n"}), fmt::format("{}", size));
    fields.Open("{\"n\":");
    ASSERT_EQ(At(fields, {"n"}), "-");
  }
}

TEST(JsonFieldsTest, AWalkThatMetDamageDoesNotEndTheNext) {
  JsonFields fields;
  ASSERT_TRUE(fields.Open(R"({"b":1,"n"*3,"c":2})"));
  for (int round = 0; round < 3; ++round) {
    EXPECT_EQ(At(fields, {"n"}), "-");
    EXPECT_EQ(At(fields, {"c"}), "-");
    EXPECT_EQ(At(fields, {"b"}), "1");
  }
}

TEST(JsonFieldsTest, DeepDocumentsAreSkippedOrRefused) {
  const std::string deep = std::string(100'000, '[') + std::string(100'000, ']');
  EXPECT_EQ(At("{\"a\":" + deep + ",\"b\":1}", {"b"}), "1");
}

}  // namespace
}  // namespace sop::catalog
