#include "storage/rocksdb/model_disk/disk_files.h"

#include <utility>

#include <fmt/format.h>

#include "core/base/error.h"
#include "core/base/status_macros.h"

namespace sop::model_disk {
namespace {

absl::Status ToStatus(DiskStatus status, std::string_view action, const std::string& path) {
  const std::string message = fmt::format("cannot {} {} on the model disk", action, path);
  switch (status) {
    case DiskStatus::kOk:
      return absl::OkStatus();
    case DiskStatus::kNotFound:
      return absl::NotFoundError(message);
    case DiskStatus::kFull:
      return Error(Reason::kDiskFull, message, {{"path", path}});
    default:
      return Error(Reason::kUnavailable, message, {{"path", path}});
  }
}

class DiskAppendFile : public base::AppendFile {
 public:
  DiskAppendFile(Disk& disk, uint64_t file, std::string path)
      : disk_(disk), file_(file), path_(std::move(path)) {}
  absl::Status Append(std::string_view bytes) override {
    return ToStatus(disk_.Append(file_, bytes), "write", path_);
  }
  absl::Status Sync() override { return ToStatus(disk_.Sync(file_), "sync", path_); }

 private:
  Disk& disk_;
  const uint64_t file_;
  const std::string path_;
};

class DiskReadFile : public base::ReadFile {
 public:
  DiskReadFile(Disk& disk, uint64_t file, std::string path)
      : disk_(disk), file_(file), path_(std::move(path)) {}
  absl::StatusOr<std::string> ReadAt(uint64_t offset, size_t size) const override {
    std::string bytes;
    SOP_RETURN_IF_ERROR(ToStatus(disk_.Read(file_, offset, size, &bytes), "read", path_));
    if (bytes.size() < size) return absl::OutOfRangeError(fmt::format("{} ends before", path_));
    return bytes;
  }
  absl::StatusOr<uint64_t> Size() const override { return disk_.SizeOf(file_); }

 private:
  Disk& disk_;
  const uint64_t file_;
  const std::string path_;
};

class DiskFileLock : public base::FileLock {
 public:
  DiskFileLock(Disk& disk, std::string path) : disk_(disk), path_(std::move(path)) {}
  ~DiskFileLock() override { disk_.Unlock(path_); }

 private:
  Disk& disk_;
  const std::string path_;
};

}  // namespace

absl::StatusOr<std::unique_ptr<base::AppendFile>> DiskFiles::OpenForAppend(
    const std::string& path) {
  uint64_t file;
  SOP_RETURN_IF_ERROR(ToStatus(disk_.Create(path, &file), "open", path));
  return std::make_unique<DiskAppendFile>(disk_, file, path);
}

absl::StatusOr<std::unique_ptr<base::ReadFile>> DiskFiles::OpenForRead(const std::string& path) {
  uint64_t file;
  SOP_RETURN_IF_ERROR(ToStatus(disk_.OpenFile(path, &file), "open", path));
  return std::make_unique<DiskReadFile>(disk_, file, path);
}

absl::Status DiskFiles::WriteDurably(const std::string& path, std::string_view bytes) {
  const std::string unfinished = path + ".unfinished";
  SOP_ASSIGN_OR_RETURN(const auto file, OpenForAppend(unfinished));
  absl::Status status = file->Append(bytes);
  if (status.ok()) status = file->Sync();
  if (!status.ok()) {
    disk_.Remove(unfinished);
    return status;
  }
  SOP_RETURN_IF_ERROR(ToStatus(disk_.Rename(unfinished, path), "rename", path));
  return ToStatus(disk_.SyncFolder(ParentOf(path)), "sync folder of", path);
}

absl::Status DiskFiles::MakeFolders(const std::string& path) {
  if (disk_.Find(path).has_value()) return absl::OkStatus();
  const std::string parent = ParentOf(path);
  SOP_RETURN_IF_ERROR(MakeFolders(parent));
  SOP_RETURN_IF_ERROR(ToStatus(disk_.CreateFolder(path), "make folder", path));
  return ToStatus(disk_.SyncFolder(parent), "sync folder of", path);
}

absl::StatusOr<std::vector<std::string>> DiskFiles::List(const std::string& folder) {
  if (!disk_.Find(folder).has_value()) return ToStatus(DiskStatus::kNotFound, "list", folder);
  return disk_.List(folder);
}

absl::Status DiskFiles::Remove(const std::string& path) {
  return ToStatus(disk_.Remove(path), "remove", path);
}

absl::Status DiskFiles::RemoveRecursively(const std::string& folder) {
  const auto node = disk_.Find(folder);
  if (!node.has_value()) return absl::OkStatus();
  if (node->is_folder) {
    for (const std::string& name : disk_.List(folder)) {
      SOP_RETURN_IF_ERROR(RemoveRecursively(fmt::format("{}/{}", folder, name)));
    }
  }
  return Remove(folder);
}

bool DiskFiles::Exists(const std::string& path) { return disk_.Find(path).has_value(); }

absl::StatusOr<std::unique_ptr<base::FileLock>> DiskFiles::Lock(const std::string& path) {
  if (!disk_.Find(path).has_value()) SOP_RETURN_IF_ERROR(OpenForAppend(path).status());
  if (disk_.Lock(path)) return std::make_unique<DiskFileLock>(disk_, path);
  return Error(Reason::kFolderInUse, fmt::format("{} is held by this process", path),
               {{"path", path}});
}

absl::StatusOr<uint64_t> DiskFiles::FreeBytes(const std::string& /*path*/) {
  return disk_.FreeBytes();
}

}  // namespace sop::model_disk
