#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"

namespace sop::base {

// A file open for appending. Confined to one thread.
class AppendFile {
 public:
  virtual ~AppendFile() = default;
  virtual absl::Status Append(std::string_view bytes) = 0;
  // On OK everything appended is on stable storage.
  virtual absl::Status Sync() = 0;
};

// A file open for reading at any offset. Thread-safe.
class ReadFile {
 public:
  virtual ~ReadFile() = default;
  // Bytes [offset, offset + size); OUT_OF_RANGE when the file ends before.
  virtual absl::StatusOr<std::string> ReadAt(uint64_t offset, size_t size) const = 0;
  virtual absl::StatusOr<uint64_t> Size() const = 0;
};

// Held while it lives; the kernel frees it when the process dies. Thread-compatible.
class FileLock {
 public:
  virtual ~FileLock() = default;
};

// Files and folders; a constructor argument everywhere below `server`. UNAVAILABLE for I/O errors,
// NOT_FOUND, kDiskFull; messages name the path. Thread-safe.
class FileSystem {
 public:
  virtual ~FileSystem() = default;
  // Makes or truncates.
  virtual absl::StatusOr<std::unique_ptr<AppendFile>> OpenForAppend(const std::string& path) = 0;
  virtual absl::StatusOr<std::unique_ptr<ReadFile>> OpenForRead(const std::string& path) = 0;
  // Writes the whole file durably: a temporary name, fsync, rename, fsync of the folder.
  virtual absl::Status WriteDurably(const std::string& path, std::string_view bytes) = 0;
  // Makes the folder and its parents; OK if it is there.
  virtual absl::Status MakeFolders(const std::string& path) = 0;
  // Names in the folder, sorted, without "." and "..".
  virtual absl::StatusOr<std::vector<std::string>> List(const std::string& folder) = 0;
  virtual absl::Status Remove(const std::string& path) = 0;
  virtual absl::Status RemoveRecursively(const std::string& folder) = 0;
  virtual bool Exists(const std::string& path) = 0;
  // kFolderInUse, naming the process that holds it, if another process has it.
  virtual absl::StatusOr<std::unique_ptr<FileLock>> Lock(const std::string& path) = 0;
  // Bytes free to this process on the file system of `path`.
  virtual absl::StatusOr<uint64_t> FreeBytes(const std::string& path) = 0;
};

// The machine's file system. The object lives for ever.
FileSystem& SystemFileSystem();

}  // namespace sop::base
