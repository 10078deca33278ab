#include <atomic>
#include <thread>

#include <gmock/gmock.h>

#include "tests/upkeep/upkeep_fixture_test.h"

namespace sop {
namespace {

using catalog::TestDatabase;
using ::testing::SizeIs;

// A bank whose money is moved about, and a journal with one entry for each move, in order.
class BackupTest : public UpkeepTest {
 protected:
  static constexpr int kAccounts = 50;
  static constexpr int kMoney = 1000;

  static absl::Status Move(TestDatabase& database, int number) {
    auto stores = database.Begin();
    catalog::OrderedStore bank(**stores->Open("bank"));
    catalog::OrderedStore journal(**stores->Open("journal"));
    const btree::Key from = KeyOf(number % kAccounts);
    const btree::Key to = KeyOf((number * 7 + 1) % kAccounts);
    SOP_ASSIGN_OR_RETURN(const int have, Balance(bank, from));
    SOP_RETURN_IF_ERROR(Set(bank, from, have - 1));
    SOP_ASSIGN_OR_RETURN(const int had, Balance(bank, to));
    SOP_RETURN_IF_ERROR(Set(bank, to, had + 1));
    SOP_RETURN_IF_ERROR(Set(journal, KeyOf(number), number));
    return database.Commit(std::move(stores));
  }
  static absl::StatusOr<int> Balance(catalog::OrderedStore& bank, const btree::Key& account) {
    std::string value;
    SOP_RETURN_IF_ERROR(bank.Get({&account, 1}, catalog::ItemContent::kItems,
                                 [&](const btree::PackedItem& item) {
                                   value = std::string(item.value);
                                   return true;
                                 })
                            .status());
    return std::stoi(value);
  }
  static absl::Status Set(catalog::OrderedStore& store, const btree::Key& key, int number) {
    const std::string value = fmt::format("{:0>2000}", number);  // outside the node
    return store.Upsert({{{.key = key, .value = value}}}).status();
  }

  // Sound, no money made or lost, and a journal without a gap, as long as `least` or longer.
  void ExpectPrefix(const std::string& folder, size_t least) {
    const auto report = Check(folder);
    ASSERT_TRUE(report.ok()) << report.status();
    EXPECT_TRUE(report->sound()) << check::ToText(*report);
    TestDatabase database(
        rocksdb_storage::RocksDbStorage::Open(Options(folder), Surroundings()).value());
    const auto bank = ReadStore(database, "bank");
    int money = 0;
    for (const auto& [key, value] : *bank) money += std::stoi(value);
    EXPECT_EQ(money, kAccounts * kMoney);
    const auto journal = ReadStore(database, "journal");
    EXPECT_GE(journal->size(), least);
    int next = 0;
    for (const auto& [key, value] : *journal) EXPECT_EQ(std::stoi(value), next++);
  }
};

TEST_F(BackupTest, BackupsUnderLoadHoldOneStateEach) {
  auto opened = OpenStorage().value();
  auto& storage = *opened;
  TestDatabase database(std::move(opened));
  ASSERT_TRUE(database.Create("bank").ok() && database.Create("journal").ok());
  Fill(database, "bank", 0, kAccounts, std::to_string(kMoney));
  std::atomic<bool> stop{false};
  std::atomic<int> moved{0};
  std::thread mover([&] {
    for (int i = 0; !stop; ++i) {
      ASSERT_TRUE(Move(database, i).ok());
      moved = i + 1;
    }
  });
  const std::string target = scratch_ + "/backups";
  std::vector<int> before;
  for (int i = 0; i < 3; ++i) {
    while (moved < 60 * (i + 1)) std::this_thread::yield();
    if (i == 1) EXPECT_TRUE(storage.Compact().ok());
    before.push_back(moved);
    const auto backup = storage.MakeBackup(target, nullptr);
    ASSERT_TRUE(backup.ok()) << backup.status();
    EXPECT_EQ(backup->number, static_cast<uint32_t>(i + 1));
    EXPECT_EQ(backup->database_id, storage.database_id());
    EXPECT_GT(moved, before.back());
  }
  stop = true;
  mover.join();
  ASSERT_THAT(*backups_.List(target), SizeIs(3));
  for (uint32_t number = 1; number <= 3; ++number) {
    const std::string restored = fmt::format("{}/restored-{}", scratch_, number);
    ASSERT_TRUE(backups_.Restore(target, number, restored).ok());
    ExpectPrefix(restored, static_cast<size_t>(before[number - 1]));
  }
}

TEST_F(BackupTest, SecondBackupCopiesOnlyWhatIsNew) {
  auto opened = OpenStorage().value();
  auto& storage = *opened;
  TestDatabase database(std::move(opened));
  ASSERT_TRUE(database.Create("bank").ok());
  Fill(database, "bank", 0, 20'000, std::string(200, 'x'));
  ASSERT_TRUE(storage.Compact().ok());
  const std::string target = scratch_ + "/backups";
  const auto size = [&] {
    uint64_t bytes = 0;
    for (const auto& entry : std::filesystem::recursive_directory_iterator(target)) {
      if (entry.is_regular_file()) bytes += entry.file_size();
    }
    return bytes;
  };
  ASSERT_TRUE(storage.MakeBackup(target, nullptr).ok());
  const uint64_t first = size();
  Fill(database, "bank", 0, 1, "y");
  const auto second = storage.MakeBackup(target, nullptr);
  ASSERT_TRUE(second.ok());
  EXPECT_LT(size() - first, first / 4);
  EXPECT_GT(second->bytes, first / 2);
  EXPECT_THAT(*backups_.Prune(target, 1), SizeIs(1));
  EXPECT_EQ(backups_.Restore(target, 1, scratch_ + "/one").status().code(),
            absl::StatusCode::kNotFound);
  std::string report;
  EXPECT_EQ(Offline({"restore", target, scratch_ + "/two"}, &report), 0) << report;
}

TEST_F(BackupTest, RestoreRefusesWhatIsNotEmptyAndWhatIsDamaged) {
  const std::string target = scratch_ + "/backups";
  {
    auto opened = OpenStorage().value();
    auto& storage = *opened;
    TestDatabase database(std::move(opened));
    ASSERT_TRUE(database.Create("bank").ok());
    Fill(database, "bank", 0, 1000, "x");
    ASSERT_TRUE(storage.Compact().ok());
    ASSERT_TRUE(storage.MakeBackup(target, nullptr).ok());
  }
  EXPECT_EQ(ReasonOf(backups_.Restore(target, 0, folder_).status()), Reason::kPreconditionNotMet);
  EXPECT_EQ(ReasonOf(backups_.List(scratch_).status()), Reason::kDatabaseNotFound);
  // Backups of another database are not mixed in.
  const auto other =
      rocksdb_storage::RocksDbStorage::Open(Options(scratch_ + "/other"), Surroundings());
  EXPECT_EQ(ReasonOf((*other)->MakeBackup(target, nullptr).status()), Reason::kPreconditionNotMet);
  for (const auto& entry :
       std::filesystem::recursive_directory_iterator(target + "/shared_checksum")) {
    std::string bytes = ReadFile(entry.path().string());
    bytes[bytes.size() / 2] ^= 1;
    WriteFile(entry.path().string(), bytes);
  }
  EXPECT_EQ(ReasonOf(backups_.Restore(target, 0, scratch_ + "/restored").status()),
            Reason::kDamaged);
}

}  // namespace
}  // namespace sop
