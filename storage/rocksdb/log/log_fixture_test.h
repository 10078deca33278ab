// A database on a model disk, for tests of its log.
#pragma once

#include <memory>
#include <span>
#include <string>
#include <string_view>

#include <fmt/format.h>
#include <gtest/gtest.h>

#include "core/base/clock.h"
#include "core/base/random.h"
#include "storage/rocksdb/model_disk/disk.h"
#include "storage/rocksdb/model_disk/disk_environment.h"
#include "storage/rocksdb/model_disk/disk_files.h"
#include "storage/rocksdb/rocksdb_environment.h"
#include "storage/rocksdb/rocksdb_storage.h"

namespace sop::rocksdb_storage {

inline constexpr TreeId kTree{3};

inline std::string Concatenate(std::optional<std::string_view> image,
                               std::span<const std::string_view> deltas) {
  std::string out(image.value_or(""));
  for (const std::string_view delta : deltas) out.append(delta);
  return out;
}

// A database on a model disk; each record adds one byte to the text of record numbers in a node,
// and bytes that fill the log to a row. Thread-compatible.
class DatabaseOnDisk {
 public:
  explicit DatabaseOnDisk(model_disk::Disk& disk)
      : files_(disk),
        env_(model_disk::MakeDiskEnvironment(disk)),
        environment_(uint64_t{32} << 20, 2, *env_) {
    auto storage =
        RocksDbStorage::Open({.path = "/data/database", .apply = Concatenate},
                             {environment_, files_, base::SystemClock(), base::SystemRandom()});
    EXPECT_TRUE(storage.ok()) << storage.status();
    if (storage.ok()) storage_ = *std::move(storage);
  }
  ~DatabaseOnDisk() { storage_.reset(); }

  RocksDbStorage& storage() { return *storage_; }
  uint64_t tail() { return storage_->log().Tail().value; }

  void Append(size_t filling,
              persistence::Durability durability = persistence::Durability::kRelaxed) {
    const Sequence tail = storage_->log().Tail();
    persistence::CommitRecord record;
    record.first = record.last = Sequence{tail.value + 1};
    record.nodes = {{kTree, kRootNode, persistence::NodeAction::kMerge, TextOf(record.last.value)}};
    record.rows = {{persistence::Space::kMeta, "filling", std::string(filling, 'f')}};
    const auto appended = storage_->log().Append(tail, record, durability);
    EXPECT_TRUE(appended.ok()) << appended.status();
  }
  // What the records up to the tail made, each of them once.
  void ExpectWhole() {
    std::string expected;
    for (uint64_t number = 1; number <= tail(); ++number) expected += TextOf(number);
    const auto snapshot = storage_->nodes().TakeSnapshot().value();
    EXPECT_EQ(snapshot->ReadNode(kTree, kRootNode).value().value_or(""), expected);
  }

 private:
  static std::string TextOf(uint64_t number) { return fmt::format("{:04}", number); }

  model_disk::DiskFiles files_;
  std::shared_ptr<rocksdb::Env> env_;
  RocksDbEnvironment environment_;
  std::unique_ptr<RocksDbStorage> storage_;
};

inline bool IsLog(std::string_view path) { return path.ends_with(".log"); }

// Path of the log that was begun last.
inline std::string NewestLog(const model_disk::DiskState& state) {
  std::string newest;
  for (const std::string& path : state.Files()) {
    if (IsLog(path)) newest = path;  // numbers have leading zeros
  }
  return newest;
}

inline std::string BytesOf(const model_disk::DiskState& state, const std::string& path) {
  return state.file(state.Find(path)->file).bytes;
}

}  // namespace sop::rocksdb_storage
