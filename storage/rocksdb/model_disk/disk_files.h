#pragma once

#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "core/base/file_system.h"
#include "storage/rocksdb/model_disk/disk.h"

namespace sop::model_disk {

// A model disk as the engine's file system: syncs what the machine's own would sync, and no more.
// Thread-safe.
class DiskFiles : public base::FileSystem {
 public:
  // `disk` must outlive this and what it opens.
  explicit DiskFiles(Disk& disk) : disk_(disk) {}

  absl::StatusOr<std::unique_ptr<base::AppendFile>> OpenForAppend(const std::string& path) override;
  absl::StatusOr<std::unique_ptr<base::ReadFile>> OpenForRead(const std::string& path) override;
  absl::Status WriteDurably(const std::string& path, std::string_view bytes) override;
  absl::Status MakeFolders(const std::string& path) override;
  absl::StatusOr<std::vector<std::string>> List(const std::string& folder) override;
  absl::Status Remove(const std::string& path) override;
  absl::Status RemoveRecursively(const std::string& folder) override;
  bool Exists(const std::string& path) override;
  absl::StatusOr<std::unique_ptr<base::FileLock>> Lock(const std::string& path) override;
  absl::StatusOr<uint64_t> FreeBytes(const std::string& path) override;

 private:
  Disk& disk_;
};

}  // namespace sop::model_disk
