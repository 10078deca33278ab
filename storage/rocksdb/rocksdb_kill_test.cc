#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include <chrono>
#include <cstdlib>
#include <filesystem>
#include <memory>
#include <optional>
#include <string>

#include <fmt/format.h>
#include <gtest/gtest.h>

#include "core/base/mutex.h"
#include "storage/rocksdb/rocksdb_storage.h"

// A binary of its own: RocksDB's threads are not copied by fork(), so the parent must never start
// any.
namespace sop::rocksdb_storage {
namespace {

using persistence::CommitRecord;
using persistence::Durability;

constexpr TreeId kTree{3};
constexpr int kRounds = 12;
constexpr int kMostRounds = 20;  // on a machine that is too busy for one record in so many

std::string Concatenate(std::optional<std::string_view> image,
                        std::span<const std::string_view> deltas) {
  std::string out(image.value_or(""));
  for (const std::string_view delta : deltas) out.append(delta);
  return out;
}

std::unique_ptr<RocksDbStorage> Open(const std::string& path,
                                     const RocksDbEnvironment& environment) {
  RocksDbOptions options;
  options.path = path;
  options.apply = Concatenate;
  options.reserve_bytes = 0;
  auto storage = RocksDbStorage::Open(
      options, {environment, base::SystemFileSystem(), base::SystemClock(), base::SystemRandom()});
  return storage.ok() ? *std::move(storage) : nullptr;
}

// In a child: commits one "x" after the other and writes a byte to `acknowledged` for each, until
// killed.
[[noreturn]] void CommitUntilKilled(const std::string& path, int acknowledged) {
  const RocksDbEnvironment environment(uint64_t{32} << 20, 2);
  const auto storage = Open(path, environment);
  if (storage == nullptr) ::_exit(1);
  for (;;) {
    const Sequence tail = storage->log().Tail();
    CommitRecord record;
    record.first = record.last = Sequence{tail.value + 1};
    record.nodes = {{kTree, kRootNode, persistence::NodeAction::kMerge, "x"}};
    if (!storage->log().Append(tail, record, Durability::kSynced).ok()) ::_exit(2);
    if (::write(acknowledged, "x", 1) != 1) ::_exit(3);
  }
}

// In a child: exits with 0 if the folder opens, tail and node agree, and the tail is in
// [least, most].
[[noreturn]] void CheckFolder(const std::string& path, uint64_t least, uint64_t most) {
  bool right = false;
  {
    const RocksDbEnvironment environment(uint64_t{32} << 20, 2);
    const auto storage = Open(path, environment);
    if (storage != nullptr) {
      const uint64_t tail = storage->log().Tail().value;
      const auto snapshot = storage->nodes().TakeSnapshot().value();
      const auto root = snapshot->ReadNode(kTree, kRootNode).value();
      right = tail >= least && tail <= most && root.value_or("") == std::string(tail, 'x');
    }
  }
  ::_exit(right ? 0 : 1);
}

uint64_t CountAndClose(int fd) {
  uint64_t count = 0;
  char buffer[4096];
  ssize_t got;
  while ((got = ::read(fd, buffer, sizeof(buffer))) > 0) count += static_cast<uint64_t>(got);
  ::close(fd);
  return count;
}

// Lets time pass: the kill has to strike wherever the child is by then.
void Pass(std::chrono::microseconds time) {
  base::Mutex mu;
  base::CondVar never;
  const base::MutexLock lock(mu);
  while (never.WaitFor(mu, time)) {
  }
}

TEST(RocksDbKillTest, KilledAtAnyMomentTheFolderOpensWithEveryAcknowledgedRecord) {
  const char* env = std::getenv("SOP_SEED");
  const uint64_t seed = env != nullptr ? std::strtoull(env, nullptr, 10) : 1;
  SCOPED_TRACE(seed);
  base::SeededRandom random(seed);
  const std::string path = fmt::format("{}/sop_rocksdb_kill_{}",
                                       std::filesystem::temp_directory_path().string(), ::getpid());
  uint64_t acknowledged = 0;
  for (int round = 0; round < kRounds || (acknowledged == 0 && round < kMostRounds); ++round) {
    int pipe[2];
    ASSERT_EQ(::pipe(pipe), 0);
    const pid_t child = ::fork();
    if (child == 0) CommitUntilKilled(path, pipe[1]);
    ::close(pipe[1]);
    // The first rounds strike during creation and opening.
    const uint64_t most = round < 4 ? 15'000 : round < kRounds ? 80'000 : 2'000'000;
    Pass(std::chrono::microseconds(random.Next64() % most));
    ASSERT_EQ(::kill(child, SIGKILL), 0);
    int status = 0;
    ASSERT_EQ(::waitpid(child, &status, 0), child);
    ASSERT_TRUE(WIFSIGNALED(status)) << "the child stopped by itself: " << status;
    acknowledged += CountAndClose(pipe[0]);
    const pid_t checker = ::fork();
    // One record of each round may have been written and not yet acknowledged.
    if (checker == 0) CheckFolder(path, acknowledged, acknowledged + round + 1);
    ASSERT_EQ(::waitpid(checker, &status, 0), checker);
    ASSERT_TRUE(WIFEXITED(status) && WEXITSTATUS(status) == 0) << "round " << round;
  }
  EXPECT_GT(acknowledged, 0U);
  EXPECT_TRUE(base::SystemFileSystem().RemoveRecursively(path).ok());
}

}  // namespace
}  // namespace sop::rocksdb_storage
