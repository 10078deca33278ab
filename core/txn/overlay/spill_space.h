#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>
#include <string_view>

#include "absl/container/inlined_vector.h"
#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "core/base/file_system.h"
#include "core/base/memory/memory_budget.h"
#include "core/txn/overlay/spill_file.h"

namespace sop::txn {

class Overlay;

// Where one transaction's overlays keep what does not fit in memory, and the memory they share.
// When their buffers together exceed the budget the largest is written out. Touches the disk only
// then. Must outlive its overlays. Confined to its transaction.
class SpillSpace {
 public:
  // `folder` is made when it is first needed. `name` is unique among the living users of the folder
  // (the transaction's id): files are `<name>-<number>.spill`. `memory_budget_bytes` bounds the
  // buffers. On top come filters and indexes of the runs (two bytes for an entry of 100 bytes,
  // twice that during a merge) and a block of 32 KiB for each run and each iterator's place in it:
  // 10 M entries of 100 bytes under a budget of 16 MiB grew the process by 30 MiB in all
  // (measured). What buffers take is charged to `charge`, which may refuse before that bound: then
  // they are written out as well.
  SpillSpace(base::FileSystem& files, std::string folder, std::string name,
             size_t memory_budget_bytes, base::MemoryCharge charge = {});
  ~SpillSpace();
  SpillSpace(const SpillSpace&) = delete;
  SpillSpace& operator=(const SpillSpace&) = delete;

  // Removes what a killed process left in `folder`: files named *.spill, nothing else. To be called
  // before the first transaction. OK if there is no such folder; the first error otherwise.
  static absl::Status RemoveLeftovers(base::FileSystem& files, const std::string& folder);

  // Bytes of all buffers now.
  size_t memory_bytes() const { return memory_bytes_; }
  size_t memory_budget_bytes() const { return memory_budget_bytes_; }
  const base::MemoryCharge& charge() const { return charge_; }

 private:
  friend class Overlay;

  void Register(Overlay* overlay);
  void Unregister(Overlay* overlay);
  // Takes more memory while there is some, then writes out the largest buffers, until all of them
  // together are within granted_bytes_.
  absl::Status MakeRoom();
  absl::StatusOr<std::unique_ptr<SpillFileWriter>> MakeFile(uint64_t expected_entries);

  base::FileSystem& files_;
  const std::string folder_;
  const std::string name_;
  const size_t memory_budget_bytes_;
  base::MemoryCharge charge_;
  size_t granted_bytes_;  // at most memory_budget_bytes_; charged
  size_t memory_bytes_ = 0;
  uint64_t next_file_ = 0;
  bool folder_made_ = false;
  absl::InlinedVector<Overlay*, 4> overlays_;
};

}  // namespace sop::txn
