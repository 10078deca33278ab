#include <gtest/gtest.h>

#include "core/base/error.h"
#include "core/txn/engine_fixture_test.h"

namespace sop::txn {
namespace {

constexpr TreeId kOther{4711};

class Removal : public Assumption {
 public:
  absl::Status Settle(CommitView& view) override {
    view.DropTree(kOther);
    return absl::OkStatus();
  }
};

class RemovedStoreTest : public EngineFixture {};

TEST_F(RemovedStoreTest, WriterOfARemovedTreeIsTold) {
  auto writer = engine_->Begin({});
  ItemWrite item;
  item.value = "late";
  ASSERT_TRUE(writer->Put(writer->OpenTree(kOther, {}), "key", item).ok());
  auto remover = engine_->Begin({});
  remover->Assume(std::make_unique<Removal>());
  ASSERT_TRUE(engine_->CommitAndWait(std::move(remover)).status.ok());
  EXPECT_EQ(ReasonOf(engine_->CommitAndWait(std::move(writer)).status), Reason::kStoreRemoved);
}

}  // namespace
}  // namespace sop::txn
