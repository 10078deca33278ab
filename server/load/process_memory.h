#pragma once

#include <cstdint>

namespace sop::load {

// What the process holds, in bytes.
struct ProcessMemory {
  // In RAM, as the kernel counts it: code and threads included.
  int64_t resident = 0;
  // What the program has asked the allocator for and not given back.
  int64_t allocated = 0;
  // What the allocator holds in RAM for that; more than `allocated` by what is fragmented or kept
  // for the next request. 0 with `allocated` if the allocator does not say (under sanitizers).
  int64_t allocator_resident = 0;
  // Of that, pages with nothing on them, kept for the next request.
  int64_t unused = 0;
};

ProcessMemory MeasureProcess();

// Takes memory by small pages only, from now on: a process that has to be small cannot afford what
// is unused of huge ones.
void AvoidHugePages();

// Lets the allocator keep what is unused until GiveBackUnused. Write buffers come and go, and a
// page that was given back costs as much to get again as to fill; worse, a part of a huge page that
// is given back makes small ones of the rest. For a process with room.
void KeepUnused();

// Makes the allocator give back to the kernel what it keeps unused.
void GiveBackUnused();

}  // namespace sop::load
