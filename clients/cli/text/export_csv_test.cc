#include "clients/cli/text/export_csv.h"

#include <gtest/gtest.h>

#include <random>
#include <sstream>
#include <string>
#include <vector>

#include "core/base/clock.h"
#include "core/base/random.h"

namespace sop::cli {
namespace {

using btree::NamedScalar;
using btree::Record;
using btree::ScalarType;

// Records of every type, with fields that ride on and may be missing.
class ExportCsvTest : public testing::Test {
 protected:
  ExportCsvTest() {
    const std::vector<btree::DeclaredField> fields = {
        {"text", ScalarType::kString},  {"flag", ScalarType::kBool},
        {"number", ScalarType::kInt64}, {"share", ScalarType::kDouble},
        {"raw", ScalarType::kBytes},    {"id", ScalarType::kUuid},
        {"at", ScalarType::kTimestamp}, {"note", ScalarType::kString},
        {"value", ScalarType::kBytes},  {"rank", ScalarType::kInt64}};
    keys_.index_fields = {"at", "text", "flag", "number", "share", "raw", "id"};
    btree::IndexSpecification index;
    for (const std::string& name : keys_.index_fields) index.push_back({name});
    keys_.schema = btree::KeySchema::ForRecord(fields, index).value();
    Json described = Json::array();
    for (const btree::SchemaField& field : keys_.schema->fields()) {
      Json json = {{"name", field.name}, {"type", btree::TypeName(field.type)}};
      if (field.index_position >= 0) json["index_position"] = field.index_position;
      described.push_back(json);
    }
    store_ = {{"name", "s"}, {"schema", {{"shape", "record"}, {"fields", described}}}};
  }

  std::string Text() {
    static const char* const kPieces[] = {"a", ",", "\"",       "\n", "\r\n", "\r",
                                          "ß", "",  ";empty=0", "{",  "\t"};
    std::string text;
    for (size_t i = random_() % 5; i > 0; --i) text += kPieces[random_() % std::size(kPieces)];
    return text;
  }
  std::string Raw() {
    std::string bytes(random_() % 4, '\0');
    for (char& byte : bytes) byte = static_cast<char>(random_());
    return bytes;
  }
  Record Key() {
    Record key;
    key.fields = {{"text", Text()},
                  {"flag", random_() % 2 == 0},
                  {"number", static_cast<int64_t>((uint64_t{random_()} << 32) | random_())},
                  {"share", static_cast<double>(random_()) / 7.0 - 1e8},
                  {"raw", btree::Bytes{Raw()}},
                  {"id", base::MakeUuid7(base::SystemClock(), base::SystemRandom())},
                  {"at", btree::Timestamp{static_cast<int64_t>(random_()) * 1'234'567'891}}};
    if (random_() % 2 == 0) key.fields.push_back({"note", Text()});
    if (random_() % 2 == 0) key.fields.push_back({"value", btree::Bytes{Raw()}});
    if (random_() % 2 == 0) key.fields.push_back({"rank", static_cast<int64_t>(random_())});
    return key;
  }
  StoredValue Value() {
    static constexpr btree::ValueFormat kFormats[] = {
        btree::ValueFormat::kBytes, btree::ValueFormat::kText, btree::ValueFormat::kJson};
    return {random_() % 2 == 0 ? Text() : Raw(), kFormats[random_() % 3]};
  }
  std::unique_ptr<ItemSource> Open(const std::string& text) {
    stream_ = std::istringstream(text);
    lines_.emplace(stream_);
    auto source = OpenExportCsv(*lines_);
    EXPECT_TRUE(source.ok()) << source.status();
    return source.ok() ? *std::move(source) : nullptr;
  }

  const uint32_t seed_ =
      testing::UnitTest::GetInstance()->random_seed() == 0
          ? 20261127u
          : static_cast<uint32_t>(testing::UnitTest::GetInstance()->random_seed());
  std::mt19937 random_{seed_};
  StoreKeys keys_;
  Json store_;
  std::istringstream stream_;
  std::optional<LineReader> lines_;
};

TEST_F(ExportCsvTest, RandomItemsComeBackAsTheyWere) {
  std::vector<ImportItem> items;
  std::string text = ExportCsvHeading(keys_, store_);
  EXPECT_TRUE(IsExportCsv(text));
  for (int i = 0; i < 2000; ++i) {
    items.push_back({Key(), Value()});
    text += ExportCsvRow(keys_, items.back().key, items.back().value);
  }
  const auto source = Open(text);
  ASSERT_NE(source, nullptr);
  for (size_t i = 0; i < items.size(); ++i) {
    ImportItem read;
    ASSERT_EQ(source->Next(&read), RowOutcome::kRow) << source->complaint() << ", seed " << seed_;
    const auto expected = keys_.schema->Encode(items[i].key);
    const auto got = keys_.schema->Encode(read.key);
    ASSERT_TRUE(expected.ok() && got.ok()) << got.status();
    ASSERT_EQ(*got, *expected) << "item " << i << ", seed " << seed_;
    ASSERT_EQ(read.value, items[i].value) << "item " << i << ", seed " << seed_;
  }
  ImportItem none;
  EXPECT_EQ(source->Next(&none), RowOutcome::kEnd);
}

TEST_F(ExportCsvTest, ScalarKeysHaveOneColumn) {
  StoreKeys keys;
  keys.schema = btree::KeySchema::ForScalar(ScalarType::kInt64).value();
  const Json store = {
      {"schema", {{"shape", "scalar"}, {"fields", {{{"name", ""}, {"type", "int64"}}}}}}};
  const std::string heading = ExportCsvHeading(keys, store);
  EXPECT_TRUE(heading.starts_with("key,value,\"{")) << heading;
  EXPECT_EQ(ExportCsvRow(keys, btree::Scalar(int64_t{-5}), {"a,b", btree::ValueFormat::kText}),
            "-5,\"a,b\",text\n");
  const auto source = Open(heading + "-5,\"a,b\",text\n7,,\n");
  ImportItem item;
  ASSERT_EQ(source->Next(&item), RowOutcome::kRow);
  EXPECT_EQ(item.key, btree::Key(btree::Scalar(int64_t{-5})));
  EXPECT_EQ(item.value, (StoredValue{"a,b", btree::ValueFormat::kText}));
  ASSERT_EQ(source->Next(&item), RowOutcome::kRow);
  EXPECT_EQ(item.value, StoredValue());
}

TEST_F(ExportCsvTest, WhatIsWrongIsNamed) {
  const std::string heading = ExportCsvHeading(keys_, store_);
  const struct {
    const char* row;
    const char* complaint;
  } kCases[] = {
      {"a,b\n", "2 fields instead of 12"},
      {",,,,,,,,,,,\n", "column at"},
      {"0,,true,1,1.0,,00000000-0000-4000-8000-000000000001,,,,x,xml\n", "format of values"},
      {"0,,true,1,1.0,,00000000-0000-4000-8000-000000000001,,,,?,bytes\n", "base64"},
      {"0,,true,1,1.0,,00000000-0000-4000-8000-000000000001,,,,x,text;empty=3\n", "rides on"}};
  for (const auto& test : kCases) {
    const auto source = Open(heading + test.row);
    ImportItem item;
    EXPECT_EQ(source->Next(&item), RowOutcome::kMalformed) << test.row;
    EXPECT_NE(source->complaint().find(test.complaint), std::string::npos) << source->complaint();
    EXPECT_EQ(source->line(), 2u);
  }
  std::istringstream stream("key,value,format\n");
  LineReader lines(stream);
  EXPECT_FALSE(OpenExportCsv(lines).ok());
  EXPECT_FALSE(StoreOfExportCsv("key,value,format").ok());
}

}  // namespace
}  // namespace sop::cli
