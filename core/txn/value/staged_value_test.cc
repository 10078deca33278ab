// Values that are in storage before the transaction that writes them, and values in pieces.

#include "core/txn/value/staged_value.h"

#include <memory>
#include <string>
#include <utility>

#include <fmt/format.h>
#include <gtest/gtest.h>

#include "core/base/error.h"
#include "core/btree/limits.h"
#include "core/txn/engine_fixture_test.h"
#include "core/txn/feed/feed_reader.h"

namespace sop::txn {
namespace {

// Bytes that differ from piece to piece.
std::string Large(size_t size, char seed = 'a') {
  std::string value(size, seed);
  for (size_t i = 0; i < size; i += 1000) value[i] = static_cast<char>(seed + i / 1000 % 23);
  return value;
}

constexpr size_t kSize = (3 << 20) + 17;

class StagedValueTest : public EngineFixture {
 protected:
  std::shared_ptr<const StagedValue> Stage(std::string_view value) {
    std::unique_ptr<StagedValue> staged = engine_->StageValue(kTree).value();
    for (size_t at = 0; at < value.size(); at += 100'003) {
      EXPECT_TRUE(staged->Append(value.substr(at, 100'003)).ok());
    }
    EXPECT_TRUE(staged->Seal().ok());
    return staged;
  }
  absl::Status PutStaged(Transaction& transaction, std::string_view key, std::string_view value,
                         std::string_view ride_on = {}) {
    ItemWrite item;
    item.staged = Stage(value);
    item.ride_on = ride_on;
    return transaction.Put(Open(transaction), key, item);
  }
  uint64_t StoredValues() {
    uint64_t values = 0;
    const auto snapshot = storage_->nodes().TakeSnapshot().value();
    EXPECT_TRUE(
        snapshot->ScanValues({}, [&](TreeId, Serial, std::string_view) { return ++values > 0; })
            .ok());
    return values;
  }
  std::string Committed(std::string_view key) {
    auto reader = Begin(Mode::kReadOnly);
    return Get(*reader, key);
  }
};

TEST_F(StagedValueTest, IsReadByItsTransactionAndThenByAll) {
  const std::string value = Large(kSize);
  auto writer = Begin();
  ASSERT_TRUE(PutStaged(*writer, "k", value).ok());
  EXPECT_EQ(writer->write_bytes(), 1 + btree::EncodeReference({Serial{}, kSize, 0}).size());
  EXPECT_EQ(Get(*writer, "k"), value);
  EXPECT_EQ(Committed("k"), "-");
  ASSERT_TRUE(Commit(std::move(writer)).ok());
  EXPECT_EQ(storage_->state()->StagedCount(), 0U);
  EXPECT_EQ(Committed("k"), value);
  EXPECT_EQ(StoredValues(), 13U);
  Reopen();
  EXPECT_EQ(Committed("k"), value);
}

TEST_F(StagedValueTest, OneWhoseWriteIsRefusedIsCollected) {
  options_.limits.transaction_writes = 1;
  Reopen();
  auto writer = Begin();
  ASSERT_TRUE(Put(*writer, "a", "1").ok());
  EXPECT_EQ(ReasonOf(PutStaged(*writer, "b", Large(kSize))), Reason::kLimitExceeded);
  ASSERT_TRUE(Commit(std::move(writer)).ok());
  EXPECT_EQ(Committed("a"), "1");
  EXPECT_EQ(StoredValues(), 0U);
}

TEST_F(StagedValueTest, PiecesAreReadOneByOne) {
  const std::string value = Large(kSize);
  auto writer = Begin();
  ASSERT_TRUE(PutStaged(*writer, "k", value).ok());
  ASSERT_TRUE(Commit(std::move(writer)).ok());
  auto reader = Begin(Mode::kReadOnly);
  const auto item = reader->Get(Open(*reader), "k", ReadMode::kItem).value();
  const auto reference = btree::DecodeReference(item->value);
  ASSERT_TRUE(reference.has_value());
  ASSERT_EQ(reference->pieces(), 13U);
  std::string whole;
  for (uint64_t i = 0; i < reference->pieces(); ++i) {
    const std::string piece = reader->LoadPiece(Open(*reader), *reference, i).value();
    EXPECT_EQ(piece.size(), reference->piece_size(i));
    whole += piece;
  }
  EXPECT_EQ(whole, value);
  persistence::ValueReference other = *reference;
  other.size += persistence::kValuePieceBytes;
  EXPECT_EQ(ReasonOf(reader->LoadPiece(Open(*reader), other, 13).status()), Reason::kDamaged);
}

TEST_F(StagedValueTest, WithoutACommitItIsCollected) {
  Stage(Large(kSize));
  EXPECT_EQ(storage_->state()->StagedCount(), 0U);
  auto writer = Begin();
  ASSERT_TRUE(PutStaged(*writer, "k", Large(kSize)).ok());
  EXPECT_EQ(storage_->state()->StagedCount(), 1U);
  writer.reset();
  EXPECT_EQ(storage_->state()->StagedCount(), 0U);
  EXPECT_EQ(StoredValues(), 0U);
}

TEST_F(StagedValueTest, OneThatItsTransactionReplacesIsGivenUp) {
  auto writer = Begin();
  ASSERT_TRUE(PutStaged(*writer, "small", Large(kSize)).ok());
  ASSERT_TRUE(Put(*writer, "small", "s").ok());
  ASSERT_TRUE(PutStaged(*writer, "gone", Large(kSize)).ok());
  ASSERT_TRUE(writer->Erase(Open(*writer), "gone").ok());
  ASSERT_TRUE(PutStaged(*writer, "large", Large(kSize, 'f')).ok());
  ASSERT_TRUE(PutStaged(*writer, "large", Large(kSize, 'g')).ok());
  EXPECT_EQ(storage_->state()->StagedCount(), 1U);
  ASSERT_TRUE(Commit(std::move(writer)).ok());
  EXPECT_EQ(StoredValues(), 13U);
  EXPECT_EQ(Committed("small"), "s");
  EXPECT_EQ(Committed("gone"), "-");
  EXPECT_EQ(Committed("large"), Large(kSize, 'g'));
}

TEST_F(StagedValueTest, LaterCommitsFreeEveryPiece) {
  for (const char* const key : {"a", "b", "c"}) {
    auto writer = Begin();
    ASSERT_TRUE(PutStaged(*writer, key, Large(kSize, *key)).ok());
    ASSERT_TRUE(Commit(std::move(writer)).ok());
  }
  EXPECT_EQ(StoredValues(), 39U);
  const auto before = Begin(Mode::kReadOnly);
  auto writer = Begin();
  ASSERT_TRUE(Put(*writer, "a", "small").ok());
  ASSERT_TRUE(writer->Erase(Open(*writer), "b").ok());
  ASSERT_TRUE(PutStaged(*writer, "c", Large(kSize, 'd')).ok());
  ASSERT_TRUE(Commit(std::move(writer)).ok());
  EXPECT_EQ(StoredValues(), 13U);
  EXPECT_EQ(Get(*before, "a"), Large(kSize, 'a'));
  EXPECT_EQ(Get(*before, "b"), Large(kSize, 'b'));
  EXPECT_EQ(Get(*before, "c"), Large(kSize, 'c'));
  EXPECT_EQ(Committed("c"), Large(kSize, 'd'));
}

TEST_F(StagedValueTest, FieldsThatRideOnChangeBesideIt) {
  const std::string value = Large(kSize);
  auto writer = Begin();
  ASSERT_TRUE(PutStaged(*writer, "k", value, "one").ok());
  ASSERT_TRUE(writer->SetRideOn(Open(*writer), "k", "two").ok());
  EXPECT_EQ(Get(*writer, "k"), value);
  ASSERT_TRUE(Commit(std::move(writer)).ok());
  EXPECT_EQ(Committed("k"), value);
  auto second = Begin();
  ASSERT_TRUE(second->Get(Open(*second), "k", ReadMode::kKeyOnly).ok());
  ASSERT_TRUE(second->SetRideOn(Open(*second), "k", "three").ok());
  ASSERT_TRUE(Commit(std::move(second)).ok());
  EXPECT_EQ(Committed("k"), value);
  EXPECT_EQ(StoredValues(), 13U);
}

TEST_F(StagedValueTest, SoManyAreReferredTo) {
  options_.limits.staged_values = 2;
  Reopen();
  auto writer = Begin();
  const std::string value = Large(persistence::kMaxWholeValueBytes + 1);
  ASSERT_TRUE(PutStaged(*writer, "a", value).ok());
  ASSERT_TRUE(PutStaged(*writer, "b", value).ok());
  EXPECT_EQ(ReasonOf(PutStaged(*writer, "c", value)), Reason::kLimitExceeded);
  ASSERT_TRUE(writer->Erase(Open(*writer), "a").ok());
  EXPECT_TRUE(PutStaged(*writer, "c", value).ok());
  EXPECT_TRUE(Commit(std::move(writer)).ok());
  EXPECT_EQ(Committed("c"), value);
}

TEST_F(StagedValueTest, IsAsLargeAsAValueMayBe) {
  auto staged = engine_->StageValue(kTree).value();
  const std::string half(btree::kMaxValueSizeBytes / 2, 'h');
  ASSERT_TRUE(staged->Append(half).ok());
  ASSERT_TRUE(staged->Append(half).ok());
  EXPECT_EQ(ReasonOf(staged->Append("x")), Reason::kInvalidValue);
  ASSERT_TRUE(staged->Seal().ok());
  EXPECT_EQ(staged->reference().pieces(), 256U);
}

// In a tree that gets its id at commit nothing can be staged.
TEST_F(StagedValueTest, LargeOnesOfACommitAreCutUp) {
  const std::string value = Large(kSize);
  for (const char* const key : {"a", "b"}) {
    auto writer = Begin();
    ItemWrite item;
    item.value = value;
    item.placement = Placement::kOutOfNode;
    ASSERT_TRUE(writer->Put(Open(*writer), key, item).ok());
    EXPECT_EQ(Get(*writer, key), value);
    ASSERT_TRUE(Commit(std::move(writer)).ok());
    EXPECT_EQ(Committed(key), value);
  }
  EXPECT_EQ(StoredValues(), 26U);
  ASSERT_TRUE(PutOne("a", "small").ok());
  EXPECT_EQ(StoredValues(), 13U);
  // Staged as a whole transaction is.
  options_.limits.staged_commit_bytes = 1000;
  Reopen();
  auto writer = Begin();
  ItemWrite item;
  item.value = value;
  item.placement = Placement::kOutOfNode;
  ASSERT_TRUE(writer->Put(Open(*writer), "a", item).ok());
  ASSERT_TRUE(PutStaged(*writer, "c", Large(kSize, 'c')).ok());
  ASSERT_TRUE(PutStaged(*writer, "d", Large(kSize, 'd')).ok());
  ASSERT_TRUE(writer->Erase(Open(*writer), "d").ok());
  ASSERT_TRUE(Commit(std::move(writer)).ok());
  EXPECT_EQ(engine_->statistics().staged, 1U);
  EXPECT_EQ(Committed("a"), value);
  EXPECT_EQ(Committed("b"), value);
  EXPECT_EQ(Committed("c"), Large(kSize, 'c'));
  EXPECT_EQ(StoredValues(), 39U);
  EXPECT_EQ(storage_->state()->StagedCount(), 0U);
}

TEST_F(StagedValueTest, AFeedTellsItsSize) {
  const FeedPosition at{Sequence{1}};
  auto writer = Begin();
  ItemWrite item;
  item.staged = Stage(Large(kSize));
  ASSERT_TRUE(writer->Put(writer->OpenTree(kTree, {.feed = true}), "k", item).ok());
  ASSERT_TRUE(Commit(std::move(writer)).ok());
  const auto reader = Begin(Mode::kReadOnly);
  uint64_t seen = 0;
  ASSERT_TRUE(ReadFeed(reader->snapshot(), {kTree, at, 1},
                       [&](const FeedEvent& event, const FeedPosition&) {
                         EXPECT_EQ(event.change.value_size, kSize);
                         EXPECT_EQ(event.change.has_value, FeedValue::kLeftOut);
                         return ++seen > 0;
                       })
                  .ok());
  EXPECT_EQ(seen, 1U);
}

}  // namespace
}  // namespace sop::txn
