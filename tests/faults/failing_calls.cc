// Preloaded into a real server: while the file that SOP_FAILING_CALLS names exists, calls fail as
// its first letter says. S: every sync of a write-ahead log is EIO. F: the disk has no free space.

#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include <cstdio>
#include <cstdlib>
#include <string_view>

namespace {

char Order() {
  const char* const path = std::getenv("SOP_FAILING_CALLS");
  const int fd = path == nullptr ? -1 : ::open(path, O_RDONLY | O_CLOEXEC);
  if (fd < 0) return ' ';
  char letter = ' ';
  if (::read(fd, &letter, 1) != 1) letter = ' ';
  ::close(fd);
  return letter;
}

bool IsLog(int fd) {
  char link[64];
  char path[4096];
  std::snprintf(link, sizeof(link), "/proc/self/fd/%d", fd);
  const ssize_t size = ::readlink(link, path, sizeof(path));
  return size > 0 && std::string_view(path, static_cast<size_t>(size)).ends_with(".log");
}

template <typename Function>
Function Next(const char* name) {
  return reinterpret_cast<Function>(::dlsym(RTLD_NEXT, name));
}

int SyncOrFail(int fd, const char* name) {
  if (IsLog(fd) && Order() == 'S') {
    errno = EIO;
    return -1;
  }
  return Next<int (*)(int)>(name)(fd);
}

}  // namespace

extern "C" int fsync(int fd) { return SyncOrFail(fd, "fsync"); }
extern "C" int fdatasync(int fd) { return SyncOrFail(fd, "fdatasync"); }
extern "C" int statvfs(const char* path, struct statvfs* found) {
  const int result = Next<int (*)(const char*, struct statvfs*)>("statvfs")(path, found);
  if (result == 0 && Order() == 'F') found->f_bavail = found->f_bfree = 0;
  return result;
}
