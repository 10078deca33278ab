#include "storage/rocksdb/upkeep/file_list_gate.h"

namespace sop::rocksdb_storage {

void FileListGate::BeginChange() {
  const base::MutexLock lock(mu_);
  while (lists_ > 0) quiet_.Wait(mu_);
  ++changes_;
}

void FileListGate::EndChange() {
  const base::MutexLock lock(mu_);
  if (--changes_ == 0) quiet_.NotifyAll();
}

void FileListGate::BeginList() {
  const base::MutexLock lock(mu_);
  ++lists_;  // at once, so that no more changes begin
  while (changes_ > 0) quiet_.Wait(mu_);
}

void FileListGate::EndList() {
  const base::MutexLock lock(mu_);
  if (--lists_ == 0) quiet_.NotifyAll();
}

}  // namespace sop::rocksdb_storage
