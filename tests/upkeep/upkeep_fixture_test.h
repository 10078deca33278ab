#pragma once

#include <unistd.h>

#include <filesystem>
#include <fstream>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include <fmt/format.h>
#include <gtest/gtest.h>

#include "core/base/status_macros.h"
#include "core/btree/node/apply.h"
#include "core/catalog/check/database_check.h"
#include "core/catalog/database_fixture_test.h"
#include "server/offline/offline_command.h"
#include "storage/rocksdb/rocksdb_storage.h"
#include "storage/rocksdb/upkeep/backup.h"
#include "storage/rocksdb/upkeep/repair.h"

namespace sop {

// A scratch folder with databases on RocksDB in it, to be used, closed, damaged and looked at.
// Confined to one thread.
class UpkeepTest : public ::testing::Test {
 protected:
  UpkeepTest()
      : scratch_(fmt::format("{}/sop_upkeep_{}_{}", std::filesystem::temp_directory_path().string(),
                             ::testing::UnitTest::GetInstance()->current_test_info()->name(),
                             ::getpid())),
        folder_(scratch_ + "/database") {
    std::filesystem::remove_all(scratch_);
    std::filesystem::create_directories(scratch_);
  }
  ~UpkeepTest() override { std::filesystem::remove_all(scratch_); }

  rocksdb_storage::RocksDbOptions Options(const std::string& folder) const {
    rocksdb_storage::RocksDbOptions options;
    options.path = folder;
    options.apply = &btree::Apply;
    options.reserve_bytes = 0;
    return options;
  }
  rocksdb_storage::RocksDbSurroundings Surroundings() const {
    return {environment_, base::SystemFileSystem(), base::SystemClock(), base::SystemRandom()};
  }
  absl::StatusOr<std::unique_ptr<rocksdb_storage::RocksDbStorage>> OpenStorage() const {
    return rocksdb_storage::RocksDbStorage::Open(Options(folder_), Surroundings());
  }

  absl::StatusOr<check::CheckReport> Check(const std::string& folder) const {
    return check::CheckClosed(
        [&]() -> absl::StatusOr<std::unique_ptr<persistence::Storage>> {
          return rocksdb_storage::RocksDbStorage::Inspect(Options(folder), Surroundings());
        },
        {}, base::SystemClock());
  }

  // Every item of a store as it can be read: number of its key to value; what stops the reading.
  static absl::StatusOr<std::map<std::string, std::string>> ReadStore(
      catalog::TestDatabase& database, std::string_view store) {
    auto stores = database.Begin(txn::Mode::kReadOnly);
    std::map<std::string, std::string> items;
    const auto read = [&]() -> absl::Status {
      SOP_ASSIGN_OR_RETURN(catalog::OpenStore * opened, stores->Open(store));
      catalog::OrderedStore ordered(*opened);
      SOP_ASSIGN_OR_RETURN(const auto scan, ordered.Scan({}));
      for (bool end = false; !end;) {
        SOP_ASSIGN_OR_RETURN(const auto page,
                             scan->Fill({.max_items = 1000}, [&](const btree::PackedItem& item) {
                               items[fmt::format("{}{}", item.key_prefix, item.key)] = item.value;
                               return true;
                             }));
        end = page.end;
      }
      return absl::OkStatus();
    };
    SOP_RETURN_IF_ERROR(stores->Explain(read()));
    return items;
  }

  // The command line of offline work, over RocksDB. What it prints is in `*output`.
  int Offline(const std::vector<std::string>& arguments, std::string* output) {
    offline::Backend backend;
    base::FileSystem& files = base::SystemFileSystem();
    backend.inspect =
        [&](const std::string& folder) -> absl::StatusOr<std::unique_ptr<persistence::Storage>> {
      return rocksdb_storage::RocksDbStorage::Inspect(Options(folder), Surroundings());
    };
    backend.make_copy =
        [&](const std::string& folder,
            Uuid database_id) -> absl::StatusOr<std::unique_ptr<persistence::CopyTarget>> {
      return rocksdb_storage::RepairedCopy::Make(folder, database_id, environment_, files,
                                                 &btree::Apply);
    };
    backend.exchange = [&](const std::string& folder) {
      return rocksdb_storage::ExchangeRepaired(folder, environment_.env(), files);
    };
    backend.gather = [&](const std::string& folder) {
      return rocksdb_storage::GatherTables(folder, environment_, files, &btree::Apply);
    };
    backend.upgrade = [&](const std::string& folder) {
      return rocksdb_storage::UpgradeFormat(folder, files);
    };
    backend.backups = &backups_;
    backend.clock = &base::SystemClock();
    testing::internal::CaptureStdout();
    const std::optional<int> code = offline::RunCommand(arguments, backend);
    *output = testing::internal::GetCapturedStdout();
    return code.value_or(-1);
  }

  // Fills `store` with items "key <i>" for i in [first, last), each `value`, in one transaction.
  static void Fill(catalog::TestDatabase& database, std::string_view store, int first, int last,
                   std::string_view value) {
    auto stores = database.Begin();
    catalog::OrderedStore ordered(**stores->Open(store));
    for (int i = first; i < last; ++i) {
      const catalog::WriteItem item{.key = KeyOf(i), .value = value};
      ASSERT_TRUE(ordered.Upsert({&item, 1}).ok());
    }
    ASSERT_TRUE(database.Commit(std::move(stores)).ok());
  }
  static btree::Key KeyOf(int i) { return btree::Key(btree::Scalar(fmt::format("key {:06}", i))); }

  // Regular files of db/, without RocksDB's own log and lock.
  std::vector<std::string> Files() const {
    std::vector<std::string> names;
    for (const auto& entry : std::filesystem::directory_iterator(folder_ + "/db")) {
      const std::string name = entry.path().filename().string();
      if (!name.starts_with("LOG") && name != "LOCK") names.push_back("db/" + name);
    }
    names.push_back("SOP-FORMAT");
    names.push_back("SOP-SEAL");
    std::sort(names.begin(), names.end());
    return names;
  }
  static std::string ReadFile(const std::string& path) {
    std::ifstream in(path, std::ios::binary);
    return {std::istreambuf_iterator<char>(in), std::istreambuf_iterator<char>()};
  }
  static void WriteFile(const std::string& path, std::string_view bytes) {
    std::ofstream(path, std::ios::binary | std::ios::trunc)
        .write(bytes.data(), static_cast<std::streamsize>(bytes.size()));
  }

  const std::string scratch_;
  const std::string folder_;
  const rocksdb_storage::RocksDbEnvironment environment_{uint64_t{64} << 20, 2};
  rocksdb_storage::RocksDbBackups backups_{base::SystemFileSystem()};
};

}  // namespace sop
