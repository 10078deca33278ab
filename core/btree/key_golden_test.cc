// The examples of docs/formats/key.md, read from key_golden.json as every client's tests do.
#include <string>

#include <gtest/gtest.h>

#include "core/base/bytes.h"
#include "core/base/error.h"
#include "core/btree/golden_file.h"
#include "core/btree/key.h"
#include "core/btree/key_schema.h"

namespace sop::btree {
namespace {

Uuid UuidOfText(std::string text) {
  std::erase(text, '-');
  return UuidFromBytes(FromHex(text));
}

ScalarType TypeOfText(const std::string& name) {
  const auto type = TypeNamed(name);
  EXPECT_TRUE(type.has_value()) << name;
  return type.value_or(ScalarType::kNull);
}

Direction DirectionOfText(const std::string& name) {
  EXPECT_TRUE(name == "ascending" || name == "descending") << name;
  return name == "descending" ? Direction::kDescending : Direction::kAscending;
}

Scalar ScalarOfText(ScalarType type, const std::string& text) {
  switch (type) {
    case ScalarType::kBool:
      return text == "true";
    case ScalarType::kInt64:
      return static_cast<int64_t>(std::stoll(text));
    case ScalarType::kDouble:
      return std::strtod(text.c_str(), nullptr);
    case ScalarType::kTimestamp:
      return Timestamp{std::stoll(text)};
    case ScalarType::kUuid:
      return UuidOfText(text);
    case ScalarType::kString:
      return text;
    default:
      return Bytes{FromHex(text)};
  }
}

TEST(KeyGoldenTest, ScalarsEncodeAndDecodeAsThePageShows) {
  const GoldenNode golden = GoldenNode::Load("key_golden.json");
  ASSERT_GT(golden["scalars"].list().size(), 30u);
  for (const GoldenNode& example : golden["scalars"].list()) {
    const Scalar scalar = ScalarOfText(TypeOfText(example.Text("type")), example.Text("value"));
    const std::string expected = example.Hex("key");
    std::string encoded;
    ASSERT_TRUE(
        AppendScalar("", scalar, DirectionOfText(example.Text("direction")), &encoded).ok());
    EXPECT_EQ(base::Hex(encoded), base::Hex(expected)) << Printable(scalar);

    std::string_view rest = expected;
    EncodedField field;
    ASSERT_TRUE(TakeField(&rest, &field).ok()) << example.Text("key");
    EXPECT_TRUE(rest.empty());
    EXPECT_EQ(DecodeField(field), scalar) << example.Text("key");
  }
}

TEST(KeyGoldenTest, SchemasAndRecordsAreAsThePageShows) {
  const GoldenNode golden = GoldenNode::Load("key_golden.json");
  for (const GoldenNode& example : golden["schemas"].list()) {
    std::vector<DeclaredField> fields;
    for (const GoldenNode& field : example["fields"].list()) {
      fields.push_back({field.Text("name"), TypeOfText(field.Text("type"))});
    }
    IndexSpecification index;
    for (const GoldenNode& field : example["index"].list()) {
      index.push_back({field.Text("name"), DirectionOfText(field.Text("direction"))});
    }
    const bool scalar = example.Text("form") == "scalar";
    const auto schema = scalar ? KeySchema::ForScalar(fields[0].type, index[0].direction)
                               : KeySchema::ForRecord(fields, index);
    ASSERT_TRUE(schema.ok()) << schema.status();
    EXPECT_EQ(base::Hex(schema->Serialize()), example.Text("schema"));
    const auto parsed = KeySchema::Parse(example.Hex("schema"));
    ASSERT_TRUE(parsed.ok()) << parsed.status();
    EXPECT_EQ(*parsed, *schema);

    for (const GoldenNode& item : example["keys"].list()) {
      Record record;
      for (const GoldenNode& field : item["record"].list()) {
        const ScalarType type = schema->fields()[schema->FieldNumber(field.Text("name"))].type;
        record.fields.push_back({field.Text("name"), ScalarOfText(type, field.Text("value"))});
      }
      const Key key = scalar ? Key(record.fields[0].value) : Key(record);
      const auto encoded = schema->Encode(key);
      ASSERT_TRUE(encoded.ok()) << encoded.status();
      EXPECT_EQ(base::Hex(encoded->key), item.Text("key"));
      EXPECT_EQ(base::Hex(encoded->ride_on), item.Text("ride_on"));
    }
  }
}

TEST(KeyGoldenTest, MalformedBytesAreRefused) {
  const GoldenNode golden = GoldenNode::Load("key_golden.json");
  ASSERT_GT(golden["refused"].list().size(), 15u);
  for (const GoldenNode& example : golden["refused"].list()) {
    const std::string bytes = example.Hex("key");
    std::string_view rest = bytes;
    EncodedField field;
    EXPECT_EQ(ReasonOf(TakeField(&rest, &field)), Reason::kInvalidKey) << example.Text("why");
  }
}

TEST(KeyGoldenTest, ItemIdsAndSuccessorsAreAsThePageShows) {
  const GoldenNode golden = GoldenNode::Load("key_golden.json");
  for (const GoldenNode& example : golden["item_ids"].list()) {
    std::string stored = example.Hex("key");
    const Uuid id = UuidOfText(example.Text("item_id"));
    AppendItemId(id, &stored);
    EXPECT_EQ(base::Hex(stored), example.Text("stored"));
    const auto split = SplitItemId(stored);
    ASSERT_TRUE(split.ok());
    EXPECT_EQ(split->key, example.Hex("key"));
    EXPECT_EQ(split->item_id, id);
  }
  for (const GoldenNode& example : golden["prefix_successors"].list()) {
    EXPECT_EQ(base::Hex(PrefixSuccessor(example.Hex("prefix"))), example.Text("successor"));
  }
}

TEST(KeyGoldenTest, ThePageShowsEveryExample) {
  const GoldenNode golden = GoldenNode::Load("key_golden.json");
  const std::string page = ReadFormatsFile("key.md");
  const auto shows = [&](const std::string& hex) {
    return hex.empty() || page.find("`" + hex + "`") != page.npos;
  };
  for (const GoldenNode& example : golden["scalars"].list()) {
    EXPECT_TRUE(shows(example.Text("key"))) << example.Text("key");
  }
  for (const GoldenNode& example : golden["refused"].list()) {
    EXPECT_TRUE(shows(example.Text("key"))) << example.Text("key");
  }
  for (const GoldenNode& example : golden["schemas"].list()) {
    EXPECT_TRUE(shows(example.Text("schema"))) << example.Text("schema");
    for (const GoldenNode& item : example["keys"].list()) {
      EXPECT_TRUE(shows(item.Text("key"))) << item.Text("key");
      EXPECT_TRUE(shows(item.Text("ride_on"))) << item.Text("ride_on");
    }
  }
}

}  // namespace
}  // namespace sop::btree
