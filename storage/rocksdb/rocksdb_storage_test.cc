#include "storage/rocksdb/rocksdb_storage.h"

#include <unistd.h>

#include <atomic>
#include <filesystem>
#include <optional>

#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <rocksdb/env.h>
#include <rocksdb/file_system.h>

#include "core/base/error.h"
#include "storage/rocksdb/database_format.h"

namespace sop::rocksdb_storage {
namespace {

using persistence::CommitRecord;
using persistence::Durability;
using persistence::NodeAction;
using ::testing::ElementsAre;
using ::testing::HasSubstr;

constexpr TreeId kTree{3};

std::string Concatenate(std::optional<std::string_view> image,
                        std::span<const std::string_view> deltas) {
  std::string out(image.value_or(""));
  for (const std::string_view delta : deltas) out.append(delta);
  return out;
}

// A disk whose syncs fail on demand, as a broken one's do.
class FailingFiles : public rocksdb::FileSystemWrapper {
 public:
  FailingFiles() : rocksdb::FileSystemWrapper(rocksdb::FileSystem::Default()) {}

  const char* Name() const override { return "FailingFiles"; }

  rocksdb::IOStatus NewWritableFile(const std::string& name, const rocksdb::FileOptions& options,
                                    std::unique_ptr<rocksdb::FSWritableFile>* file,
                                    rocksdb::IODebugContext* context) override {
    const rocksdb::IOStatus status = target()->NewWritableFile(name, options, file, context);
    if (status.ok()) *file = std::make_unique<File>(std::move(*file), name, *this);
    return status;
  }

  // Syncs of files whose names end in this fail while it is set.
  std::string failing_suffix;
  std::atomic<bool> failing{false};

 private:
  class File : public rocksdb::FSWritableFileOwnerWrapper {
   public:
    File(std::unique_ptr<rocksdb::FSWritableFile> file, std::string name, FailingFiles& owner)
        : FSWritableFileOwnerWrapper(std::move(file)), name_(std::move(name)), owner_(owner) {}

    rocksdb::IOStatus Sync(const rocksdb::IOOptions& options,
                           rocksdb::IODebugContext* context) override {
      return Broken() ? Error() : FSWritableFileOwnerWrapper::Sync(options, context);
    }
    rocksdb::IOStatus Fsync(const rocksdb::IOOptions& options,
                            rocksdb::IODebugContext* context) override {
      return Broken() ? Error() : FSWritableFileOwnerWrapper::Fsync(options, context);
    }

   private:
    bool Broken() const {
      return owner_.failing && std::string_view(name_).ends_with(owner_.failing_suffix);
    }
    static rocksdb::IOStatus Error() { return rocksdb::IOStatus::IOError("injected"); }

    const std::string name_;
    FailingFiles& owner_;
  };
};

class RocksDbStorageTest : public ::testing::Test {
 protected:
  RocksDbStorageTest() {
    options_.path =
        fmt::format("{}/sop_rocksdb_{}_{}", std::filesystem::temp_directory_path().string(),
                    ::testing::UnitTest::GetInstance()->current_test_info()->name(), ::getpid());
    options_.apply = Concatenate;
    options_.reserve_bytes = 0;
    options_.creator = "test 1";
  }
  ~RocksDbStorageTest() override {
    storage_.reset();
    EXPECT_TRUE(files_.RemoveRecursively(options_.path).ok());
  }

  absl::Status Open(const RocksDbEnvironment& environment) {
    storage_.reset();
    auto storage = RocksDbStorage::Open(options_, {environment, files_, clock_, random_});
    if (storage.ok()) storage_ = *std::move(storage);
    return storage.status();
  }
  absl::Status Open() { return Open(environment_); }

  absl::Status Commit(std::string delta, Durability durability = Durability::kSynced) {
    const Sequence tail = storage_->log().Tail();
    CommitRecord record;
    record.first = record.last = Sequence{tail.value + 1};
    record.nodes = {{kTree, kRootNode, NodeAction::kMerge, std::move(delta)}};
    return storage_->log().Append(tail, record, durability).status();
  }

  std::string Root() {
    const auto snapshot = storage_->nodes().TakeSnapshot().value();
    return snapshot->ReadNode(kTree, kRootNode).value().value_or("none");
  }

  std::string Path(std::string_view name) const {
    return fmt::format("{}/{}", options_.path, name);
  }

  base::FileSystem& files_ = base::SystemFileSystem();
  base::ManualClock clock_;
  base::SeededRandom random_{5};
  const RocksDbEnvironment environment_{uint64_t{32} << 20, 2};
  RocksDbOptions options_;
  std::unique_ptr<RocksDbStorage> storage_;
};

TEST_F(RocksDbStorageTest, FolderHasTheDocumentedLayout) {
  ASSERT_TRUE(Open().ok());
  EXPECT_THAT(files_.List(options_.path).value(),
              ElementsAre("LOCK", "SOP-FORMAT", "SOP-SEAL", "db", "spill"));
  EXPECT_EQ(storage_->spill_folder(), Path("spill"));
  const auto file = files_.OpenForRead(Path("SOP-FORMAT")).value();
  const auto format = DecodeFormat("f", file->ReadAt(0, file->Size().value()).value());
  ASSERT_TRUE(format.ok()) << format.status();
  EXPECT_EQ(format->database_id, storage_->database_id());
  EXPECT_EQ(format->creator, "test 1");
}

TEST_F(RocksDbStorageTest, OpenFolderIsRefusedNamingItsHolder) {
  ASSERT_TRUE(Open().ok());
  const auto second = RocksDbStorage::Open(options_, {environment_, files_, clock_, random_});
  EXPECT_EQ(ReasonOf(second.status()), Reason::kFolderInUse);
  EXPECT_THAT(std::string(second.status().message()),
              HasSubstr(fmt::format("process {}", ::getpid())));
}

TEST_F(RocksDbStorageTest, SnapshotMayOutliveTheStorageAndHoldsTheFolder) {
  ASSERT_TRUE(Open().ok());
  ASSERT_TRUE(Commit("a").ok());
  auto snapshot = storage_->nodes().TakeSnapshot().value();
  storage_.reset();
  EXPECT_EQ(snapshot->ReadNode(kTree, kRootNode).value(), "a");
  EXPECT_EQ(ReasonOf(Open()), Reason::kFolderInUse);
  snapshot.reset();
  EXPECT_TRUE(Open().ok());
}

TEST_F(RocksDbStorageTest, StrangersAreReportedAndLeftAlone) {
  ASSERT_TRUE(files_.MakeFolders(Path("lost+found")).ok());
  ASSERT_TRUE(files_.WriteDurably(Path("notes\n.txt"), "mine").ok());
  ASSERT_TRUE(files_.WriteDurably(Path("SOP-FORMAT.unfinished"), "half").ok());
  std::vector<std::string> lines;
  options_.report = [&](std::string_view line) { lines.emplace_back(line); };
  ASSERT_TRUE(Open().ok());
  ASSERT_TRUE(files_.WriteDurably(Path("db/stranger"), "x").ok());
  ASSERT_TRUE(Open().ok());
  EXPECT_THAT(lines, ElementsAre(HasSubstr("/lost+found is"), HasSubstr("/notes\\x0a.txt is"),
                                 HasSubstr("/lost+found is"), HasSubstr("/notes\\x0a.txt is"),
                                 HasSubstr("/db/stranger is")));
  EXPECT_TRUE(files_.Exists(Path("lost+found")));
  EXPECT_TRUE(files_.Exists(Path("notes\n.txt")));
  EXPECT_TRUE(files_.Exists(Path("db/stranger")));
}

TEST_F(RocksDbStorageTest, LeftoverSpillIsEmptied) {
  ASSERT_TRUE(Open().ok());
  ASSERT_TRUE(files_.WriteDurably(Path("spill/1"), "x").ok());
  ASSERT_TRUE(Open().ok());
  EXPECT_TRUE(files_.List(Path("spill")).value().empty());
}

TEST_F(RocksDbStorageTest, UnknownFlagIsRefusedAndNothingIsTouched) {
  ASSERT_TRUE(Open().ok());
  ASSERT_TRUE(Commit("a").ok());
  const Uuid id = storage_->database_id();
  storage_.reset();
  const std::string later = EncodeFormat({id, {{"folded-time", "9.1.0"}}, "later"});
  const std::string ours = EncodeFormat({id, {}, "test 1"});
  ASSERT_TRUE(files_.WriteDurably(Path("SOP-FORMAT"), later).ok());
  ASSERT_TRUE(files_.WriteDurably(Path("spill/kept"), "x").ok());
  const absl::Status refused = Open();
  EXPECT_EQ(ReasonOf(refused), Reason::kFormatNotSupported);
  EXPECT_THAT(std::string(refused.message()), HasSubstr("folded-time"));
  EXPECT_THAT(std::string(refused.message()), HasSubstr("release 9.1.0"));
  EXPECT_TRUE(files_.Exists(Path("spill/kept")));
  ASSERT_TRUE(files_.WriteDurably(Path("SOP-FORMAT"), ours).ok());
  ASSERT_TRUE(Open().ok());
  EXPECT_EQ(Root(), "a");
}

TEST_F(RocksDbStorageTest, LostFilesAreDamageAndNotAFreshDatabase) {
  ASSERT_TRUE(Open().ok());
  ASSERT_TRUE(Commit("a").ok());
  const Uuid id = storage_->database_id();
  storage_.reset();
  const std::string ours = EncodeFormat({id, {}, "test 1"});
  ASSERT_TRUE(files_.Remove(Path("SOP-FORMAT")).ok());
  EXPECT_EQ(ReasonOf(Open()), Reason::kDamaged);
  ASSERT_TRUE(files_.WriteDurably(Path("SOP-FORMAT"), EncodeFormat({{1, 2}, {}, "x"})).ok());
  EXPECT_EQ(ReasonOf(Open()), Reason::kDamaged);
  ASSERT_TRUE(files_.WriteDurably(Path("SOP-FORMAT"), ours.substr(1)).ok());
  EXPECT_EQ(ReasonOf(Open()), Reason::kDamaged);
  ASSERT_TRUE(files_.WriteDurably(Path("SOP-FORMAT"), ours).ok());
  ASSERT_TRUE(Open().ok());
  EXPECT_EQ(Root(), "a");
  storage_.reset();
  ASSERT_TRUE(files_.RemoveRecursively(Path("db")).ok());
  EXPECT_EQ(ReasonOf(Open()), Reason::kDamaged);
}

TEST_F(RocksDbStorageTest, ReserveRefusesWritesAndAdmitsRemovals) {
  options_.reserve_bytes = ~uint64_t{0};
  ASSERT_TRUE(Open().ok());
  EXPECT_EQ(storage_->nodes().FreeBytes().value(), 0U);
  const absl::Status refused = Commit("a");
  EXPECT_EQ(ReasonOf(refused), Reason::kDiskFull) << refused;
  EXPECT_EQ(storage_->log().Tail(), Sequence{0});
  EXPECT_EQ(Root(), "none");
  CommitRecord removal;
  removal.first = removal.last = Sequence{1};
  removal.dropped_trees = {kTree};
  EXPECT_TRUE(storage_->log().Append(Sequence{0}, removal, Durability::kSynced).ok());
  options_.reserve_bytes = 0;
  ASSERT_TRUE(Open().ok());
  EXPECT_TRUE(Commit("a").ok());
}

TEST_F(RocksDbStorageTest, FailedLogSyncIsForEver) {
  const auto disk = std::make_shared<FailingFiles>();
  disk->failing_suffix = ".log";
  const auto env = rocksdb::NewCompositeEnv(disk);
  const RocksDbEnvironment environment(uint64_t{32} << 20, 2, *env);
  ASSERT_TRUE(Open(environment).ok());
  ASSERT_TRUE(Commit("a").ok());
  disk->failing = true;
  EXPECT_EQ(ReasonOf(Commit("b")), Reason::kUnavailable);
  disk->failing = false;
  for (const Durability durability : {Durability::kSynced, Durability::kRelaxed}) {
    EXPECT_EQ(ReasonOf(Commit("c", durability)), Reason::kUnavailable);
  }
  EXPECT_EQ(storage_->log().Tail(), Sequence{1});
  ASSERT_TRUE(Open(environment).ok());
  // Whether "b" survived is unknown; what was acknowledged is there, what was refused is not.
  EXPECT_THAT(Root(), ::testing::AnyOf("a", "ab"));
  EXPECT_TRUE(Commit("d").ok());
  storage_.reset();
}

TEST_F(RocksDbStorageTest, FailedBackgroundSyncIsForEver) {
  const auto disk = std::make_shared<FailingFiles>();
  disk->failing_suffix = ".sst";
  const auto env = rocksdb::NewCompositeEnv(disk);
  const RocksDbEnvironment environment(uint64_t{32} << 20, 2, *env);
  ASSERT_TRUE(Open(environment).ok());
  ASSERT_TRUE(Commit("a").ok());
  disk->failing = true;
  EXPECT_FALSE(storage_->Compact().ok());
  disk->failing = false;
  EXPECT_EQ(ReasonOf(Commit("b")), Reason::kUnavailable);
  EXPECT_EQ(ReasonOf(Commit("b")), Reason::kUnavailable);
  ASSERT_TRUE(Open(environment).ok());
  EXPECT_EQ(Root(), "a");
  EXPECT_TRUE(Commit("c").ok());
  storage_.reset();
}

TEST_F(RocksDbStorageTest, StatisticsCountWhatWasWritten) {
  ASSERT_TRUE(Open().ok());
  const auto before = storage_->Statistics();
  for (int i = 0; i < 10; ++i) {
    std::string noise(1000, '\0');  // nothing that could be compressed
    for (char& c : noise) c = static_cast<char>(random_.Next64());
    ASSERT_TRUE(Commit(noise).ok());
  }
  const auto written = storage_->Statistics();
  EXPECT_EQ(written.at("wal_syncs_count") - before.at("wal_syncs_count"), 10U);
  ASSERT_TRUE(storage_->Compact().ok());
  const auto snapshot = storage_->nodes().TakeSnapshot();
  const auto after = storage_->Statistics();
  EXPECT_GE(after.at("wal_written_bytes") - before.at("wal_written_bytes"), 10000U);
  EXPECT_GE(after.at("live_files_bytes"), 10000U);
  EXPECT_EQ(after.at("snapshots_count"), 1U);
  EXPECT_EQ(after.at("background_errors_count"), 0U);
}

}  // namespace
}  // namespace sop::rocksdb_storage
