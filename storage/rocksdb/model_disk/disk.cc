#include "storage/rocksdb/model_disk/disk.h"

#include <algorithm>
#include <utility>

#include "core/base/check.h"

namespace sop::model_disk {

using Kind = DiskOperation::Kind;

void Disk::Do(DiskOperation operation) {
  state_.Apply(operation);
  journal_.push_back(std::move(operation));
}

bool Disk::Strikes(DiskFault::Call call, const std::string& name) const {
  bool strikes = false;
  for (DiskFault& fault : faults_) {
    if (fault.call != call || name.find(fault.name) == std::string::npos) continue;
    const bool over = fault.nth == 0;
    if (!over) --fault.nth;
    if (fault.nth > 0 || (over && fault.lasting == DiskFault::Lasting::kOnce)) continue;
    strikes = true;
  }
  struck_ += strikes;
  return strikes;
}

const std::string& Disk::NameOf(uint64_t file) const {
  static const std::string* const none = new std::string();
  const auto it = opened_as_.find(file);
  return it == opened_as_.end() ? *none : it->second;
}

void Disk::Mark(uint64_t number) {
  const base::MutexLock lock(mu_);
  DiskOperation mark;
  mark.number = number;
  Do(std::move(mark));
}

std::vector<DiskOperation> Disk::journal() const {
  const base::MutexLock lock(mu_);
  return journal_;
}

DiskState Disk::state() const {
  const base::MutexLock lock(mu_);
  return state_;
}

void Disk::Arm(DiskFault fault) {
  const base::MutexLock lock(mu_);
  faults_.push_back(std::move(fault));
}

uint64_t Disk::struck() const {
  const base::MutexLock lock(mu_);
  return struck_;
}

void Disk::SetCapacity(uint64_t bytes) {
  const base::MutexLock lock(mu_);
  capacity_ = bytes;
  used_ = state_.used_bytes();
}

DiskStatus Disk::Create(const std::string& path, uint64_t* file) {
  const base::MutexLock lock(mu_);
  if (!state_.Find(ParentOf(path)).has_value()) return DiskStatus::kNotFound;
  if (Strikes(DiskFault::Call::kName, path)) return DiskStatus::kFailed;
  const auto before = state_.Find(path);
  if (before.has_value() && before->is_folder) return DiskStatus::kIsThere;
  if (before.has_value()) {
    // O_TRUNC: the same file, emptied.
    *file = before->file;
    Do({Kind::kTruncate, before->file, 0, {}, {}, {}});
  } else {
    *file = state_.next_file();
    Do({Kind::kCreate, *file, 0, path, {}, {}});
  }
  opened_as_[*file] = path;
  return DiskStatus::kOk;
}

DiskStatus Disk::CreateFolder(const std::string& path) {
  const base::MutexLock lock(mu_);
  if (state_.Find(path).has_value()) return DiskStatus::kIsThere;
  if (!state_.Find(ParentOf(path)).has_value()) return DiskStatus::kNotFound;
  if (Strikes(DiskFault::Call::kName, path)) return DiskStatus::kFailed;
  Do({Kind::kCreateFolder, 0, 0, path, {}, {}});
  return DiskStatus::kOk;
}

DiskStatus Disk::OpenFile(const std::string& path, uint64_t* file) const {
  const base::MutexLock lock(mu_);
  const auto node = state_.Find(path);
  if (!node.has_value() || node->is_folder) return DiskStatus::kNotFound;
  if (Strikes(DiskFault::Call::kRead, path)) return DiskStatus::kFailed;
  *file = node->file;
  return DiskStatus::kOk;
}

DiskStatus Disk::Append(uint64_t file, std::string_view bytes) {
  const base::MutexLock lock(mu_);
  if (Strikes(DiskFault::Call::kWrite, NameOf(file))) return DiskStatus::kFailed;
  return Grow(file, bytes);
}

DiskStatus Disk::Write(uint64_t file, uint64_t offset, std::string_view bytes) {
  const base::MutexLock lock(mu_);
  if (Strikes(DiskFault::Call::kWrite, NameOf(file))) return DiskStatus::kFailed;
  const size_t size = state_.file(file).bytes.size();
  SOP_CHECK(offset <= size);
  const size_t over = std::min<size_t>(bytes.size(), size - offset);
  if (over > 0) Do({Kind::kOverwrite, file, offset, {}, {}, std::string(bytes.substr(0, over))});
  return over == bytes.size() ? DiskStatus::kOk : Grow(file, bytes.substr(over));
}

DiskStatus Disk::Grow(uint64_t file, std::string_view bytes) {
  if (used_ + bytes.size() > capacity_) {
    // What fits is written, as write() does.
    const size_t fits = capacity_ > used_ ? capacity_ - used_ : 0;
    used_ += fits;
    Do({Kind::kAppend, file, 0, {}, {}, std::string(bytes.substr(0, fits))});
    return DiskStatus::kFull;
  }
  used_ += bytes.size();
  Do({Kind::kAppend, file, 0, {}, {}, std::string(bytes)});
  return DiskStatus::kOk;
}

DiskStatus Disk::Truncate(uint64_t file, uint64_t size) {
  const base::MutexLock lock(mu_);
  if (state_.file(file).bytes.size() == size) return DiskStatus::kOk;
  Do({Kind::kTruncate, file, size, {}, {}, {}});
  used_ = state_.used_bytes();
  return DiskStatus::kOk;
}

DiskStatus Disk::Sync(uint64_t file) {
  const base::MutexLock lock(mu_);
  if (Strikes(DiskFault::Call::kSync, NameOf(file))) {
    Do({Kind::kSyncFails, file, 0, {}, {}, {}});
    return DiskStatus::kFailed;
  }
  Do({Kind::kSync, file, 0, {}, {}, {}});
  return DiskStatus::kOk;
}

DiskStatus Disk::SyncFolder(const std::string& path) {
  const base::MutexLock lock(mu_);
  if (Strikes(DiskFault::Call::kSyncFolder, path)) return DiskStatus::kFailed;
  Do({Kind::kSyncFolder, 0, 0, path, {}, {}});
  return DiskStatus::kOk;
}

DiskStatus Disk::Remove(const std::string& path) {
  const base::MutexLock lock(mu_);
  const auto node = state_.Find(path);
  if (!node.has_value()) return DiskStatus::kNotFound;
  if (Strikes(DiskFault::Call::kName, path)) return DiskStatus::kFailed;
  Do({Kind::kRemove, 0, 0, path, {}, {}});
  used_ = state_.used_bytes();
  return DiskStatus::kOk;
}

DiskStatus Disk::Rename(const std::string& path, const std::string& target) {
  const base::MutexLock lock(mu_);
  const auto node = state_.Find(path);
  if (!node.has_value()) return DiskStatus::kNotFound;
  if (Strikes(DiskFault::Call::kName, path)) return DiskStatus::kFailed;
  opened_as_[node->file] = target;
  Do({Kind::kRename, 0, 0, path, target, {}});
  return DiskStatus::kOk;
}

DiskStatus Disk::Link(const std::string& path, const std::string& target) {
  const base::MutexLock lock(mu_);
  if (!state_.Find(path).has_value()) return DiskStatus::kNotFound;
  if (state_.Find(target).has_value()) return DiskStatus::kIsThere;
  if (Strikes(DiskFault::Call::kName, target)) return DiskStatus::kFailed;
  Do({Kind::kLink, 0, 0, path, target, {}});
  return DiskStatus::kOk;
}

DiskStatus Disk::Read(uint64_t file, uint64_t offset, size_t size, std::string* bytes) const {
  const base::MutexLock lock(mu_);
  if (Strikes(DiskFault::Call::kRead, NameOf(file))) return DiskStatus::kFailed;
  const std::string& all = state_.file(file).bytes;
  bytes->assign(offset < all.size() ? all.substr(offset, size) : std::string());
  return DiskStatus::kOk;
}

std::optional<DiskState::Node> Disk::Find(const std::string& path) const {
  const base::MutexLock lock(mu_);
  return state_.Find(path);
}

std::vector<std::string> Disk::List(const std::string& folder) const {
  const base::MutexLock lock(mu_);
  return state_.List(folder);
}

uint64_t Disk::SizeOf(uint64_t file) const {
  const base::MutexLock lock(mu_);
  return state_.file(file).bytes.size();
}

uint64_t Disk::FreeBytes() const {
  const base::MutexLock lock(mu_);
  return capacity_ > used_ ? capacity_ - used_ : 0;
}

bool Disk::Lock(const std::string& path) {
  const base::MutexLock lock(mu_);
  return locks_.insert(path).second;
}

void Disk::Unlock(const std::string& path) {
  const base::MutexLock lock(mu_);
  locks_.erase(path);
}

}  // namespace sop::model_disk
