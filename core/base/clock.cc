#include "core/base/clock.h"

#include <chrono>

#include "absl/time/clock.h"

namespace sop::base {
namespace {

class MachineClock : public Clock {
 public:
  absl::Time Now() override { return absl::Now(); }
  absl::Duration Monotonic() override {
    return absl::FromChrono(std::chrono::steady_clock::now().time_since_epoch());
  }
};

}  // namespace

Clock& SystemClock() {
  static MachineClock* const clock = new MachineClock;
  return *clock;
}

absl::Time ManualClock::Now() { return start_ + Monotonic(); }

absl::Duration ManualClock::Monotonic() {
  MutexLock lock(mu_);
  return elapsed_;
}

void ManualClock::Advance(absl::Duration by) {
  MutexLock lock(mu_);
  elapsed_ += by;
}

}  // namespace sop::base
