#include "clients/cli/text/tx_script.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <string>

#include "clients/cli/text/number_member.h"

namespace sop::cli {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;

ScriptOperation Parsed(std::string_view line) {
  const auto operation = ParseOperation(line);
  EXPECT_TRUE(operation.ok()) << operation.status();
  if (!operation.ok() || !operation->has_value()) {
    ADD_FAILURE() << "no operation in: " << line;
    return {};
  }
  return **operation;
}

std::string Complaint(std::string_view line) {
  const auto operation = ParseOperation(line);
  EXPECT_EQ(operation.status().code(), absl::StatusCode::kInvalidArgument) << line;
  return std::string(operation.status().message());
}

TEST(TxScriptTest, WordsAreStoreAndArguments) {
  const ScriptOperation operation = Parsed("  put accounts alice 100  # opening balance");
  EXPECT_EQ(operation.verb, Verb::kPut);
  EXPECT_EQ(operation.transaction, "");
  EXPECT_EQ(operation.store, "accounts");
  EXPECT_THAT(operation.arguments, ElementsAre("alice", "100"));
  EXPECT_EQ(operation.text, "put accounts alice 100");
}

TEST(TxScriptTest, ANameChoosesOneOfSeveralTransactions) {
  const ScriptOperation operation = Parsed("second: commit");
  EXPECT_EQ(operation.transaction, "second");
  EXPECT_EQ(operation.verb, Verb::kCommit);
  EXPECT_EQ(operation.store, "");
  EXPECT_EQ(Parsed("get times 12:30").transaction, "");
}

TEST(TxScriptTest, QuotesAndJsonKeepWordsTogether) {
  EXPECT_THAT(Parsed(R"(put s 'two words' "say \"hi\"")").arguments,
              ElementsAre("two words", "say \"hi\""));
  EXPECT_THAT(Parsed(R"(put s {"a": 1, "b": "x}"} {"n": [1, 2]})").arguments,
              ElementsAre(R"({"a": 1, "b": "x}"})", R"({"n": [1, 2]})"));
  EXPECT_THAT(Parsed("put s ''").arguments, ElementsAre(""));
}

TEST(TxScriptTest, BlankLinesAndCommentsAreNoOperations) {
  for (const char* line : {"", "   ", "# transfer", "\t#"}) {
    const auto operation = ParseOperation(line);
    ASSERT_TRUE(operation.ok()) << line;
    EXPECT_FALSE(operation->has_value()) << line;
  }
}

TEST(TxScriptTest, WrongLinesSayWhatIsExpected) {
  EXPECT_THAT(Complaint("fetch s k"), HasSubstr("there are create, get, put"));
  EXPECT_THAT(Complaint("get s"), HasSubstr("get STORE KEY"));
  EXPECT_THAT(Complaint("commit now"), HasSubstr("should be: commit"));
  EXPECT_THAT(Complaint("put s 'k v"), HasSubstr("never closed"));
  EXPECT_THAT(Complaint("put s {\"a\": 1"), HasSubstr("lacks a closing bracket"));
  EXPECT_THAT(Complaint("A:"), HasSubstr("lacks an operation"));
}

StoredValue JsonValue(std::string text) { return {std::move(text), btree::ValueFormat::kJson}; }

TEST(NumberMemberTest, AddsToTheValueOrToOneOfItsMembers) {
  EXPECT_EQ(AddToNumber(JsonValue("100"), "", "-30")->content, "70");
  EXPECT_EQ(AddToNumber(JsonValue(R"({"name":"x","n":1})"), "n", "+2")->content,
            R"({"name":"x","n":3})");
  EXPECT_EQ(AddToNumber(JsonValue("1"), "", "+0.5")->content, "1.5");
  const auto text = AddToNumber({"5", btree::ValueFormat::kText}, "", "+1");
  EXPECT_EQ(*text, (StoredValue{"6", btree::ValueFormat::kText}));
}

TEST(NumberMemberTest, RefusesWhatIsNoNumberOrOutOfRange) {
  const auto code = absl::StatusCode::kInvalidArgument;
  EXPECT_EQ(AddToNumber(JsonValue("9223372036854775807"), "", "+1").status().code(), code);
  EXPECT_EQ(AddToNumber(JsonValue("\"ten\""), "", "+1").status().code(), code);
  EXPECT_EQ(AddToNumber(JsonValue("{}"), "n", "+1").status().code(), code);
  EXPECT_EQ(AddToNumber(JsonValue("3"), "n", "+1").status().code(), code);
  EXPECT_EQ(AddToNumber(JsonValue("3"), "", "+x").status().code(), code);
  EXPECT_EQ(AddToNumber({"not json", btree::ValueFormat::kText}, "", "+1").status().code(), code);
}

TEST(NumberMemberTest, ComparesExactly) {
  EXPECT_TRUE(*NumberHolds(JsonValue("70"), "", ">=", "70"));
  EXPECT_FALSE(*NumberHolds(JsonValue("70"), "", ">", "70"));
  EXPECT_TRUE(*NumberHolds(JsonValue("{\"n\":-1}"), "n", "<", "0"));
  EXPECT_TRUE(*NumberHolds(JsonValue("1"), "", "==", "1.0"));
  EXPECT_TRUE(*NumberHolds(JsonValue("1"), "", "!=", "2"));
  EXPECT_FALSE(NumberHolds(JsonValue("1"), "", "=", "1").ok());
}

}  // namespace
}  // namespace sop::cli
