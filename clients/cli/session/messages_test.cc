#include "clients/cli/session/messages.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "core/btree/key_schema.h"

namespace sop::cli {
namespace {

using btree::Key;
using btree::Record;
using btree::Scalar;
using testing::HasSubstr;

v1::Store Characters() {
  v1::Store store;
  store.set_name("characters");
  store.set_item_count(34'924);
  v1::BtreeOptions* options = store.mutable_options();
  options->set_unique(true);
  options->set_slot_length(500);
  options->set_description("the Unicode character database");
  options->set_value_size(v1::VALUE_SIZE_SMALL);
  options->mutable_index()->add_fields()->set_name("category");
  v1::IndexField* second = options->mutable_index()->add_fields();
  second->set_name("code_point");
  second->set_ascending(false);
  v1::KeySchema* schema = store.mutable_schema();
  schema->set_shape(v1::KEY_SHAPE_RECORD);
  AddSchemaField("code_point", btree::ScalarType::kInt64, schema);
  AddSchemaField("category", btree::ScalarType::kString, schema);
  AddSchemaField("name", btree::ScalarType::kString, schema);
  schema->mutable_fields(0)->set_index_position(1);
  schema->mutable_fields(0)->set_descending(true);
  schema->mutable_fields(1)->set_index_position(0);
  return store;
}

TEST(MessagesTest, EveryKindOfKeyComesBack) {
  const std::vector<Key> keys = {Scalar(true),
                                 Scalar(int64_t{-5}),
                                 Scalar(2.5),
                                 Scalar(std::string("caf\u00e9")),
                                 Scalar(btree::Bytes{"\xff"}),
                                 Scalar(Uuid{7, 8}),
                                 Scalar(btree::Timestamp{-9}),
                                 Record{{{"a", std::string("x")}, {"b", int64_t{1}}}}};
  for (const Key& key : keys) {
    v1::Key message;
    KeyToProto(key, &message);
    const auto back = KeyFromProto(message);
    ASSERT_TRUE(back.ok()) << message.DebugString();
    EXPECT_EQ(*back, key) << message.DebugString();
  }
  EXPECT_EQ(KeyFromProto({}).status().code(), absl::StatusCode::kInternal);
}

TEST(MessagesTest, ValuesComeBackWithTheirFormat) {
  for (const auto format :
       {btree::ValueFormat::kBytes, btree::ValueFormat::kText, btree::ValueFormat::kJson}) {
    v1::Value message;
    ValueToProto({"content", format}, &message);
    EXPECT_EQ(ValueFromProto(message), (StoredValue{"content", format}));
  }
}

TEST(MessagesTest, TheKeysOfAStoreFollowItsSchemaAndIndex) {
  const auto keys = KeysOf(Characters());
  ASSERT_TRUE(keys.ok()) << keys.status();
  EXPECT_EQ(keys->index_fields, (std::vector<std::string>{"category", "code_point"}));
  EXPECT_EQ(KeyText(*keys, *ParseKey(*keys, "Lu,0x41")), "Lu,65");
  // The second field is descending.
  const auto larger = keys->schema->Encode(*ParseKey(*keys, "Lu,66"));
  const auto smaller = keys->schema->Encode(*ParseKey(*keys, "Lu,65"));
  EXPECT_LT(larger->key, smaller->key);
  const auto unknown = KeysOf(v1::Store());
  ASSERT_TRUE(unknown.ok());
  EXPECT_FALSE(unknown->schema.has_value());
}

TEST(MessagesTest, AnEqualStoreCanBeMadeOfADescription) {
  const v1::Store store = Characters();
  const auto options = OptionsFromJson(*ParseJson(JsonText(StoreJson(store))));
  ASSERT_TRUE(options.ok()) << options.status();
  EXPECT_TRUE(options->unique());
  EXPECT_EQ(options->slot_length(), 500u);
  EXPECT_EQ(options->description(), store.options().description());
  EXPECT_EQ(options->value_size(), v1::VALUE_SIZE_SMALL);
  ASSERT_EQ(options->index().fields_size(), 2);
  EXPECT_EQ(options->index().fields(1).name(), "code_point");
  EXPECT_FALSE(options->index().fields(1).ascending());
  ASSERT_EQ(options->schema().fields_size(), 3);
  EXPECT_EQ(options->schema().shape(), v1::KEY_SHAPE_RECORD);
  EXPECT_EQ(options->schema().fields(0).type(), v1::SCALAR_TYPE_INT64);
  EXPECT_FALSE(options->schema().fields(0).has_index_position());
}

TEST(MessagesTest, DamagedDescriptionsAreRefused) {
  for (const char* text : {"[]", "{\"schema\":[]}", "{\"unique\":\"x\"}", "{\"index\":{}}",
                           "{\"schema\":{\"fields\":[{\"type\":\"number\"}]}}"}) {
    EXPECT_EQ(OptionsFromJson(*ParseJson(text)).status().code(), absl::StatusCode::kInvalidArgument)
        << text;
  }
}

TEST(MessagesTest, AStoreIsDescribedInWords) {
  EXPECT_THAT(StoreText(Characters()),
              HasSubstr("unique; keys: category string, code_point int64 descending; riding on: "
                        "name string"));
}

TEST(MessagesTest, RangesHaveThePartsThatWereGiven) {
  const auto keys = KeysOf(Characters());
  const auto range = MakeRange(*keys, {.prefix = "L*", .from = "Lu", .to = "Lu,65"});
  ASSERT_TRUE(range.ok()) << range.status();
  EXPECT_TRUE(range->partial_last_field());
  EXPECT_EQ(range->prefix().record().fields(0).value().string_value(), "L");
  EXPECT_EQ(range->begin().record().fields_size(), 1);
  EXPECT_EQ(range->end().record().fields(1).value().int64_value(), 65);
  EXPECT_FALSE(range->begin_exclusive() || range->end_inclusive());
  EXPECT_FALSE(MakeRange(*keys, {.prefix = "", .from = "Lu,x", .to = ""}).ok());
}

}  // namespace
}  // namespace sop::cli
