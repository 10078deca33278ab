#include "server/session/database_list.h"

#include "core/base/error.h"
#include "gtest/gtest.h"

namespace sop::session {
namespace {

constexpr char kExample[] = R"(format = 1

[[database]]
name = "words"
folder = "/srv/sop/words"
uuid = "01890a5d-ac96-774b-bcce-b302099a8057"
)";

const KnownDatabase& Words() {
  static const auto& words =
      *new KnownDatabase{"words", "/srv/sop/words", Uuid{0x01890a5dac96774b, 0xbcceb302099a8057}};
  return words;
}

TEST(DatabaseListTest, TheExampleOfTheFormatPageIsRead) {
  const auto list = ParseDatabaseList(kExample);
  ASSERT_TRUE(list.ok()) << list.status();
  ASSERT_EQ(list->size(), 1u);
  EXPECT_EQ(list->at("words"), Words());
}

TEST(DatabaseListTest, AnyNameSurvives) {
  DatabaseList list;
  for (const std::string name : {"words", "a \"b\"", "tab\there", "gr\u00fc\u00df", "#[x]"}) {
    list[name] = {name, "/f/" + name, name == "words" ? Words().uuid : Uuid{}};
  }
  const auto back = ParseDatabaseList(SerializeDatabaseList(list));
  ASSERT_TRUE(back.ok()) << back.status() << SerializeDatabaseList(list);
  EXPECT_EQ(*back, list);
  EXPECT_TRUE(ParseDatabaseList(SerializeDatabaseList({}))->empty());
}

TEST(DatabaseListTest, BrokenRulesAreDamage) {
  const std::string head = "format = 1\n[[database]]\n";
  const std::string good = "name = \"a\"\nfolder = \"/a\"\nuuid = \"\"\n";
  ASSERT_TRUE(ParseDatabaseList(head + good).ok());
  for (const std::string& bad :
       {std::string("format ="), std::string("x = 1\n"), std::string("format = 1\ndatabase = 3"),
        std::string("format = 1.0\n"), std::string("format = 1e55\n"),
        head + "name = \"a/b\"\nfolder = \"/a\"\nuuid = \"\"\n",
        head + "name = \"a\"\nfolder = \"a\"\nuuid = \"\"\n",
        head + "name = \"a\"\nfolder = \"/a\"\n",
        head + "name = \"a\"\nfolder = \"/a\"\nuuid = \"0189\"\n",
        head + good + "[[database]]\n" + good}) {
    EXPECT_EQ(ReasonOf(ParseDatabaseList(bad).status()), Reason::kDamaged) << bad;
  }
  EXPECT_EQ(ReasonOf(ParseDatabaseList("format = 2\n").status()), Reason::kFormatNotSupported);
}

}  // namespace
}  // namespace sop::session
