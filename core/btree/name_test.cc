#include "core/btree/name.h"

#include <string>

#include <gtest/gtest.h>

#include "core/base/error.h"
#include "core/btree/limits.h"

namespace sop::btree {
namespace {

TEST(NameTest, AcceptsNamesUpToTheLimit) {
  for (const std::string& name : {std::string("a"), std::string("people.v1 - \xc3\xab"),
                                  std::string(kMaxNameSizeBytes, 'x')}) {
    EXPECT_TRUE(CheckName("store", name).ok()) << name;
  }
}

TEST(NameTest, RefusesWhatCouldLeaveAFolderOrIsTooLong) {
  using std::string_literals::operator""s;
  for (const std::string& name :
       {""s, "a/b"s, "/"s, "a\\b"s, "."s, ".."s, "a..b"s, "a\0b"s, "\xff"s,
        std::string(kMaxNameSizeBytes + 1, 'x'), std::string(kMaxNameSizeBytes * 100, 'x')}) {
    EXPECT_EQ(ReasonOf(CheckName("store", name)), Reason::kInvalidName) << name;
  }
}

TEST(NameTest, ErrorNamesObjectNameAndLimit) {
  const absl::Status status = CheckName("store", std::string(129, 'x'));
  const std::string message(status.message());
  EXPECT_NE(message.find("store name 'xxx"), message.npos) << message;
  EXPECT_NE(message.find("has 129 bytes; the limit is 128"), message.npos) << message;
}

}  // namespace
}  // namespace sop::btree
