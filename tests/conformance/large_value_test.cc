// Values above what is ever read as a whole: staged, put by a transaction, read in parts, freed.

#include <memory>
#include <ostream>
#include <string>
#include <utility>

#include <fmt/format.h>
#include <gtest/gtest.h>

#include "core/catalog/check/database_check.h"
#include "tests/conformance/database_under_test.h"

namespace sop::conformance {
namespace {

using catalog::OrderedStore;
using catalog::WriteItem;

struct Kind {
  const char* name;
  std::unique_ptr<StorageUnderTest> (*make)();
};

void PrintTo(const Kind& kind, std::ostream* out) { *out << kind.name; }

std::string Large(int64_t seed, size_t size = (2 << 20) + 12'345) {
  std::string value(size, static_cast<char>('a' + seed % 26));
  for (size_t i = 0; i < size; i += 997) value[i] = static_cast<char>(i / 997 + seed);
  return value;
}

class LargeValueTest : public testing::TestWithParam<Kind> {
 protected:
  LargeValueTest() : database_(GetParam().make()) {
    EXPECT_TRUE(database_->Create("objects").ok());
    auto stores = database_->Begin();
    OrderedStore objects(**stores->Open("objects"));
    const WriteItem first{.key = int64_t{0}, .value = "small"};
    EXPECT_TRUE(objects.Upsert({&first, 1}).ok());
    EXPECT_TRUE(database_->Commit(std::move(stores)).ok());
  }

  static absl::Status Put(catalog::Database& database, catalog::StoreSet& stores, int64_t key,
                          const std::string& value) {
    auto opened = stores.Open("objects");
    if (!opened.ok()) return opened.status();
    const auto tree = stores.transaction().tree_id((*opened)->tree(catalog::kItemsRole));
    auto staged = database.engine().StageValue(tree.value());
    if (!staged.ok()) return staged.status();
    absl::Status status = (*staged)->Append(value);
    if (status.ok()) status = (*staged)->Seal();
    if (!status.ok()) return status;
    const WriteItem item{.key = key, .staged = *std::move(staged)};
    return OrderedStore(**opened).Upsert({&item, 1}).status();
  }
  absl::Status PutOne(int64_t key, const std::string& value) {
    auto stores = database_->Begin();
    const absl::Status put = Put(**database_, *stores, key, value);
    return put.ok() ? database_->Commit(std::move(stores)) : put;
  }

  // The value, or what is wrong.
  std::string Read(int64_t key) {
    auto stores = database_->Begin(txn::Mode::kReadOnly);
    OrderedStore objects(**stores->Open("objects"));
    const auto value = objects.FindValue(key, std::nullopt);
    if (!value.ok()) return value.status().ToString();
    if (!value->has_value()) return "-";
    std::string whole;
    while (whole.size() < (*value)->size) {
      const auto part = objects.ReadPart(**value, whole.size());
      if (!part.ok()) return part.status().ToString();
      whole += *part;
    }
    return whole;
  }

  uint64_t Pieces() {
    uint64_t pieces = 0;
    const auto snapshot = database_.storage().nodes().TakeSnapshot().value();
    EXPECT_TRUE(
        snapshot->ScanValues({}, [&](TreeId, Serial, std::string_view) { return ++pieces > 0; })
            .ok());
    return pieces;
  }
  void ExpectSound() {
    const auto report = check::CheckStorage(database_.storage(), {}, base::SystemClock());
    ASSERT_TRUE(report.ok()) << report.status();
    for (const check::Finding& finding : report->findings) {
      ADD_FAILURE() << check::FindingName(finding.kind) << " " << finding.what;
    }
  }

  DatabaseUnderTest database_;
};

TEST_P(LargeValueTest, AreThereAfterEverythingThatHappensToADatabase) {
  ASSERT_TRUE(PutOne(1, Large(1)).ok());
  ASSERT_TRUE(PutOne(2, Large(2)).ok());
  ASSERT_TRUE(PutOne(2, Large(3)).ok());
  for (int round = 0; round < 3; ++round) {
    EXPECT_TRUE(Read(0) == "small" && Read(1) == Large(1) && Read(2) == Large(3)) << round;
    EXPECT_EQ(Read(3), "-");
    EXPECT_EQ(Pieces(), 18U);
    ExpectSound();
    if (round == 0) database_.Settle();
    if (round == 1) database_.Reopen();
  }
}

TEST_P(LargeValueTest, WhatNoCommitTookIsGone) {
  {
    auto stores = database_->Begin();
    ASSERT_TRUE(Put(**database_, *stores, 1, Large(1)).ok());
  }
  EXPECT_EQ(Read(1), "-");
  EXPECT_EQ(Pieces(), 0U);
  auto stores = database_->Begin();
  ASSERT_TRUE(Put(**database_, *stores, 1, Large(1)).ok());
  // Another one is first.
  auto reading = database_->Begin();
  OrderedStore objects(**stores->Open("objects"));
  EXPECT_FALSE(objects.FindValue(int64_t{7}, std::nullopt).value().has_value());
  reading.reset();
  ASSERT_TRUE(PutOne(7, Large(7)).ok());
  EXPECT_EQ(ReasonOf(database_->Commit(std::move(stores))), Reason::kConflict);
  EXPECT_EQ(Pieces(), 9U);
  EXPECT_EQ(Read(1), "-");
  EXPECT_EQ(Read(7), Large(7));
  ExpectSound();
}

TEST_P(LargeValueTest, GoWithTheirStore) {
  ASSERT_TRUE(PutOne(1, Large(1)).ok());
  // One that is staged for a store that is removed meanwhile.
  auto writer = database_->Begin();
  ASSERT_TRUE(Put(**database_, *writer, 2, Large(2)).ok());
  auto remover = database_->Begin();
  ASSERT_TRUE(remover->Remove("objects").ok());
  ASSERT_TRUE(database_->Commit(std::move(remover)).ok());
  EXPECT_EQ(ReasonOf(database_->Commit(std::move(writer))), Reason::kStoreRemoved);
  database_.Settle();
  EXPECT_EQ(Pieces(), 0U);
  ExpectSound();
}

TEST_P(LargeValueTest, AWriteThatFailsOnTheWayLeavesNothing) {
  for (const auto point : {memory::FaultPoint::kStageNodes, memory::FaultPoint::kPutValue,
                           memory::FaultPoint::kSealNodes}) {
    memory::Fault fault;
    fault.point = point;
    fault.status = Error(Reason::kDiskFull, "planned");
    database_.storage().Arm(std::move(fault));
    EXPECT_EQ(ReasonOf(PutOne(1, Large(1))), Reason::kDiskFull);
    EXPECT_EQ(Pieces(), 0U);
    EXPECT_EQ(Read(1), "-");
  }
  EXPECT_TRUE(PutOne(1, Large(1)).ok());
  EXPECT_EQ(Read(1), Large(1));
}

INSTANTIATE_TEST_SUITE_P(Storages, LargeValueTest,
                         testing::Values(Kind{"Memory", &MemoryUnderTest},
                                         Kind{"RocksDb", &RocksDbUnderTest}),
                         [](const auto& param) { return param.param.name; });

}  // namespace
}  // namespace sop::conformance
