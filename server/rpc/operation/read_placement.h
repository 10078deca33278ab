#pragma once

#include <atomic>
#include <cstdint>

#include "core/txn/snapshot.h"

namespace sop::rpc {

// Says whether short operations may run on gRPC's own threads, of which there are few: as long as
// what they read is in memory. After an operation that had to read from storage, the next ones are
// sent to the workers, until enough of them in a row found everything in memory. Thread-safe.
class ReadPlacement {
 public:
  // Whether the next short operation may run where it arrives.
  bool RunsHere() const { return cold_.load(std::memory_order_relaxed) == 0; }

  // Where an operation found what it read.
  enum class Reads { kMemory, kStorage };

  // Watches one operation, on the thread that runs it.
  class Watch {
   public:
    explicit Watch(ReadPlacement& placement)
        : placement_(placement), reads_(txn::Snapshot::StorageReadsOfThisThread()) {}
    ~Watch() {
      const bool same = txn::Snapshot::StorageReadsOfThisThread() == reads_;
      placement_.Ran(same ? Reads::kMemory : Reads::kStorage);
    }
    Watch(const Watch&) = delete;
    Watch& operator=(const Watch&) = delete;

   private:
    ReadPlacement& placement_;
    const uint64_t reads_;
  };

  // Operations in a row that must do without storage.
  static constexpr int kCold = 64;

  // Tells how one operation went; Watch does.
  void Ran(Reads reads) {
    if (reads == Reads::kStorage) {
      cold_.store(kCold, std::memory_order_relaxed);
      return;
    }
    // A decrement that is lost in a race only makes it wait for one more.
    const int cold = cold_.load(std::memory_order_relaxed);
    if (cold > 0) cold_.store(cold - 1, std::memory_order_relaxed);
  }

 private:
  std::atomic<int> cold_{0};
};

}  // namespace sop::rpc
