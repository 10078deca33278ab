#include "clients/cli/text/item_source.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <memory>
#include <sstream>
#include <string>
#include <vector>

namespace sop::cli {
namespace {

using btree::KeySchema;
using btree::ScalarType;
using testing::ElementsAre;
using testing::HasSubstr;

struct Input {
  InputFormat format = InputFormat::kCsv;
  ItemShape shape;
  StoreKeys keys;
  CsvDialect dialect;
};

// Every item as "line key value", a malformed one as "line! complaint".
std::vector<std::string> ReadAll(const Input& input, const std::string& text) {
  std::istringstream stream(text);
  LineReader lines(stream);
  const auto source = OpenItems(input.format, input.dialect, input.shape, input.keys, lines);
  if (!source.ok()) {
    return {std::string(source.status().message())};
  }
  std::vector<std::string> rows;
  ImportItem item;
  RowOutcome outcome = RowOutcome::kRow;
  while ((outcome = (*source)->Next(&item)) != RowOutcome::kEnd) {
    std::string row = std::to_string((*source)->line());
    if (outcome == RowOutcome::kMalformed) {
      row += "! " + (*source)->complaint();
    } else {
      row += " " + JsonText(KeyJson(item.key)) + " " + item.value.content;
    }
    rows.push_back(row);
  }
  return rows;
}

TEST(CsvItemsTest, TheFirstColumnIsTheKeyAndTheRestTheValue) {
  EXPECT_THAT(ReadAll({}, "word,length,note\napple,5,\"a \"\"fruit\"\"\"\n"),
              ElementsAre(R"(2 "apple" {"length":"5","note":"a \"fruit\""})"));
  EXPECT_THAT(ReadAll({}, "word\napple\n"), ElementsAre("2 \"apple\" "));
}

TEST(CsvItemsTest, SeveralKeyColumnsMakeARecordInTheirOrder) {
  Input input;
  input.dialect.separator = ';';
  input.shape.columns = {"code_point", "name", "category"};
  input.shape.key = {"category", "code_point"};
  input.shape.types = {{"code_point", ColumnType::kHex}};
  EXPECT_THAT(ReadAll(input, "0041;LATIN CAPITAL LETTER A;Lu\n"),
              ElementsAre(R"(1 {"category":"Lu","code_point":65} )"
                          R"({"name":"LATIN CAPITAL LETTER A"})"));
}

TEST(CsvItemsTest, TypedColumnsBecomeNumbersAndEmptyOnesNull) {
  Input input;
  input.shape.types = {{"n", ColumnType::kInt64},
                       {"x", ColumnType::kDouble},
                       {"ok", ColumnType::kBool},
                       {"doc", ColumnType::kJson}};
  EXPECT_THAT(ReadAll(input, "id,n,x,ok,doc\na,7,0.5,true,\"[1, 2]\"\nb,,,,\n"),
              ElementsAre(R"(2 "a" {"n":7,"x":0.5,"ok":true,"doc":[1, 2]})",
                          R"(3 "b" {"n":null,"x":null,"ok":null,"doc":null})"));
}

TEST(CsvItemsTest, OneColumnMayBeTheValueAndSomeRideOn) {
  Input input;
  input.shape.value_column = "name";
  EXPECT_THAT(ReadAll(input, "id,name,other\na,Ann,x\n"), ElementsAre("2 \"a\" Ann"));
  input.shape.ride_on = {"other"};
  EXPECT_THAT(ReadAll(input, "id,name,other\na,Ann,x\n"),
              ElementsAre(R"(2 {"id":"a","other":"x"} Ann)"));
}

TEST(CsvItemsTest, KeysTakeTheTypesOfTheStore) {
  Input input;
  input.keys.schema = *KeySchema::ForScalar(ScalarType::kInt64);
  EXPECT_THAT(ReadAll(input, "id,name\n7,x\n"), ElementsAre(R"(2 7 {"name":"x"})"));
  input.keys.schema = *KeySchema::ForRecord({{"b", ScalarType::kString}, {"a", ScalarType::kInt64}},
                                            {{"b"}, {"a"}});
  input.keys.index_fields = {"b", "a"};
  EXPECT_THAT(ReadAll(input, "a,b\n7,x\n"), ElementsAre(R"(2 {"b":"x","a":7} )"));
}

TEST(CsvItemsTest, MalformedRowsAreNamedAndReadingGoesOn) {
  Input input;
  input.shape.types = {{"n", ColumnType::kInt64}};
  EXPECT_THAT(ReadAll(input, "id,n\na,1\nb\nc,x\n\"d,2\n\xff,3\ne,5\n"),
              ElementsAre(R"(2 "a" {"n":1})", "3! 1 fields instead of 2",
                          "4! column n: \"x\" is not an integer of 64 bits",
                          "5! a quote that is never closed",
                          R"(6! column id: "\xff" is not valid UTF-8)", R"(7 "e" {"n":5})"));
}

TEST(CsvItemsTest, ColumnsThatAreNotThereAreRefused) {
  Input input;
  input.shape.key = {"ident"};
  EXPECT_THAT(ReadAll(input, "id,n\n"), ElementsAre(HasSubstr("no column \"ident\", only id, n")));
  input.shape.key = {"id", "id"};
  EXPECT_THAT(ReadAll(input, "id,n\n"), ElementsAre(HasSubstr("named twice")));
  EXPECT_THAT(ReadAll({}, "id,id\n"), ElementsAre(HasSubstr("two columns")));
  EXPECT_THAT(ReadAll({}, ""), ElementsAre(HasSubstr("empty")));
}

TEST(JsonItemsTest, MembersAreTheKeyAndTheRestTheValue) {
  Input input{.format = InputFormat::kJsonLines};
  input.shape.key = {"id"};
  EXPECT_THAT(ReadAll(input, "{\"name\":\"Ann\",\"id\":7,\"tags\":[1]}\n{\"id\":\"x\"}\n"),
              ElementsAre(R"(1 7 {"name":"Ann","tags":[1]})", R"(2 "x" )"));
  input.shape.value_column = "name";
  EXPECT_THAT(ReadAll(input, "{\"name\":\"Ann\",\"id\":7}\n"), ElementsAre("1 7 Ann"));
}

TEST(JsonItemsTest, MalformedLinesAreNamed) {
  Input input{.format = InputFormat::kJsonLines};
  input.shape.key = {"id"};
  EXPECT_THAT(ReadAll(input, "{\"id\":1}\n{\"id\":\n[1]\n{\"n\":1}\n{\"id\":null}\n\n{\"id\":2}\n"),
              ElementsAre("1 1 ", "2! not a JSON object", "3! not a JSON object",
                          "4! the object has no member \"id\"", HasSubstr("5! member id: \"null\""),
                          "7 2 "));
  input.shape.key = {};
  EXPECT_THAT(ReadAll(input, ""), ElementsAre(HasSubstr("--key")));
}

TEST(LineItemsTest, EveryLineIsAKey) {
  Input input{.format = InputFormat::kLines};
  EXPECT_THAT(ReadAll(input, "apple\r\nA's\n\n{\"x\n"),
              ElementsAre("1 \"apple\" ", "2 \"A's\" ", R"(4 "{\"x" )"));
  input.keys.schema = *KeySchema::ForScalar(ScalarType::kInt64);
  EXPECT_THAT(ReadAll(input, "12\nx\n"),
              ElementsAre("1 12 ", "2! \"x\" is not an integer of 64 bits"));
}

TEST(ExportItemsTest, WhatExportWritesIsReadBack) {
  Input input{.format = InputFormat::kExport};
  EXPECT_THAT(
      ReadAll(input,
              "{\"sop_export\":1,\"store\":{}}\n"
              "{\"key\":{\"a\":1},\"value\":{\"x\":1.5}}\n"
              "{\"key\":\"k\",\"text\":\"plain\"}\n{\"key\":\"k\",\"text\":5}\n{\"v\":1}\n"),
      ElementsAre("2 {\"a\":1} {\"x\":1.5}", "3 \"k\" plain", "4! member \"text\" is not a string",
                  HasSubstr("5! the object has no")));
}

}  // namespace
}  // namespace sop::cli
