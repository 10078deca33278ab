#pragma once

#include "absl/time/time.h"
#include "core/base/mutex.h"

namespace sop::base {

// Where time comes from; a constructor argument everywhere below `server`. Thread-safe.
class Clock {
 public:
  virtual ~Clock() = default;
  // Wall clock, for time-ordered ids and reports. May jump.
  virtual absl::Time Now() = 0;
  // Monotonic time since an arbitrary start, for limits and measurements.
  virtual absl::Duration Monotonic() = 0;
};

// The machine's clocks. The object lives for ever.
Clock& SystemClock();

// Stands still until told otherwise. Thread-safe.
class ManualClock : public Clock {
 public:
  explicit ManualClock(absl::Time start = absl::FromUnixSeconds(1'700'000'000)) : start_(start) {}
  absl::Time Now() override;
  absl::Duration Monotonic() override;
  void Advance(absl::Duration by);

 private:
  const absl::Time start_;
  Mutex mu_;
  absl::Duration elapsed_ SOP_GUARDED_BY(mu_) = absl::ZeroDuration();
};

}  // namespace sop::base
