#include "storage/memory/memory_storage.h"

#include <gtest/gtest.h>

#include "core/base/error.h"

namespace sop::memory {
namespace {

using persistence::CommitRecord;
using persistence::Durability;
using persistence::TailMoved;

std::string Concatenate(std::optional<std::string_view> image,
                        std::span<const std::string_view> deltas) {
  std::string out(image.value_or(""));
  for (const std::string_view delta : deltas) out.append(delta);
  return out;
}

CommitRecord RecordAfter(Sequence tail) {
  CommitRecord record;
  record.first = record.last = Sequence{tail.value + 1};
  return record;
}

class MemoryStorageTest : public ::testing::Test {
 protected:
  absl::StatusOr<persistence::AppendResult> Commit(MemoryStorage& storage, CommitRecord record) {
    return storage.log().Append(Sequence{record.first.value - 1}, record, Durability::kSynced);
  }

  std::shared_ptr<MemoryState> state_ = std::make_shared<MemoryState>(Uuid{1, 2});
  MemoryStorage storage_{state_, Concatenate};
};

TEST_F(MemoryStorageTest, LoserOfTheTailGetsEveryRecordItMissed) {
  MemoryStorage other(state_, Concatenate);
  std::vector<CommitRecord> foreign;
  for (uint64_t i = 0; i < 3; ++i) {
    foreign.push_back(RecordAfter(state_->Tail()));
    foreign.back().last.value += 4;
    foreign.back().nodes = {{TreeId{1}, kRootNode, persistence::NodeAction::kMerge, "x"}};
    foreign.back().writes = {
        {TreeId{1}, foreign.back().first, persistence::WriteKind::kPut, false, "key"}};
    ASSERT_TRUE(Commit(other, foreign.back()).ok());
  }
  auto result = Commit(storage_, RecordAfter(Sequence{0}));
  ASSERT_TRUE(result.ok());
  ASSERT_TRUE(std::holds_alternative<TailMoved>(*result));
  EXPECT_EQ(std::get<TailMoved>(*result).records, foreign);

  result = Commit(storage_, RecordAfter(Sequence{10}));
  ASSERT_TRUE(result.ok());
  ASSERT_TRUE(std::holds_alternative<TailMoved>(*result));
  EXPECT_EQ(std::get<TailMoved>(*result).records, std::vector{foreign.back()});

  result = Commit(storage_, RecordAfter(Sequence{15}));
  ASSERT_TRUE(result.ok());
  EXPECT_TRUE(std::holds_alternative<persistence::Committed>(*result));
}

TEST_F(MemoryStorageTest, WhatOthersAppendIsSeenOnceTold) {
  MemoryStorage other(state_, Concatenate);
  CommitRecord record = RecordAfter(Sequence{0});
  record.rows = {{persistence::Space::kMeta, "k", "v"}};
  ASSERT_TRUE(Commit(other, record).ok());
  EXPECT_EQ(storage_.log().Tail(), Sequence{0});
  const auto before = storage_.nodes().TakeSnapshot().value();
  EXPECT_EQ(before->sequence(), Sequence{0});
  EXPECT_EQ(before->ReadRow(persistence::Space::kMeta, "k").value(), std::nullopt);
  ASSERT_TRUE(Commit(storage_, RecordAfter(Sequence{0})).ok());  // TailMoved
  EXPECT_EQ(storage_.log().Tail(), Sequence{1});
  const auto after = storage_.nodes().TakeSnapshot().value();
  EXPECT_EQ(after->sequence(), Sequence{1});
  EXPECT_EQ(after->ReadRow(persistence::Space::kMeta, "k").value(), "v");
  EXPECT_EQ(before->ReadRow(persistence::Space::kMeta, "k").value(), std::nullopt);
}

TEST_F(MemoryStorageTest, SnapshotOutlivesItsStorage) {
  auto storage = std::make_unique<MemoryStorage>(state_, Concatenate);
  CommitRecord record = RecordAfter(Sequence{0});
  record.rows = {{persistence::Space::kMeta, "k", "v"}};
  ASSERT_TRUE(Commit(*storage, record).ok());
  const auto snapshot = storage->nodes().TakeSnapshot().value();
  storage.reset();
  EXPECT_EQ(snapshot->ReadRow(persistence::Space::kMeta, "k").value(), "v");
}

TEST_F(MemoryStorageTest, VersionsAreForgottenOnceNoSnapshotSeesThem) {
  auto snapshot = storage_.nodes().TakeSnapshot().value();
  for (uint64_t i = 0; i < 50; ++i) {
    CommitRecord record = RecordAfter(Sequence{i});
    record.nodes = {{TreeId{1}, kRootNode, persistence::NodeAction::kPut, "image"}};
    ASSERT_TRUE(Commit(storage_, record).ok());
    if (i == 10) snapshot = storage_.nodes().TakeSnapshot().value();
  }
  EXPECT_EQ(state_->VersionCount(), 2U);
}

}  // namespace
}  // namespace sop::memory
