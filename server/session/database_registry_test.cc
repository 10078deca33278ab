#include "server/session/database_registry.h"

#include <filesystem>
#include <thread>

#include "core/base/error.h"
#include "core/base/random.h"
#include "core/base/thread_pool.h"
#include "core/btree/node/apply.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "storage/memory/memory_storage.h"

namespace sop::session {
namespace {

using ::testing::HasSubstr;

// A registry over databases in memory, and a clock that the test moves.
class DatabaseRegistryTest : public ::testing::Test {
 protected:
  void SetUp() override {
    std::string name = (std::filesystem::temp_directory_path() / "sop-registry-XXXXXX").string();
    ASSERT_NE(mkdtemp(name.data()), nullptr);
    folder_ = std::filesystem::canonical(name).string();
    auto registry = Open();
    ASSERT_TRUE(registry.ok()) << registry.status();
    registry_ = *std::move(registry);
  }
  void TearDown() override {
    registry_.reset();
    std::filesystem::remove_all(folder_);
  }

  absl::StatusOr<std::unique_ptr<DatabaseRegistry>> Open() {
    return DatabaseRegistry::Open(
        {.home_folder = folder_ + "/home",
         .rules = {.roots = {folder_}},
         .max_databases = 3,
         .idle = absl::Minutes(1),
         .opener =
             [this](const std::string& name, const std::string&) {
               ++opened_;
               catalog::DatabaseOptions options;
               options.name = name;
               options.storage = memory::MemoryStorage::Create(&btree::Apply, base::SystemClock(),
                                                               base::SystemRandom());
               options.engine.clock = &base::SystemClock();
               options.engine.random = &base::SystemRandom();
               options.engine.files = &base::SystemFileSystem();
               options.engine.pool = &pool_;
               options.engine.cache = std::make_shared<txn::CacheBudget>(size_t{1} << 20);
               options.engine.spill_folder = folder_ + "/spill";
               return catalog::Database::Open(std::move(options));
             },
         .remover = [](const std::string&) { return absl::OkStatus(); },
         .files = &base::SystemFileSystem(),
         .clock = &clock_,
         .metrics = &metrics_});
  }

  base::ManualClock clock_;
  base::ThreadPool pool_{2};
  observe::Metrics metrics_;
  std::string folder_;
  int opened_ = 0;
  std::unique_ptr<DatabaseRegistry> registry_;
};

TEST_F(DatabaseRegistryTest, ADatabaseIsOpenedOnFirstUseAndClosedWhenIdle) {
  EXPECT_EQ(registry_->FindOpen(""), nullptr);
  {
    const auto database = registry_->Acquire("");
    ASSERT_TRUE(database.ok()) << database.status();
    EXPECT_EQ(registry_->FindOpen("default"), *database);
    clock_.Advance(absl::Minutes(2));
    registry_->CloseIdle();
    EXPECT_EQ(registry_->FindOpen("default"), *database) << "closed in use";
  }
  clock_.Advance(absl::Seconds(59));
  registry_->CloseIdle();
  EXPECT_NE(registry_->FindOpen("default"), nullptr) << "closed too early";
  clock_.Advance(absl::Seconds(61));
  registry_->CloseIdle();
  EXPECT_EQ(registry_->FindOpen("default"), nullptr);
  EXPECT_TRUE(registry_->Acquire("default").ok());
  EXPECT_EQ(opened_, 2);
}

TEST_F(DatabaseRegistryTest, ThoseUnusedForLongestAreClosedWhenMemoryIsShort) {
  for (const char* name : {"a", "b", "default"}) {
    if (std::string_view(name) != "default") ASSERT_TRUE(registry_->Create(name, "").ok());
    ASSERT_TRUE(registry_->Acquire(name).ok());
    clock_.Advance(absl::Seconds(1));
  }
  ASSERT_TRUE(registry_->Acquire("a").ok());
  registry_->CloseUnused(absl::Seconds(2), 1);
  EXPECT_EQ(registry_->FindOpen("b"), nullptr);
  EXPECT_NE(registry_->FindOpen("default"), nullptr);
  EXPECT_NE(registry_->FindOpen("a"), nullptr);
  clock_.Advance(absl::Seconds(1));
  registry_->CloseUnused(absl::Seconds(2), 3);
  EXPECT_NE(registry_->FindOpen("default"), nullptr) << "used a second ago";
}

TEST_F(DatabaseRegistryTest, ASecondServerIsToldWhoHoldsTheDataDirectory) {
  const auto second = Open();
  EXPECT_EQ(ReasonOf(second.status()), Reason::kFolderInUse);
  EXPECT_THAT(std::string(second.status().message()),
              HasSubstr("process " + std::to_string(getpid())));
}

TEST_F(DatabaseRegistryTest, DatabasesAreLimitedAndRemembered) {
  ASSERT_TRUE(registry_->Create("a", "").ok());
  ASSERT_TRUE(registry_->Create("", folder_ + "/b").ok());
  EXPECT_EQ(ReasonOf(registry_->Create("c", "").status()), Reason::kLimitExceeded);
  const auto before = registry_->List("", 10);
  ASSERT_EQ(before.size(), 3u);
  registry_.reset();
  registry_ = *Open();
  EXPECT_EQ(registry_->List("", 10), before);
  EXPECT_EQ(registry_->List(before[0].name, 1).front(), before[1]);
}

TEST_F(DatabaseRegistryTest, NobodyWaitsForADeletionThatWaits) {
  ASSERT_TRUE(registry_->Create("a", "").ok());
  auto held = registry_->Acquire("a");
  ASSERT_TRUE(held.ok());
  absl::Status deleted = absl::UnknownError("not yet");
  std::thread deleting([&] { deleted = registry_->Delete("a", {}, absl::Seconds(1)); });
  // It is open until the deletion has begun.
  while (registry_->Acquire("a").ok()) std::this_thread::yield();
  EXPECT_EQ(ReasonOf(registry_->Acquire("a").status()), Reason::kUnavailable);
  EXPECT_EQ(ReasonOf(registry_->Create("a", "").status()), Reason::kUnavailable);
  EXPECT_EQ(ReasonOf(registry_->Delete("a", {}, absl::Seconds(1))), Reason::kUnavailable);
  EXPECT_EQ(registry_->FindOpen("a"), nullptr);
  held->reset();
  deleting.join();
  EXPECT_TRUE(deleted.ok()) << deleted;
  EXPECT_EQ(ReasonOf(registry_->Acquire("a").status()), Reason::kDatabaseNotFound);
}

TEST_F(DatabaseRegistryTest, ADatabaseThatStaysInUseIsServedAgain) {
  ASSERT_TRUE(registry_->Create("a", "").ok());
  const auto held = registry_->Acquire("a");
  ASSERT_TRUE(held.ok());
  EXPECT_EQ(ReasonOf(registry_->Delete("a", {}, absl::ZeroDuration())), Reason::kUnavailable);
  EXPECT_TRUE(registry_->Acquire("a").ok());
}

}  // namespace
}  // namespace sop::session
