#pragma once

#include <cstdint>
#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <vector>

#include "core/base/mutex.h"
#include "storage/rocksdb/model_disk/disk_state.h"

namespace sop::model_disk {

enum class DiskStatus : uint8_t { kOk, kNotFound, kIsThere, kFailed, kFull };

// A call that fails with an I/O error.
struct DiskFault {
  enum class Call : uint8_t {
    kWrite,
    kSync,
    kSyncFolder,
    kName,
    kRead
  };  // kName: make, rename, remove
  enum class Lasting : uint8_t { kOnce, kForEver };
  Call call = Call::kSync;
  // Of files whose names contain this; empty: any.
  std::string name;
  // Which call from now on, 1 is the next.
  uint64_t nth = 1;
  Lasting lasting = Lasting::kOnce;
};

// A disk in use. Everything that happens to it is kept as a journal, from which each moment can be
// made again by applying a prefix of it to the state at the start. Thread-safe.
class Disk {
 public:
  explicit Disk(DiskState state = {}) : state_(std::move(state)) {}

  // --- What a test does ---
  void Mark(uint64_t number) SOP_EXCLUDES(mu_);
  std::vector<DiskOperation> journal() const SOP_EXCLUDES(mu_);
  DiskState state() const SOP_EXCLUDES(mu_);
  void Arm(DiskFault fault) SOP_EXCLUDES(mu_);
  // Faults that have struck.
  uint64_t struck() const SOP_EXCLUDES(mu_);
  // Appends beyond this many bytes on the disk fail as kFull.
  void SetCapacity(uint64_t bytes) SOP_EXCLUDES(mu_);

  // --- What files are made of ---
  // Makes or empties.
  DiskStatus Create(const std::string& path, uint64_t* file) SOP_EXCLUDES(mu_);
  DiskStatus CreateFolder(const std::string& path) SOP_EXCLUDES(mu_);
  DiskStatus OpenFile(const std::string& path, uint64_t* file) const SOP_EXCLUDES(mu_);
  DiskStatus Append(uint64_t file, std::string_view bytes) SOP_EXCLUDES(mu_);
  // Over what is there, and then to the end. REQUIRES: `offset` is not behind the end.
  DiskStatus Write(uint64_t file, uint64_t offset, std::string_view bytes) SOP_EXCLUDES(mu_);
  DiskStatus Truncate(uint64_t file, uint64_t size) SOP_EXCLUDES(mu_);
  DiskStatus Sync(uint64_t file) SOP_EXCLUDES(mu_);
  DiskStatus SyncFolder(const std::string& path) SOP_EXCLUDES(mu_);
  DiskStatus Remove(const std::string& path) SOP_EXCLUDES(mu_);
  DiskStatus Rename(const std::string& path, const std::string& target) SOP_EXCLUDES(mu_);
  DiskStatus Link(const std::string& path, const std::string& target) SOP_EXCLUDES(mu_);
  // Up to `size` bytes from `offset`.
  DiskStatus Read(uint64_t file, uint64_t offset, size_t size, std::string* bytes) const
      SOP_EXCLUDES(mu_);
  std::optional<DiskState::Node> Find(const std::string& path) const SOP_EXCLUDES(mu_);
  std::vector<std::string> List(const std::string& folder) const SOP_EXCLUDES(mu_);
  uint64_t SizeOf(uint64_t file) const SOP_EXCLUDES(mu_);
  uint64_t FreeBytes() const SOP_EXCLUDES(mu_);
  // False if somebody holds it.
  bool Lock(const std::string& path) SOP_EXCLUDES(mu_);
  void Unlock(const std::string& path) SOP_EXCLUDES(mu_);

 private:
  void Do(DiskOperation operation) SOP_REQUIRES(mu_);
  DiskStatus Grow(uint64_t file, std::string_view bytes) SOP_REQUIRES(mu_);
  bool Strikes(DiskFault::Call call, const std::string& name) const SOP_REQUIRES(mu_);
  const std::string& NameOf(uint64_t file) const SOP_REQUIRES(mu_);

  mutable base::Mutex mu_;
  DiskState state_ SOP_GUARDED_BY(mu_);
  std::vector<DiskOperation> journal_ SOP_GUARDED_BY(mu_);
  std::map<uint64_t, std::string> opened_as_ SOP_GUARDED_BY(mu_);  // file names, for faults
  mutable std::vector<DiskFault> faults_ SOP_GUARDED_BY(mu_);      // nth counts down to 0
  mutable uint64_t struck_ SOP_GUARDED_BY(mu_) = 0;
  uint64_t capacity_ SOP_GUARDED_BY(mu_) = uint64_t{1} << 40;
  uint64_t used_ SOP_GUARDED_BY(mu_) = 0;
  std::set<std::string> locks_ SOP_GUARDED_BY(mu_);
};

}  // namespace sop::model_disk
