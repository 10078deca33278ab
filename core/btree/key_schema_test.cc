#include "core/btree/key_schema.h"

#include <limits>
#include <string>

#include <gtest/gtest.h>

#include "core/base/error.h"

namespace sop::btree {
namespace {

constexpr Direction kUp = Direction::kAscending;
constexpr Direction kDown = Direction::kDescending;

KeySchema People() {
  return KeySchema::ForRecord({{"name", ScalarType::kString},
                               {"city", ScalarType::kString},
                               {"age", ScalarType::kInt64},
                               {"mail", ScalarType::kString}},
                              {{"city", kUp}, {"age", kDown}})
      .value();
}

Record Person(const std::string& city, int64_t age) {
  return Record{{{"city", city}, {"age", age}}};
}

std::string Detail(const absl::Status& status, const std::string& name) {
  for (const auto& [key, value] : DetailsOf(status)) {
    if (key == name) return value;
  }
  return "";
}

TEST(KeySchemaTest, WithoutSpecificationFieldsAreOrderedByName) {
  const Record first{{{"b", int64_t{1}}, {"a", std::string("x")}}};
  const auto schema = KeySchema::FromFirstKey(first, {});
  ASSERT_TRUE(schema.ok()) << schema.status();
  EXPECT_EQ(schema->Index(), (IndexSpecification{{"a", kUp}, {"b", kUp}}));
}

TEST(KeySchemaTest, FirstKeysThatDifferInFieldOrderDecideAlike) {
  const Record one{{{"b", int64_t{1}}, {"a", std::string("x")}, {"c", true}}};
  const Record other{{{"c", false}, {"a", std::string("y")}, {"b", int64_t{2}}}};
  const IndexSpecification index{{"b", kDown}};
  EXPECT_EQ(KeySchema::FromFirstKey(one, index).value(),
            KeySchema::FromFirstKey(other, index).value());
}

TEST(KeySchemaTest, FirstScalarDecidesTypeAndSpecificationDirection) {
  const auto plain = KeySchema::FromFirstKey(Scalar(int64_t{1}), {});
  EXPECT_EQ(*plain, KeySchema::ForScalar(ScalarType::kInt64).value());
  const auto inverted = KeySchema::FromFirstKey(Scalar(int64_t{1}), {{"", kDown}});
  EXPECT_EQ(*inverted, KeySchema::ForScalar(ScalarType::kInt64, kDown).value());
  const auto encoded = inverted->Encode(Scalar(int64_t{1}));
  EXPECT_EQ(KeySchema::FromFirstKey(*encoded, {}).value(), *inverted);
}

TEST(KeySchemaTest, FirstKeyThatDoesNotFitTheSpecificationIsRefusedByField) {
  const absl::Status scalar = KeySchema::FromFirstKey(Scalar(int64_t{1}), {{"city", kUp}}).status();
  EXPECT_EQ(ReasonOf(scalar), Reason::kFieldMissing);
  EXPECT_EQ(Detail(scalar, "field"), "city");
  const absl::Status record =
      KeySchema::FromFirstKey(Person("x", 1), {{"city", kUp}, {"street", kUp}}).status();
  EXPECT_EQ(ReasonOf(record), Reason::kFieldMissing);
  EXPECT_EQ(Detail(record, "field"), "street");
}

TEST(KeySchemaTest, EncodedKeyOfSeveralFieldsDecidesNothing) {
  const auto encoded = People().Encode(Person("x", 1));
  EXPECT_EQ(ReasonOf(KeySchema::FromFirstKey(*encoded, {}).status()), Reason::kInvalidKey);
}

TEST(KeySchemaTest, DeclarationsThatMakeNoSenseAreRefused) {
  const DeclaredField a{"a", ScalarType::kInt64};
  const auto reason = [](const std::vector<DeclaredField>& fields,
                         const IndexSpecification& index) {
    return ReasonOf(KeySchema::ForRecord(fields, index).status());
  };
  EXPECT_EQ(reason({}, {}), Reason::kInvalidKey);
  EXPECT_EQ(reason({a, a}, {{"a", kUp}}), Reason::kInvalidKey);
  EXPECT_EQ(reason({a}, {{"b", kUp}}), Reason::kFieldUnknown);
  EXPECT_EQ(reason({a}, {{"a", kUp}, {"a", kDown}}), Reason::kInvalidArgument);
  EXPECT_EQ(reason({{"a/b", ScalarType::kInt64}}, {}), Reason::kInvalidName);
  EXPECT_EQ(reason({{"a", ScalarType::kNull}}, {}), Reason::kInvalidKey);
  std::vector<DeclaredField> many;
  for (size_t i = 0; i <= kMaxKeyFields; ++i) {
    many.push_back({std::to_string(i), ScalarType::kBool});
  }
  EXPECT_EQ(reason(many, {}), Reason::kInvalidKey);
  many.pop_back();
  EXPECT_TRUE(KeySchema::ForRecord(many, {}).ok());
}

TEST(KeySchemaTest, WrongFormTypeOrFieldIsNamed) {
  const KeySchema people = People();
  EXPECT_EQ(ReasonOf(people.Encode(Scalar(int64_t{1})).status()), Reason::kKeyTypeDiffers);
  EXPECT_EQ(ReasonOf(KeySchema::ForScalar(ScalarType::kBool)->Encode(Person("x", 1)).status()),
            Reason::kKeyTypeDiffers);

  const absl::Status type =
      people.Encode(Record{{{"city", std::string("x")}, {"age", 1.0}}}).status();
  EXPECT_EQ(ReasonOf(type), Reason::kKeyTypeDiffers);
  EXPECT_EQ(type.code(), absl::StatusCode::kInvalidArgument);
  EXPECT_EQ(Detail(type, "field"), "age");
  EXPECT_EQ(Detail(type, "expected"), "int64");

  const absl::Status missing = people.Encode(Record{{{"city", std::string("x")}}}).status();
  EXPECT_EQ(ReasonOf(missing), Reason::kFieldMissing);
  EXPECT_EQ(Detail(missing, "field"), "age");

  Record unknown = Person("x", 1);
  unknown.fields.push_back({"shoe", int64_t{44}});
  EXPECT_EQ(ReasonOf(people.Encode(unknown).status()), Reason::kFieldUnknown);
  EXPECT_EQ(Detail(people.Encode(unknown).status(), "field"), "shoe");

  Record twice = Person("x", 1);
  twice.fields.push_back({"age", int64_t{2}});
  EXPECT_EQ(ReasonOf(people.Encode(twice).status()), Reason::kInvalidKey);
}

TEST(KeySchemaTest, NanAndBadTextAreRefused) {
  const auto doubles = KeySchema::ForScalar(ScalarType::kDouble);
  const Scalar nan = std::numeric_limits<double>::quiet_NaN();
  EXPECT_EQ(ReasonOf(doubles->Encode(nan).status()), Reason::kInvalidKey);
  EXPECT_EQ(doubles->Encode(Scalar(-0.0)).value(), doubles->Encode(Scalar(0.0)).value());
  const absl::Status text = People().Encode(Person("\xff", 1)).status();
  EXPECT_EQ(ReasonOf(text), Reason::kInvalidKey);
  EXPECT_EQ(Detail(text, "field"), "city");
}

TEST(KeySchemaTest, KeyAndRideOnSizesAreLimited) {
  const auto strings = KeySchema::ForScalar(ScalarType::kString);
  const size_t fits = kMaxKeySizeBytes - 3;
  EXPECT_TRUE(strings->Encode(Scalar(std::string(fits, 'x'))).ok());
  for (size_t size : {fits + 1, kMaxKeySizeBytes + 1, 100 * kMaxKeySizeBytes}) {
    const absl::Status status = strings->Encode(Scalar(std::string(size, 'x'))).status();
    EXPECT_EQ(ReasonOf(status), Reason::kInvalidKey) << size;
    EXPECT_EQ(Detail(status, "limit"), "4096") << size;
  }
  Record person = Person("x", 1);
  person.fields.push_back({"mail", std::string(kMaxRideOnSizeBytes - 4, 'x')});
  EXPECT_TRUE(People().Encode(person).ok());
  person.fields.back().value = std::string(kMaxRideOnSizeBytes - 3, 'x');
  EXPECT_EQ(ReasonOf(People().Encode(person).status()), Reason::kInvalidKey);
}

TEST(KeySchemaTest, EncodedKeysAreCheckedAgainstTheSchema) {
  const KeySchema people = People();
  const EncodedKey good = people.Encode(Person("x", 1)).value();
  EXPECT_EQ(people.Encode(good).value(), good);

  const auto other = KeySchema::ForRecord(
      {{"city", ScalarType::kString}, {"age", ScalarType::kInt64}}, {{"city", kUp}, {"age", kUp}});
  const EncodedKey ascending = other->Encode(Person("x", 1)).value();
  EXPECT_EQ(ReasonOf(people.Encode(ascending).status()), Reason::kInvalidKey);

  const auto scalar = KeySchema::ForScalar(ScalarType::kInt64);
  EXPECT_EQ(ReasonOf(people.Encode(scalar->Encode(Scalar(int64_t{1})).value()).status()),
            Reason::kKeyTypeDiffers);
  EXPECT_EQ(ReasonOf(people.Encode(EncodedKey{}).status()), Reason::kFieldMissing);
  EXPECT_EQ(ReasonOf(people.Encode(EncodedKey{good.key + good.key, ""}).status()),
            Reason::kInvalidKey);
  // Field 1 is indexed, field 9 is none.
  const std::string one = scalar->Encode(Scalar(int64_t{1}))->key;
  EXPECT_EQ(ReasonOf(people.Validate(good.key, "\1" + one)), Reason::kInvalidKey);
  EXPECT_EQ(ReasonOf(people.Validate(good.key, "\11" + one)), Reason::kInvalidKey);
}

TEST(KeySchemaTest, DecodingWhatDoesNotFitIsDataLoss) {
  const auto strings = KeySchema::ForScalar(ScalarType::kString);
  EXPECT_EQ(strings->Decode("\x40 no end", "").status().code(), absl::StatusCode::kDataLoss);
  EXPECT_EQ(strings->Decode("", "").status().code(), absl::StatusCode::kDataLoss);
}

TEST(KeySchemaTest, PrefixNeedsTheFieldsBeforeIt) {
  const KeySchema people = People();
  const auto city =
      people.EncodePrefix(Record{{{"city", std::string("Ulm")}}}, PrefixMatch::kWholeFields);
  ASSERT_TRUE(city.ok());
  EXPECT_TRUE(city->Contains(people.Encode(Person("Ulm", 5))->key));
  EXPECT_FALSE(city->Contains(people.Encode(Person("Ulmen", 5))->key));
  const auto start =
      people.EncodePrefix(Record{{{"city", std::string("Ulm")}}}, PrefixMatch::kStartOfString);
  EXPECT_TRUE(start->Contains(people.Encode(Person("Ulmen", 5))->key));
  EXPECT_EQ(*people.EncodePrefix(Record{}, PrefixMatch::kWholeFields), KeyRange());
  EXPECT_EQ(
      ReasonOf(
          people.EncodePrefix(Record{{{"age", int64_t{5}}}}, PrefixMatch::kWholeFields).status()),
      Reason::kFieldMissing);
  EXPECT_EQ(ReasonOf(people.EncodePrefix(Person("Ulm", 5), PrefixMatch::kStartOfString).status()),
            Reason::kInvalidKey);
}

TEST(KeySchemaTest, EncodedPrefixCountsAsLeadingFields) {
  const KeySchema people = People();
  const std::string city =
      people.EncodeLeading(Record{{{"city", std::string("Ulm")}}}, PrefixMatch::kWholeFields)
          .value();
  const auto range = people.EncodePrefix(EncodedKey{city, ""}, PrefixMatch::kStartOfString);
  ASSERT_TRUE(range.ok());
  EXPECT_TRUE(range->Contains(people.Encode(Person("Ulmen", 5))->key));
}

TEST(KeySchemaTest, PatchRideOnReplacesAddsAndKeeps) {
  const KeySchema people = People();
  Record person = Person("Ulm", 5);
  person.fields.push_back({"name", std::string("Ann")});
  const EncodedKey encoded = people.Encode(person).value();
  const auto patched =
      people.PatchRideOn(encoded.ride_on, Record{{{"mail", std::string("ann@ulm")}}});
  ASSERT_TRUE(patched.ok()) << patched.status();
  const Record both = std::get<Record>(people.Decode(encoded.key, *patched).value());
  EXPECT_EQ(*both.Find("name"), Scalar(std::string("Ann")));
  EXPECT_EQ(*both.Find("mail"), Scalar(std::string("ann@ulm")));
  const auto again = people.PatchRideOn(*patched, Record{{{"name", std::string("Anna")}}});
  EXPECT_EQ(*std::get<Record>(people.Decode(encoded.key, *again).value()).Find("name"),
            Scalar(std::string("Anna")));
  EXPECT_EQ(ReasonOf(people.PatchRideOn("", Person("Ulm", 6)).status()), Reason::kInvalidKey);
  EXPECT_EQ(ReasonOf(people.PatchRideOn("\7", Record{}).status()), Reason::kDamaged);
}

TEST(KeySchemaTest, ParseSaysWhetherBytesAreDamagedOrOfALaterRelease) {
  std::string bytes = People().Serialize();
  EXPECT_EQ(ReasonOf(KeySchema::Parse(bytes.substr(0, bytes.size() - 1)).status()),
            Reason::kDamaged);
  EXPECT_EQ(ReasonOf(KeySchema::Parse(bytes + "x").status()), Reason::kDamaged);
  EXPECT_EQ(ReasonOf(KeySchema::Parse("").status()), Reason::kDamaged);
  bytes[0] = 2;
  EXPECT_EQ(ReasonOf(KeySchema::Parse(bytes).status()), Reason::kFormatNotSupported);
}

TEST(KeySchemaTest, IntersectionOfRangesTakesEmptyEndsAsOpen) {
  const KeyRange all;
  const KeyRange middle{"b", "d"};
  EXPECT_EQ(Intersection(all, all), all);
  EXPECT_EQ(Intersection(all, middle), middle);
  EXPECT_EQ(Intersection(middle, all), middle);
  EXPECT_EQ(Intersection(middle, KeyRange{"c", ""}), (KeyRange{"c", "d"}));
  EXPECT_EQ(Intersection(KeyRange{"a", "c"}, middle), (KeyRange{"b", "c"}));
  EXPECT_TRUE(Intersection(middle, KeyRange{"d", ""}).IsEmpty());
  EXPECT_FALSE(all.IsEmpty());
}

TEST(KeySchemaTest, SplitItemIdNeedsAKeyBeforeTheId) {
  EXPECT_EQ(ReasonOf(SplitItemId(std::string(16, 'x')).status()), Reason::kDamaged);
  EXPECT_EQ(SplitItemId(std::string(17, 'x'))->key, "x");
}

}  // namespace
}  // namespace sop::btree
