#pragma once

#include <sys/types.h>

#include <cstdint>

namespace sop {

// What a process holds in RAM, in bytes, now and at most since ResetPeakResident; 0 if it is gone.
uint64_t Resident(pid_t process);
uint64_t PeakResident(pid_t process);
void ResetPeakResident(pid_t process);

}  // namespace sop
