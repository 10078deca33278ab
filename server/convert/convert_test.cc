#include <limits>
#include <string>

#include "core/base/error.h"
#include "gtest/gtest.h"
#include "server/convert/id.h"
#include "server/convert/key.h"
#include "server/convert/schema.h"
#include "server/convert/store.h"

namespace sop::convert {
namespace {

using btree::Key;
using btree::Record;
using btree::Scalar;

Key RoundTrip(const Key& key) {
  v1::Key wire;
  KeyToProto(key, &wire);
  v1::Key parsed;
  EXPECT_TRUE(parsed.ParseFromString(wire.SerializeAsString()));
  auto back = KeyFromProto(parsed);
  EXPECT_TRUE(back.ok()) << back.status();
  return back.ok() ? *back : Key();
}

TEST(KeyTest, EveryKindSurvivesTheWire) {
  const Scalar scalars[] = {Scalar(true),
                            Scalar(std::numeric_limits<int64_t>::min()),
                            Scalar(-0.5),
                            Scalar(std::string("gr\u00fc\u00df")),
                            Scalar(btree::Bytes{std::string("\0\xff", 2)}),
                            Scalar(Uuid{1, 2}),
                            Scalar(btree::Timestamp{-1})};
  Record record;
  for (const Scalar& scalar : scalars) {
    EXPECT_EQ(RoundTrip(Key(scalar)), Key(scalar));
    record.fields.push_back({"f" + std::to_string(record.fields.size()), scalar});
  }
  EXPECT_EQ(RoundTrip(Key(record)), Key(record));
  EXPECT_EQ(RoundTrip(Key(btree::EncodedKey{"k", "r"})), Key(btree::EncodedKey{"k", "r"}));
}

TEST(KeyTest, MalformedKeysAreInvalid) {
  v1::Key key;
  EXPECT_EQ(ReasonOf(KeyFromProto(key).status()), Reason::kInvalidKey);
  key.set_uuid_value("short");
  EXPECT_EQ(ReasonOf(KeyFromProto(key).status()), Reason::kInvalidKey);
  key.mutable_record()->add_fields()->set_name("a");
  EXPECT_EQ(ReasonOf(KeyFromProto(key).status()), Reason::kInvalidKey);
  key.mutable_record()->mutable_fields(0)->mutable_value()->set_bool_value(true);
  EXPECT_TRUE(KeyFromProto(key).ok());
  *key.mutable_record()->add_fields() = key.record().fields(0);
  const auto twice = KeyFromProto(key);
  EXPECT_EQ(ReasonOf(twice.status()), Reason::kInvalidKey);
  EXPECT_EQ(DetailsOf(twice.status())[0].second, "a");
}

TEST(RangeTest, PrefixAndBoundsIntersect) {
  const auto schema = btree::KeySchema::ForScalar(btree::ScalarType::kString);
  ASSERT_TRUE(schema.ok());
  const auto encode = [&](const std::string& text) {
    return schema->Encode(Key(Scalar(text)))->key;
  };
  v1::KeyRange range;
  range.mutable_prefix()->set_string_value("ab");
  range.mutable_begin()->set_string_value("abc");
  const auto keys = RangeFromProto(range, *schema);
  ASSERT_TRUE(keys.ok()) << keys.status();
  EXPECT_FALSE(keys->Contains(encode("abb")));
  EXPECT_TRUE(keys->Contains(encode("abc")));
  EXPECT_TRUE(keys->Contains(encode("abz")));
  EXPECT_FALSE(keys->Contains(encode("ac")));
  range.set_begin_exclusive(true);
  range.mutable_end()->set_string_value("abz");
  range.set_end_inclusive(true);
  const auto inner = RangeFromProto(range, *schema);
  EXPECT_FALSE(inner->Contains(encode("abc")));
  EXPECT_TRUE(inner->Contains(encode("abz")));
  EXPECT_FALSE(inner->Contains(encode("abza")));
}

TEST(RangeTest, RecordPrefixComparesWholeFieldsUnlessPartial) {
  const auto schema = btree::KeySchema::ForRecord(
      {{"a", btree::ScalarType::kString}, {"b", btree::ScalarType::kInt64}}, {});
  ASSERT_TRUE(schema.ok());
  const auto encode = [&](const std::string& a, int64_t b) {
    return schema->Encode(Key(Record{{{"a", Scalar(a)}, {"b", Scalar(b)}}}))->key;
  };
  v1::KeyRange range;
  v1::Field* field = range.mutable_prefix()->mutable_record()->add_fields();
  field->set_name("a");
  field->mutable_value()->set_string_value("x");
  const auto whole = RangeFromProto(range, *schema);
  ASSERT_TRUE(whole.ok()) << whole.status();
  EXPECT_TRUE(whole->Contains(encode("x", -1)));
  EXPECT_FALSE(whole->Contains(encode("xy", 0)));
  range.set_partial_last_field(true);
  EXPECT_TRUE(RangeFromProto(range, *schema)->Contains(encode("xy", 0)));
}

TEST(IdTest, IdsHaveSixteenBytes) {
  EXPECT_TRUE(UuidFromProto("transaction_id", "")->IsZero());
  const Uuid id{0x0123456789ab7def, 0x8123456789abcdef};
  EXPECT_EQ(*UuidFromProto("transaction_id", id.Bytes()), id);
  EXPECT_EQ(*RequestIdFromProto(id.Bytes()), id);
  EXPECT_EQ(ReasonOf(UuidFromProto("transaction_id", "x").status()), Reason::kInvalidArgument);
  EXPECT_EQ(ReasonOf(RequestIdFromProto(Uuid{1, 1}.Bytes()).status()), Reason::kInvalidArgument);
}

TEST(IdTest, CommitVersionsAreOrderedBytes) {
  EXPECT_LT(CommitVersion(Sequence{255}), CommitVersion(Sequence{256}));
  EXPECT_EQ(*SequenceFromProto("at_least_version", CommitVersion(Sequence{77})), Sequence{77});
  EXPECT_EQ(*SequenceFromProto("at_least_version", ""), Sequence{0});
  EXPECT_FALSE(SequenceFromProto("at_least_version", "7").ok());
  EXPECT_FALSE(SequenceFromProto("at_least_version", std::string(8, '\xff')).ok());
}

TEST(IdTest, FormatsAreInverse) {
  for (const auto format :
       {btree::ValueFormat::kBytes, btree::ValueFormat::kText, btree::ValueFormat::kJson}) {
    EXPECT_EQ(*FormatFromProto(FormatToProto(format)), format);
  }
  EXPECT_EQ(*FormatFromProto(v1::VALUE_FORMAT_UNSPECIFIED), btree::ValueFormat::kBytes);
  EXPECT_EQ(ReasonOf(FormatFromProto(static_cast<v1::ValueFormat>(9)).status()),
            Reason::kInvalidValue);
}

v1::KeySchema Declared(v1::KeyShape shape, const std::string& name, v1::ScalarType type) {
  v1::KeySchema schema;
  schema.set_shape(shape);
  v1::SchemaField* field = schema.add_fields();
  field->set_name(name);
  field->set_type(type);
  return schema;
}

TEST(SchemaTest, DeclaredSchemasSurvive) {
  auto declared = Declared(v1::KEY_SHAPE_RECORD, "a", v1::SCALAR_TYPE_UUID);
  v1::SchemaField* rides = declared.add_fields();
  rides->set_name("b");
  rides->set_type(v1::SCALAR_TYPE_TIMESTAMP);
  v1::IndexSpecification index;
  index.add_fields()->set_name("a");
  index.mutable_fields(0)->set_ascending(false);
  const auto specification = IndexFromProto(index);
  ASSERT_TRUE(specification.ok()) << specification.status();
  const auto schema = SchemaFromProto(declared, *specification);
  ASSERT_TRUE(schema.ok()) << schema.status();
  v1::KeySchema wire;
  SchemaToProto(**schema, &wire);
  ASSERT_EQ(wire.fields_size(), 2);
  EXPECT_EQ(wire.shape(), v1::KEY_SHAPE_RECORD);
  EXPECT_EQ(wire.fields(0).index_position(), 0u);
  EXPECT_TRUE(wire.fields(0).descending());
  EXPECT_FALSE(wire.fields(1).has_index_position());
  EXPECT_EQ(wire.fields(1).type(), v1::SCALAR_TYPE_TIMESTAMP);
  v1::IndexSpecification back;
  IndexToProto((*schema)->Index(), &back);
  EXPECT_EQ(back.SerializeAsString(), index.SerializeAsString());
}

TEST(SchemaTest, ContradictionsAreInvalid) {
  EXPECT_FALSE(SchemaFromProto({}, {})->has_value());
  const auto reason = [](const v1::KeySchema& schema, const btree::IndexSpecification& index) {
    return ReasonOf(SchemaFromProto(schema, index).status());
  };
  EXPECT_EQ(reason(Declared(v1::KEY_SHAPE_SCALAR, "named", v1::SCALAR_TYPE_BOOL), {}),
            Reason::kInvalidArgument);
  EXPECT_EQ(reason(Declared(v1::KEY_SHAPE_UNSPECIFIED, "a", v1::SCALAR_TYPE_BOOL), {}),
            Reason::kInvalidArgument);
  EXPECT_EQ(reason(Declared(v1::KEY_SHAPE_RECORD, "a", v1::SCALAR_TYPE_UNSPECIFIED), {}),
            Reason::kInvalidArgument);
  v1::IndexSpecification index;
  EXPECT_EQ(ReasonOf(IndexFromProto(index).status()), Reason::kInvalidArgument);
  index.add_fields()->set_name("a");
  index.add_fields()->set_name("a");
  EXPECT_EQ(ReasonOf(IndexFromProto(index).status()), Reason::kInvalidArgument);
}

TEST(StoreTest, OnlyGivenOptionsAreGiven) {
  const auto nothing = OptionsFromProto({});
  ASSERT_TRUE(nothing.ok());
  EXPECT_FALSE(nothing->uniqueness.has_value());
  EXPECT_FALSE(nothing->value_placement.has_value());
  EXPECT_FALSE(nothing->slot_length.has_value());
  EXPECT_FALSE(nothing->index.has_value());
  EXPECT_FALSE(nothing->schema.has_value());
  EXPECT_FALSE(nothing->relations.has_value());

  v1::BtreeOptions options;
  options.set_unique(false);
  options.set_value_size(v1::VALUE_SIZE_BIG);
  options.set_slot_length(7);
  options.mutable_index()->add_fields()->set_name("a");
  v1::Relation* relation = options.add_relations();
  relation->add_source_fields("a");
  relation->set_target_store("t");
  relation->add_target_fields("id");
  const auto given = OptionsFromProto(options);
  ASSERT_TRUE(given.ok()) << given.status();
  const auto complete = catalog::Complete(*given);
  ASSERT_TRUE(complete.ok()) << complete.status();

  catalog::StoreEntry entry;
  entry.name = "s";
  entry.id = StoreId{9};
  entry.options = *complete;
  v1::Store store;
  StoreToProto(entry, &store);
  EXPECT_EQ(store.name(), "s");
  EXPECT_EQ(store.id(), 9u);
  EXPECT_FALSE(store.options().unique());
  EXPECT_EQ(store.options().value_size(), v1::VALUE_SIZE_BIG);
  EXPECT_EQ(store.options().slot_length(), 7u);
  EXPECT_TRUE(store.options().index().fields(0).ascending());
  EXPECT_EQ(store.options().relations(0).SerializeAsString(), relation->SerializeAsString());
  EXPECT_EQ(store.schema().shape(), v1::KEY_SHAPE_UNSPECIFIED);

  options.set_value_size(static_cast<v1::ValueSize>(44));
  EXPECT_EQ(ReasonOf(OptionsFromProto(options).status()), Reason::kInvalidArgument);
}

}  // namespace
}  // namespace sop::convert
