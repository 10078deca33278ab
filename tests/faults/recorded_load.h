#pragma once

#include <array>
#include <cstdint>
#include <string>
#include <vector>

#include "core/base/ids.h"
#include "storage/rocksdb/model_disk/disk.h"
#include "tests/crash/plan.h"
#include "tests/faults/engine_on_disk.h"

namespace sop::faults {

// One transaction of a load that committed.
struct CommittedPlan {
  Sequence version;
  int thread = 0;
  uint64_t number = 0;
};

// A load on a fresh disk, recorded: several threads commit plans of tests/crash, the database is
// compacted, closed and opened again meanwhile. Marks in the journal are the versions of synced
// commits that were acknowledged. Thread-compatible.
class RecordedLoad {
 public:
  // `transactions`: of each of four threads. What is wrong, in words, or nothing.
  static std::string Record(uint64_t seed, uint64_t transactions, RecordedLoad* load);

  uint64_t seed() const { return seed_; }
  const std::vector<model_disk::DiskOperation>& journal() const { return journal_; }
  // The commit that made the accounts: before it there is nothing.
  Sequence accounts_version() const { return accounts_version_; }
  Sequence last_version() const;

  // Holds what `opened` has against the commits up to its tail. What is wrong, in words, or
  // nothing.
  std::string Check(EngineOnDisk& opened) const;

 private:
  uint64_t seed_ = 0;
  Sequence accounts_version_;
  std::vector<CommittedPlan> commits_;  // by version
  std::vector<model_disk::DiskOperation> journal_;
};

// Plans `first` to `last` of each of kLoadThreads threads.
struct LoadPart {
  uint64_t seed = 0;
  uint64_t first = 1;
  uint64_t last = 1;
};
inline constexpr int kLoadThreads = 4;

// What became of the plans of a load.
struct LoadResult {
  // Neither acknowledged nor refused: the log failed, or a read did.
  struct Unknown {
    Uuid token;
    int thread = 0;
    uint64_t number = 0;
  };
  std::vector<CommittedPlan> commits;
  std::vector<Unknown> unknown;
  uint64_t full = 0;       // refused as kDiskFull
  Sequence acknowledged;   // the last synced commit that was
  std::string unexpected;  // another error than those

  // Asks `engine`, opened again, what became of the unknown ones. What is wrong, or nothing.
  std::string Settle(txn::Engine& engine);
};

// Commits the plans, all threads at once; marks what is acknowledged on `disk`.
void CommitPlans(EngineOnDisk& opened, model_disk::Disk& disk, const LoadPart& part,
                 LoadResult* result);

// Holds what `opened` has against exactly those of `commits` that are not above its tail.
std::string CheckPrefix(EngineOnDisk& opened, uint64_t seed,
                        const std::vector<CommittedPlan>& commits);

}  // namespace sop::faults
