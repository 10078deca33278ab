#include "storage/rocksdb/model_disk/disk_environment.h"

#include <cstring>
#include <string>
#include <utility>
#include <vector>

#include <rocksdb/env.h>
#include <rocksdb/file_system.h>

namespace sop::model_disk {
namespace {

using rocksdb::FileOptions;
using rocksdb::IODebugContext;
using rocksdb::IOOptions;
using rocksdb::IOStatus;
using rocksdb::Slice;

IOStatus ToStatus(DiskStatus status, const std::string& path) {
  switch (status) {
    case DiskStatus::kOk:
      return IOStatus::OK();
    case DiskStatus::kNotFound:
      return IOStatus::PathNotFound(path);
    case DiskStatus::kFull:
      return IOStatus::NoSpace(path, "model disk is full");
    default:
      return IOStatus::IOError(path, "model disk failed");
  }
}

std::string Plain(std::string path) {
  while (path.size() > 1 && path.back() == '/') path.pop_back();
  return path;
}

class NoLog : public rocksdb::Logger {
 public:
  using rocksdb::Logger::Logv;
  void Logv(const char* /*format*/, va_list /*arguments*/) override {}
  size_t GetLogFileSize() const override { return 0; }
};

class Sequential : public rocksdb::FSSequentialFile {
 public:
  Sequential(Disk& disk, uint64_t file, std::string path)
      : disk_(disk), file_(file), path_(std::move(path)) {}
  IOStatus Read(size_t size, const IOOptions&, Slice* result, char* scratch,
                IODebugContext*) override {
    std::string bytes;
    const DiskStatus status = disk_.Read(file_, offset_, size, &bytes);
    std::memcpy(scratch, bytes.data(), bytes.size());
    *result = Slice(scratch, bytes.size());
    offset_ += bytes.size();
    return ToStatus(status, path_);
  }
  IOStatus Skip(uint64_t size) override {
    offset_ += size;
    return IOStatus::OK();
  }

 private:
  Disk& disk_;
  const uint64_t file_;
  const std::string path_;
  uint64_t offset_ = 0;
};

class RandomAccess : public rocksdb::FSRandomAccessFile {
 public:
  RandomAccess(Disk& disk, uint64_t file, std::string path)
      : disk_(disk), file_(file), path_(std::move(path)) {}
  IOStatus Read(uint64_t offset, size_t size, const IOOptions&, Slice* result, char* scratch,
                IODebugContext*) const override {
    std::string bytes;
    const DiskStatus status = disk_.Read(file_, offset, size, &bytes);
    std::memcpy(scratch, bytes.data(), bytes.size());
    *result = Slice(scratch, bytes.size());
    return ToStatus(status, path_);
  }

 private:
  Disk& disk_;
  const uint64_t file_;
  const std::string path_;
};

class Writable : public rocksdb::FSWritableFile {
 public:
  Writable(Disk& disk, uint64_t file, std::string path)
      : disk_(disk), file_(file), path_(std::move(path)), position_(disk.SizeOf(file)) {}
  using rocksdb::FSWritableFile::Append;
  using rocksdb::FSWritableFile::PositionedAppend;
  IOStatus Append(const Slice& bytes, const IOOptions&, IODebugContext*) override {
    const DiskStatus status = disk_.Write(file_, position_, {bytes.data(), bytes.size()});
    // A full disk took what fits.
    position_ = status == DiskStatus::kFull
                    ? disk_.SizeOf(file_)
                    : position_ + (status == DiskStatus::kOk) * bytes.size();
    return ToStatus(status, path_);
  }
  // Append goes on where it was, as on the machine's own file system.
  IOStatus PositionedAppend(const Slice& bytes, uint64_t offset, const IOOptions&,
                            IODebugContext*) override {
    return ToStatus(disk_.Write(file_, offset, {bytes.data(), bytes.size()}), path_);
  }
  IOStatus Truncate(uint64_t size, const IOOptions&, IODebugContext*) override {
    return ToStatus(disk_.Truncate(file_, size), path_);
  }
  IOStatus Close(const IOOptions&, IODebugContext*) override { return IOStatus::OK(); }
  IOStatus Flush(const IOOptions&, IODebugContext*) override { return IOStatus::OK(); }
  IOStatus Sync(const IOOptions&, IODebugContext*) override {
    return ToStatus(disk_.Sync(file_), path_);
  }
  // A hint that promises nothing.
  IOStatus RangeSync(uint64_t, uint64_t, const IOOptions&, IODebugContext*) override {
    return IOStatus::OK();
  }
  bool IsSyncThreadSafe() const override { return true; }
  uint64_t GetFileSize(const IOOptions&, IODebugContext*) override { return disk_.SizeOf(file_); }

 private:
  Disk& disk_;
  const uint64_t file_;
  const std::string path_;
  uint64_t position_;
};

class Folder : public rocksdb::FSDirectory {
 public:
  Folder(Disk& disk, std::string path) : disk_(disk), path_(std::move(path)) {}
  IOStatus Fsync(const IOOptions&, IODebugContext*) override {
    return ToStatus(disk_.SyncFolder(path_), path_);
  }
  IOStatus Close(const IOOptions&, IODebugContext*) override { return IOStatus::OK(); }

 private:
  Disk& disk_;
  const std::string path_;
};

class Held : public rocksdb::FileLock {
 public:
  explicit Held(std::string path) : path_(std::move(path)) {}
  const std::string& path() const { return path_; }

 private:
  const std::string path_;
};

class DiskFileSystem : public rocksdb::FileSystem {
 public:
  explicit DiskFileSystem(Disk& disk) : disk_(disk) {}

  const char* Name() const override { return "ModelDisk"; }

  IOStatus NewSequentialFile(const std::string& path, const FileOptions&,
                             std::unique_ptr<rocksdb::FSSequentialFile>* result,
                             IODebugContext*) override {
    return Open<Sequential>(path, result);
  }
  IOStatus NewRandomAccessFile(const std::string& path, const FileOptions&,
                               std::unique_ptr<rocksdb::FSRandomAccessFile>* result,
                               IODebugContext*) override {
    return Open<RandomAccess>(path, result);
  }
  IOStatus NewWritableFile(const std::string& path, const FileOptions&,
                           std::unique_ptr<rocksdb::FSWritableFile>* result,
                           IODebugContext*) override {
    uint64_t file;
    const DiskStatus status = disk_.Create(path, &file);
    if (status == DiskStatus::kOk) *result = std::make_unique<Writable>(disk_, file, path);
    return ToStatus(status, path);
  }
  IOStatus ReopenWritableFile(const std::string& path, const FileOptions&,
                              std::unique_ptr<rocksdb::FSWritableFile>* result,
                              IODebugContext*) override {
    return Open<Writable>(path, result);
  }
  IOStatus NewDirectory(const std::string& path, const IOOptions&,
                        std::unique_ptr<rocksdb::FSDirectory>* result, IODebugContext*) override {
    const auto node = disk_.Find(Plain(path));
    if (!node.has_value() || !node->is_folder) return IOStatus::PathNotFound(path);
    *result = std::make_unique<Folder>(disk_, Plain(path));
    return IOStatus::OK();
  }
  IOStatus FileExists(const std::string& path, const IOOptions&, IODebugContext*) override {
    return disk_.Find(Plain(path)).has_value() ? IOStatus::OK() : IOStatus::NotFound(path);
  }
  IOStatus GetChildren(const std::string& path, const IOOptions&, std::vector<std::string>* names,
                       IODebugContext*) override {
    names->clear();
    if (!disk_.Find(Plain(path)).has_value()) return IOStatus::NotFound(path);
    *names = disk_.List(Plain(path));
    return IOStatus::OK();
  }
  IOStatus DeleteFile(const std::string& path, const IOOptions&, IODebugContext*) override {
    return ToStatus(disk_.Remove(path), path);
  }
  IOStatus CreateDir(const std::string& path, const IOOptions&, IODebugContext*) override {
    return ToStatus(disk_.CreateFolder(Plain(path)), path);
  }
  IOStatus CreateDirIfMissing(const std::string& path, const IOOptions&, IODebugContext*) override {
    const DiskStatus status = disk_.CreateFolder(Plain(path));
    return status == DiskStatus::kIsThere ? IOStatus::OK() : ToStatus(status, path);
  }
  IOStatus DeleteDir(const std::string& path, const IOOptions&, IODebugContext*) override {
    return ToStatus(disk_.Remove(Plain(path)), path);
  }
  IOStatus GetFileSize(const std::string& path, const IOOptions&, uint64_t* size,
                       IODebugContext*) override {
    const auto node = disk_.Find(path);
    if (!node.has_value() || node->is_folder) return IOStatus::PathNotFound(path);
    *size = disk_.SizeOf(node->file);
    return IOStatus::OK();
  }
  IOStatus GetFileModificationTime(const std::string&, const IOOptions&, uint64_t* time,
                                   IODebugContext*) override {
    *time = 0;
    return IOStatus::OK();
  }
  IOStatus RenameFile(const std::string& path, const std::string& target, const IOOptions&,
                      IODebugContext*) override {
    return ToStatus(disk_.Rename(path, target), path);
  }
  IOStatus LinkFile(const std::string& path, const std::string& target, const IOOptions&,
                    IODebugContext*) override {
    return ToStatus(disk_.Link(path, target), path);
  }
  IOStatus AreFilesSame(const std::string& first, const std::string& second, const IOOptions&,
                        bool* same, IODebugContext*) override {
    const auto a = disk_.Find(first);
    const auto b = disk_.Find(second);
    *same = a.has_value() && b.has_value() && a->file == b->file;
    return IOStatus::OK();
  }
  IOStatus LockFile(const std::string& path, const IOOptions&, rocksdb::FileLock** lock,
                    IODebugContext*) override {
    uint64_t file;
    if (!disk_.Find(path).has_value()) disk_.Create(path, &file);
    if (!disk_.Lock(path)) return IOStatus::IOError(path, "is held");
    *lock = new Held(path);
    return IOStatus::OK();
  }
  IOStatus UnlockFile(rocksdb::FileLock* lock, const IOOptions&, IODebugContext*) override {
    const std::unique_ptr<Held> held(static_cast<Held*>(lock));
    disk_.Unlock(held->path());
    return IOStatus::OK();
  }
  IOStatus GetTestDirectory(const IOOptions&, std::string* path, IODebugContext*) override {
    *path = "/";
    return IOStatus::OK();
  }
  IOStatus NewLogger(const std::string&, const IOOptions&, std::shared_ptr<rocksdb::Logger>* result,
                     IODebugContext*) override {
    *result = std::make_shared<NoLog>();
    return IOStatus::OK();
  }
  IOStatus GetAbsolutePath(const std::string& path, const IOOptions&, std::string* absolute,
                           IODebugContext*) override {
    *absolute = path;
    return IOStatus::OK();
  }
  IOStatus GetFreeSpace(const std::string&, const IOOptions&, uint64_t* bytes,
                        IODebugContext*) override {
    *bytes = disk_.FreeBytes();
    return IOStatus::OK();
  }
  IOStatus IsDirectory(const std::string& path, const IOOptions&, bool* is_folder,
                       IODebugContext*) override {
    const auto node = disk_.Find(Plain(path));
    if (!node.has_value()) return IOStatus::NotFound(path);
    *is_folder = node->is_folder;
    return IOStatus::OK();
  }

 private:
  template <typename Kind, typename Base>
  IOStatus Open(const std::string& path, std::unique_ptr<Base>* result) {
    uint64_t file;
    const DiskStatus status = disk_.OpenFile(path, &file);
    if (status == DiskStatus::kOk) *result = std::make_unique<Kind>(disk_, file, path);
    return ToStatus(status, path);
  }

  Disk& disk_;
};

}  // namespace

std::shared_ptr<rocksdb::Env> MakeDiskEnvironment(Disk& disk) {
  return rocksdb::NewCompositeEnv(std::make_shared<DiskFileSystem>(disk));
}

}  // namespace sop::model_disk
