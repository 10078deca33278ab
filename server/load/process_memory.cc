#include "server/load/process_memory.h"

#include <sys/prctl.h>
#include <unistd.h>

#include <cstddef>
#include <cstdio>
#include <string>

#include "fmt/format.h"

// jemalloc's, if it is linked: builds with sanitizers have another allocator.
extern "C" int mallctl(const char* name, void* read, size_t* read_size, void* write,
                       size_t write_size) __attribute__((weak));

// Read by jemalloc when the process starts. Unused pages go back to the kernel after a second (see
// KeepUnused), from a thread that costs no request any time. Few arenas: each keeps pages of its
// own. Huge pages: nodes are found all over the memory, and each step into a small page costs a
// search for it. No special treatment of what is large: it would go back at once.
extern "C" {
extern const char* malloc_conf;
const char* malloc_conf =
    "background_thread:true,dirty_decay_ms:1000,muzzy_decay_ms:0,narenas:4,thp:always,"
    "metadata_thp:disabled,oversize_threshold:0";
}

namespace sop::load {
namespace {

int64_t Resident() {
  std::FILE* file = std::fopen("/proc/self/statm", "r");
  if (file == nullptr) return 0;
  long size = 0;
  long resident = 0;
  const int read = std::fscanf(file, "%ld %ld", &size, &resident);
  std::fclose(file);
  return read == 2 ? int64_t{resident} * sysconf(_SC_PAGESIZE) : 0;
}

int64_t AllocatorGauge(const char* name) {
  size_t value = 0;
  size_t size = sizeof(value);
  return mallctl(name, &value, &size, nullptr, 0) == 0 ? static_cast<int64_t>(value) : 0;
}

}  // namespace

ProcessMemory MeasureProcess() {
  ProcessMemory memory;
  memory.resident = Resident();
  if (mallctl == nullptr) return memory;
  // Gauges are of the last time that the epoch was moved.
  uint64_t epoch = 1;
  size_t size = sizeof(epoch);
  mallctl("epoch", &epoch, &size, &epoch, size);
  memory.allocated = AllocatorGauge("stats.allocated");
  memory.allocator_resident = AllocatorGauge("stats.resident");
  // 4096 names all arenas (MALLCTL_ARENAS_ALL).
  memory.unused = AllocatorGauge("stats.arenas.4096.pdirty") * sysconf(_SC_PAGESIZE);
  return memory;
}

void KeepUnused() {
  if (mallctl == nullptr) return;
  ptrdiff_t never = -1;
  // What arenas begin with from now on, then those that there are.
  mallctl("arenas.dirty_decay_ms", nullptr, nullptr, &never, sizeof(never));
  unsigned arenas = 0;
  size_t size = sizeof(arenas);
  mallctl("arenas.narenas", &arenas, &size, nullptr, 0);
  for (unsigned arena = 0; arena < arenas; ++arena) {
    const std::string name = fmt::format("arena.{}.dirty_decay_ms", arena);
    mallctl(name.c_str(), nullptr, nullptr, &never, sizeof(never));
  }
}

void AvoidHugePages() { prctl(PR_SET_THP_DISABLE, 1, 0, 0, 0); }

void GiveBackUnused() {
  if (mallctl != nullptr) mallctl("arena.4096.purge", nullptr, nullptr, nullptr, 0);
}

}  // namespace sop::load
