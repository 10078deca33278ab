#include "clients/cli/text/key_text.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>
#include <random>
#include <string>
#include <vector>

#include "clients/cli/text/column_type.h"
#include "clients/cli/text/item_json.h"

namespace sop::cli {
namespace {

using btree::Bytes;
using btree::Key;
using btree::KeySchema;
using btree::PrefixMatch;
using btree::Record;
using btree::Scalar;
using btree::ScalarType;
using btree::Timestamp;
using testing::HasSubstr;

StoreKeys Scalars(ScalarType type) {
  StoreKeys keys;
  keys.schema = *KeySchema::ForScalar(type);
  return keys;
}

// Ordered by category and code point; "name" rides on.
StoreKeys Characters() {
  StoreKeys keys;
  keys.index_fields = {"category", "code_point"};
  keys.schema = *KeySchema::ForRecord({{"category", ScalarType::kString},
                                       {"code_point", ScalarType::kInt64},
                                       {"name", ScalarType::kString}},
                                      {{"category"}, {"code_point"}});
  return keys;
}

Key Character(std::string category, int64_t code_point) {
  return Record{{{"category", std::move(category)}, {"code_point", code_point}}};
}

TEST(ColumnTypeTest, ReadsEveryTypeAndRefusesWhatIsNotOne) {
  EXPECT_EQ(*ParseScalar(ColumnType::kInt64, "-9223372036854775808"), Scalar(INT64_MIN));
  EXPECT_EQ(*ParseScalar(ColumnType::kInt64, "0x1F600"), Scalar(int64_t{0x1f600}));
  EXPECT_EQ(*ParseScalar(ColumnType::kHex, "1F600"), Scalar(int64_t{0x1f600}));
  EXPECT_EQ(*ParseScalar(ColumnType::kDouble, "-2.5"), Scalar(-2.5));
  EXPECT_EQ(*ParseScalar(ColumnType::kBool, "true"), Scalar(true));
  EXPECT_EQ(*ParseScalar(ColumnType::kBytes, "AAEC"), Scalar(Bytes{std::string("\0\1\2", 3)}));
  EXPECT_EQ(*ParseScalar(ColumnType::kTimestamp, "1970-01-01T00:00:01.000000002Z"),
            Scalar(Timestamp{1'000'000'002}));
  EXPECT_EQ(ScalarText(*ParseScalar(ColumnType::kUuid, "550e8400-e29b-41d4-a716-446655440000")),
            "550e8400-e29b-41d4-a716-446655440000");
  const std::vector<std::pair<ColumnType, const char*>> wrong = {
      {ColumnType::kInt64, "9223372036854775808"},
      {ColumnType::kInt64, "1.5"},
      {ColumnType::kInt64, ""},
      {ColumnType::kInt64, "+-1"},
      {ColumnType::kHex, "XYZ"},
      {ColumnType::kDouble, "nan"},
      {ColumnType::kDouble, "1,5"},
      {ColumnType::kBool, "yes"},
      {ColumnType::kBytes, "*"},
      {ColumnType::kUuid, "550e8400"},
      {ColumnType::kUuid, ""},
      {ColumnType::kTimestamp, "yesterday"},
      {ColumnType::kTimestamp, "3000-01-01T00:00:00Z"},
      {ColumnType::kString, "\xff"}};
  for (const auto& [type, text] : wrong) {
    EXPECT_EQ(ParseScalar(type, text).status().code(), absl::StatusCode::kInvalidArgument) << text;
  }
}

TEST(ColumnTypeTest, EveryScalarComesBackFromItsTextAndItsJson) {
  const std::vector<Scalar> scalars = {true,
                                       false,
                                       INT64_MIN,
                                       INT64_MAX,
                                       int64_t{0},
                                       0.1,
                                       1.0,
                                       -1e300,
                                       5e-324,
                                       INFINITY,
                                       std::string(),
                                       std::string("caf\u00e9 \"x\"\n"),
                                       std::string("a\0b", 3),
                                       Bytes{"\xff\x00"},
                                       Uuid{1, 2},
                                       Timestamp{INT64_MIN},
                                       Timestamp{INT64_MAX},
                                       Timestamp{-1}};
  for (const Scalar& scalar : scalars) {
    const std::string text = ScalarText(scalar);
    EXPECT_EQ(*ParseScalar(ColumnTypeOf(TypeOf(scalar)), text), scalar) << text;
    const std::string json = JsonText(ScalarJson(scalar));
    EXPECT_EQ(*ScalarFromJson(*ParseJson(json), std::nullopt), scalar) << json;
    EXPECT_EQ(*ScalarFromJson(*ParseJson(json), ColumnTypeOf(TypeOf(scalar))), scalar) << json;
  }
}

TEST(ColumnTypeTest, JsonOfAnotherTypeThanTheSchemaIsRefused) {
  const std::vector<std::pair<ColumnType, const char*>> wrong = {
      {ColumnType::kInt64, "1.5"},
      {ColumnType::kInt64, "18446744073709551615"},
      {ColumnType::kInt64, "true"},
      {ColumnType::kString, "1"},
      {ColumnType::kBool, "1"},
      {ColumnType::kUuid, "5"},
      {ColumnType::kInt64, "null"},
      {ColumnType::kString, "[]"},
      {ColumnType::kString, "{\"$uuid\":\"550e8400-e29b-41d4-a716-446655440000\"}"}};
  for (const auto& [type, text] : wrong) {
    EXPECT_FALSE(ScalarFromJson(*ParseJson(text), type).ok()) << text;
  }
  EXPECT_EQ(*ScalarFromJson(*ParseJson("3"), ColumnType::kDouble), Scalar(3.0));
}

TEST(KeyTextTest, ScalarKeysAreReadAsTheStoreTypesThem) {
  EXPECT_EQ(*ParseKey(Scalars(ScalarType::kString), "65"), Key(Scalar(std::string("65"))));
  EXPECT_EQ(*ParseKey(Scalars(ScalarType::kInt64), "65"), Key(Scalar(int64_t{65})));
  EXPECT_EQ(*ParseKey(Scalars(ScalarType::kString), "{\"a\":1}"),
            Key(Scalar(std::string("{\"a\":1}"))));
  EXPECT_EQ(*ParseKey({}, "65"), Key(Scalar(std::string("65"))));
  EXPECT_EQ(ParseKey(Scalars(ScalarType::kInt64), "x").status().code(),
            absl::StatusCode::kInvalidArgument);
}

TEST(KeyTextTest, RecordsAreReadAsJsonOrInTheOrderOfTheIndex) {
  EXPECT_EQ(*ParseKey(Characters(), "Lu,65"), Character("Lu", 65));
  EXPECT_EQ(*ParseKey(Characters(), "Lu,0x41"), Character("Lu", 65));
  EXPECT_EQ(*ParseKey(Characters(), R"({"category":"Lu","code_point":65})"), Character("Lu", 65));
  EXPECT_EQ(*ParseKey({}, R"({"a":1,"b":true})"), Key(Record{{{"a", int64_t{1}}, {"b", true}}}));
  const auto missing = ParseKey(Characters(), "Lu");
  EXPECT_THAT(std::string(missing.status().message()), HasSubstr("lacks the field \"code_point\""));
  const auto wrong = ParseKey(Characters(), "Lu,x");
  EXPECT_THAT(std::string(wrong.status().message()), HasSubstr("code_point"));
  EXPECT_FALSE(ParseKey(Characters(), "Lu,65,more").ok());
  EXPECT_FALSE(ParseKey(Characters(), "{not json").ok());
}

TEST(KeyTextTest, PrefixesNameFirstFieldsAndTheBeginningOfTheLastOne) {
  const auto whole = ParsePrefix(Characters(), "Lu");
  ASSERT_TRUE(whole.ok());
  EXPECT_EQ(whole->key, Key(Record{{{"category", std::string("Lu")}}}));
  EXPECT_EQ(whole->match, PrefixMatch::kWholeFields);
  const auto start = ParsePrefix(Characters(), "L*");
  ASSERT_TRUE(start.ok());
  EXPECT_EQ(start->key, Key(Record{{{"category", std::string("L")}}}));
  EXPECT_EQ(start->match, PrefixMatch::kStartOfString);
  for (const char* text : {"a", "a*"}) {
    const auto scalar = ParsePrefix(Scalars(ScalarType::kString), text);
    ASSERT_TRUE(scalar.ok());
    EXPECT_EQ(scalar->key, Key(Scalar(std::string("a"))));
    EXPECT_EQ(scalar->match, PrefixMatch::kStartOfString);
  }
}

TEST(KeyTextTest, KeysComeBackFromTheirTextAndTheirJson) {
  const StoreKeys strings = Scalars(ScalarType::kString);
  const StoreKeys characters = Characters();
  EXPECT_EQ(KeyText(characters, Character("Lu", 65)), "Lu,65");
  for (const Key& key : {Character("Lu", 65), Character("a,b", -1), Character("{", 0),
                         Key(Record{{{"category", std::string("Lu")},
                                     {"code_point", int64_t{65}},
                                     {"name", std::string("A")}}})}) {
    EXPECT_EQ(*ParseKey(characters, KeyText(characters, key)), key) << KeyText(characters, key);
    EXPECT_EQ(*KeyFromJson(characters, *ParseJson(JsonText(KeyJson(key)))), key);
  }
  const Key odd = Record{{{"$uuid", std::string("x")}}};
  EXPECT_EQ(*KeyFromJson({}, *ParseJson(JsonText(KeyJson(odd)))), odd);
}

TEST(ItemJsonTest, EveryByteOfAValueComesBack) {
  using btree::ValueFormat;
  std::vector<StoredValue> values = {{"", ValueFormat::kBytes},
                                     {"", ValueFormat::kText},
                                     {"", ValueFormat::kJson},
                                     {"{\"a\":1}", ValueFormat::kJson},
                                     {"{ \"a\": 1.10 }", ValueFormat::kJson},
                                     {"{\"a\":1,\"a\":2}", ValueFormat::kJson},
                                     {"123456789012345678901234567890", ValueFormat::kJson},
                                     {"not json", ValueFormat::kJson},
                                     {"\xff{}", ValueFormat::kJson},
                                     {"text\n\"", ValueFormat::kText},
                                     {"\xfe", ValueFormat::kText},
                                     {std::string("\0\xff", 2), ValueFormat::kBytes},
                                     {std::string(60'000, '['), ValueFormat::kJson}};
  constexpr uint32_t kSeed = 20'261'120;
  SCOPED_TRACE("seed " + std::to_string(kSeed));
  std::mt19937 random(kSeed);
  const std::string alphabet = "{}[]\"\\:,12. -eatrue\xc3\xa9";
  for (int i = 0; i < 5000; ++i) {
    StoredValue value{.content = {}, .format = static_cast<ValueFormat>(1 + random() % 3)};
    for (size_t size = random() % 12; size > 0; --size) {
      value.content += alphabet[random() % alphabet.size()];
    }
    values.push_back(value);
  }
  for (const StoredValue& value : values) {
    Json item = Json::object();
    AddValue(value, &item);
    const auto read = ValueFromJson(*ParseJson(JsonText(item)));
    ASSERT_TRUE(read.ok()) << JsonText(item);
    ASSERT_EQ(*read, value) << JsonText(item);
  }
}

TEST(ItemJsonTest, ArgumentsAreJsonWhereTheyCanBe) {
  EXPECT_EQ(GuessFormat("{\"a\":1}").format, btree::ValueFormat::kJson);
  EXPECT_EQ(GuessFormat("100").format, btree::ValueFormat::kJson);
  EXPECT_EQ(GuessFormat("a word").format, btree::ValueFormat::kText);
  EXPECT_EQ(GuessFormat("\xff").format, btree::ValueFormat::kBytes);
}

TEST(ItemJsonTest, LinesForPeopleHoldNoControlCharacters) {
  EXPECT_EQ(PrintableLine("a\tb\nc\x1b[0m"), "a\\tb\\nc\\x1b[0m");
  EXPECT_EQ(PrintableLine("caf\u00e9"), "caf\u00e9");
  EXPECT_EQ(PrintableLine("\xff"), "\\xff");
}

}  // namespace
}  // namespace sop::cli
