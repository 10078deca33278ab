#pragma once

#include "core/base/mutex.h"

namespace sop::rocksdb_storage {

// Who adds files that the log is to refer to, and who copies the list of files and then the log,
// keep out of each other's way: else the copy has the reference and not the file. Thread-safe.
class FileListGate {
 public:
  // Waits while a list is being made. Changes may overlap.
  void BeginChange() SOP_EXCLUDES(mu_);
  void EndChange() SOP_EXCLUDES(mu_);
  // Waits for changes to end. Lists may overlap.
  void BeginList() SOP_EXCLUDES(mu_);
  void EndList() SOP_EXCLUDES(mu_);

 private:
  base::Mutex mu_;
  base::CondVar quiet_;
  int changes_ SOP_GUARDED_BY(mu_) = 0;
  int lists_ SOP_GUARDED_BY(mu_) = 0;
};

}  // namespace sop::rocksdb_storage
