#include "tests/giant/resident.h"

#include <fmt/format.h>

#include <cstdlib>
#include <fstream>
#include <string>
#include <string_view>

namespace sop {
namespace {

uint64_t StatusBytes(pid_t process, std::string_view name) {
  std::ifstream status(fmt::format("/proc/{}/status", process));
  for (std::string line; std::getline(status, line);) {
    if (!line.starts_with(name)) continue;
    return std::strtoull(line.c_str() + name.size() + 1, nullptr, 10) * 1024;
  }
  return 0;
}

}  // namespace

uint64_t Resident(pid_t process) { return StatusBytes(process, "VmRSS"); }
uint64_t PeakResident(pid_t process) { return StatusBytes(process, "VmHWM"); }
void ResetPeakResident(pid_t process) {
  std::ofstream(fmt::format("/proc/{}/clear_refs", process)) << "5";
}

}  // namespace sop
