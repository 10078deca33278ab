#include "core/base/file_system.h"

#include <fcntl.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <charconv>
#include <cstring>
#include <filesystem>
#include <string>
#include <system_error>
#include <utility>

#include <fmt/format.h>

#include "core/base/error.h"
#include "core/base/status_macros.h"

namespace sop::base {
namespace {

constexpr mode_t kFileMode = 0640;
constexpr mode_t kFolderMode = 0750;

absl::Status FileError(std::string_view action, const std::string& path, int error) {
  const std::string message =
      fmt::format("cannot {} {}: {}", action, path, std::generic_category().message(error));
  switch (error) {
    case ENOENT:
      return absl::NotFoundError(message);
    case ENOSPC:
    case EDQUOT:
      return Error(Reason::kDiskFull, message, {{"path", path}});
    default:
      return Error(Reason::kUnavailable, message, {{"path", path}});
  }
}

// An open file descriptor; closes it in the end.
class Descriptor {
 public:
  explicit Descriptor(int fd) : fd_(fd) {}
  ~Descriptor() {
    if (fd_ >= 0) ::close(fd_);
  }
  Descriptor(Descriptor&& other) noexcept : fd_(std::exchange(other.fd_, -1)) {}
  Descriptor& operator=(Descriptor&&) = delete;

  int get() const { return fd_; }

 private:
  int fd_;
};

absl::StatusOr<Descriptor> Open(const std::string& path, int flags) {
  const int fd = ::open(path.c_str(), flags | O_CLOEXEC, kFileMode);
  if (fd < 0) return FileError("open", path, errno);
  return Descriptor(fd);
}

absl::Status WriteAll(int fd, const std::string& path, std::string_view bytes) {
  while (!bytes.empty()) {
    const ssize_t written = ::write(fd, bytes.data(), bytes.size());
    if (written < 0 && errno == EINTR) continue;
    if (written < 0) return FileError("write", path, errno);
    bytes.remove_prefix(static_cast<size_t>(written));
  }
  return absl::OkStatus();
}

std::string FolderOf(const std::string& path) {
  const std::string folder = std::filesystem::path(path).parent_path().string();
  return folder.empty() ? "." : folder;
}

// Makes names that were added to or removed from the folder durable.
absl::Status SyncFolder(const std::string& folder) {
  SOP_ASSIGN_OR_RETURN(const Descriptor fd, Open(folder, O_RDONLY | O_DIRECTORY));
  if (::fsync(fd.get()) != 0) return FileError("sync folder", folder, errno);
  return absl::OkStatus();
}

class PosixAppendFile : public AppendFile {
 public:
  PosixAppendFile(std::string path, Descriptor fd) : path_(std::move(path)), fd_(std::move(fd)) {}

  absl::Status Append(std::string_view bytes) override { return WriteAll(fd_.get(), path_, bytes); }

  absl::Status Sync() override {
    if (::fdatasync(fd_.get()) != 0) return FileError("sync", path_, errno);
    return absl::OkStatus();
  }

 private:
  const std::string path_;
  const Descriptor fd_;
};

class PosixReadFile : public ReadFile {
 public:
  PosixReadFile(std::string path, Descriptor fd) : path_(std::move(path)), fd_(std::move(fd)) {}

  absl::StatusOr<std::string> ReadAt(uint64_t offset, size_t size) const override {
    // Checked first, so that a damaged length does not allocate before it is refused.
    SOP_ASSIGN_OR_RETURN(const uint64_t file_size, Size());
    if (offset > file_size || size > file_size - offset) {
      return absl::OutOfRangeError(
          fmt::format("{} ends at {}, before offset {} + {}", path_, file_size, offset, size));
    }
    std::string bytes(size, '\0');
    size_t done = 0;
    while (done < size) {
      const ssize_t got =
          ::pread(fd_.get(), bytes.data() + done, size - done, static_cast<off_t>(offset + done));
      if (got < 0 && errno == EINTR) continue;
      if (got < 0) return FileError("read", path_, errno);
      if (got == 0) return absl::OutOfRangeError(fmt::format("{} shrank while read", path_));
      done += static_cast<size_t>(got);
    }
    return bytes;
  }

  absl::StatusOr<uint64_t> Size() const override {
    struct stat status;
    if (::fstat(fd_.get(), &status) != 0) return FileError("stat", path_, errno);
    return static_cast<uint64_t>(status.st_size);
  }

 private:
  const std::string path_;
  const Descriptor fd_;
};

// flock() belongs to the open file, so two locks in one process exclude each other as well.
class PosixFileLock : public FileLock {
 public:
  explicit PosixFileLock(Descriptor fd) : fd_(std::move(fd)) {}

 private:
  const Descriptor fd_;
};

// The process id that a lock file names, or 0.
int HolderOf(int fd) {
  char text[16];
  const ssize_t size = ::pread(fd, text, sizeof(text), 0);
  int pid = 0;
  if (size > 0) std::from_chars(text, text + size, pid);
  return pid;
}

class PosixFileSystem : public FileSystem {
 public:
  absl::StatusOr<std::unique_ptr<AppendFile>> OpenForAppend(const std::string& path) override {
    SOP_ASSIGN_OR_RETURN(Descriptor fd, Open(path, O_WRONLY | O_CREAT | O_TRUNC));
    return std::make_unique<PosixAppendFile>(path, std::move(fd));
  }

  absl::StatusOr<std::unique_ptr<ReadFile>> OpenForRead(const std::string& path) override {
    SOP_ASSIGN_OR_RETURN(Descriptor fd, Open(path, O_RDONLY));
    return std::make_unique<PosixReadFile>(path, std::move(fd));
  }

  absl::Status WriteDurably(const std::string& path, std::string_view bytes) override {
    const std::string unfinished = path + ".unfinished";
    const absl::Status written = WriteAndSync(unfinished, bytes);
    if (!written.ok()) {
      ::unlink(unfinished.c_str());
      return written;
    }
    if (::rename(unfinished.c_str(), path.c_str()) != 0) return FileError("rename", path, errno);
    return SyncFolder(FolderOf(path));
  }

  absl::Status MakeFolders(const std::string& path) override {
    struct stat status;
    if (::stat(path.c_str(), &status) == 0) {
      return S_ISDIR(status.st_mode) ? absl::OkStatus() : FileError("make folder", path, ENOTDIR);
    }
    const std::string parent = FolderOf(path);
    if (parent != path) SOP_RETURN_IF_ERROR(MakeFolders(parent));
    if (::mkdir(path.c_str(), kFolderMode) != 0 && errno != EEXIST) {
      return FileError("make folder", path, errno);
    }
    return SyncFolder(parent);
  }

  absl::StatusOr<std::vector<std::string>> List(const std::string& folder) override {
    std::vector<std::string> names;
    std::error_code error;
    std::filesystem::directory_iterator entry(folder, error);
    while (!error && entry != std::filesystem::directory_iterator()) {
      names.push_back(entry->path().filename().string());
      entry.increment(error);
    }
    if (error) return FileError("list", folder, error.value());
    std::sort(names.begin(), names.end());
    return names;
  }

  absl::Status Remove(const std::string& path) override {
    if (::unlink(path.c_str()) != 0) return FileError("remove", path, errno);
    return absl::OkStatus();
  }

  absl::Status RemoveRecursively(const std::string& folder) override {
    std::error_code error;
    std::filesystem::remove_all(folder, error);
    return error ? FileError("remove", folder, error.value()) : absl::OkStatus();
  }

  bool Exists(const std::string& path) override {
    struct stat status;
    return ::lstat(path.c_str(), &status) == 0;
  }

  absl::StatusOr<std::unique_ptr<FileLock>> Lock(const std::string& path) override {
    SOP_ASSIGN_OR_RETURN(Descriptor fd, Open(path, O_RDWR | O_CREAT));
    if (::flock(fd.get(), LOCK_EX | LOCK_NB) != 0) {
      if (errno != EWOULDBLOCK) return FileError("lock", path, errno);
      const int holder = HolderOf(fd.get());
      return Error(Reason::kFolderInUse, fmt::format("{} is held by process {}", path, holder),
                   {{"path", path}, {"process", fmt::format("{}", holder)}});
    }
    if (::ftruncate(fd.get(), 0) != 0) return FileError("write", path, errno);
    SOP_RETURN_IF_ERROR(WriteAll(fd.get(), path, fmt::format("{}\n", ::getpid())));
    return std::make_unique<PosixFileLock>(std::move(fd));
  }

  absl::StatusOr<uint64_t> FreeBytes(const std::string& path) override {
    struct statvfs status;
    if (::statvfs(path.c_str(), &status) != 0) return FileError("stat", path, errno);
    return static_cast<uint64_t>(status.f_bavail) * status.f_frsize;
  }

 private:
  static absl::Status WriteAndSync(const std::string& path, std::string_view bytes) {
    SOP_ASSIGN_OR_RETURN(const Descriptor fd, Open(path, O_WRONLY | O_CREAT | O_TRUNC));
    SOP_RETURN_IF_ERROR(WriteAll(fd.get(), path, bytes));
    if (::fsync(fd.get()) != 0) return FileError("sync", path, errno);
    return absl::OkStatus();
  }
};

}  // namespace

FileSystem& SystemFileSystem() {
  static PosixFileSystem* const file_system = new PosixFileSystem();
  return *file_system;
}

}  // namespace sop::base
