#pragma once

#include <sys/types.h>

#include <chrono>
#include <cstdint>
#include <string>
#include <string_view>

#include "tests/crash/life.h"

namespace sop::crash {

// An environment variable as a number, or `ours` if it is not set.
uint64_t NumberFrom(const char* variable, uint64_t ours);

// One database and the processes that live and die on it, one after the other; what they settled
// and acknowledged is what the next one has to find. The process that owns this may not start
// threads: they are not copied by fork(). Confined to one thread.
class EngineLives {
 public:
  struct Counts {
    uint64_t served = 0;
    uint64_t acknowledged = 0;
    uint64_t refused = 0;
    uint64_t pending = 0;
    uint64_t pending_applied = 0;
    uint64_t snapshots = 0;
    uint64_t closings = 0;
  };

  // A folder of its own, in memory if the system has such a place, removed in the end.
  EngineLives(uint64_t seed, std::string_view name);
  ~EngineLives();
  EngineLives(const EngineLives&) = delete;
  EngineLives& operator=(const EngineLives&) = delete;

  struct Kill {
    uint64_t life = 0;
    int close_after_ms = 0;
    bool early = false;                  // while it opens and checks, perhaps
    std::chrono::microseconds after{0};  // from when it serves, or from its start if early
    std::optional<size_t> die_at;        // or by itself, at a fail point
    uint64_t die_at_passage = 1;
  };
  // One life, from fork to death. What is wrong, in words, or nothing.
  std::string LiveOnce(const Kill& kill);

  const Counts& counts() const { return counts_; }
  // How often the last life passed a fail point.
  uint64_t passed(size_t fail_point) const { return record_->passed[fail_point]; }

 private:
  std::string WaitUntilServing() const;
  // Until the child kills itself; the exit status.
  std::string WaitForDeath(pid_t child) const;
  void TakeOver();
  void TakeOverThread(int thread, const LifeRecord::Thread& done);
  void Apply(int thread, uint64_t number);

  const uint64_t seed_;
  LifeOptions options_;
  LifeRecord* record_ = nullptr;
  Expectation expectation_;
  Counts counts_;
};

}  // namespace sop::crash
