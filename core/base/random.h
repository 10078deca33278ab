#pragma once

#include <cstdint>

#include "core/base/clock.h"
#include "core/base/ids.h"
#include "core/base/mutex.h"

namespace sop::base {

// Where random bits come from; a constructor argument everywhere below `server`. Thread-safe.
class Random {
 public:
  virtual ~Random() = default;
  virtual uint64_t Next64() = 0;
};

// The kernel's generator. The object lives for ever.
Random& SystemRandom();

// SplitMix64 (Steele, Lea and Flood 2014): the same numbers for the same seed. Thread-safe.
class SeededRandom : public Random {
 public:
  explicit SeededRandom(uint64_t seed) : state_(seed) {}
  uint64_t Next64() override;

 private:
  Mutex mu_;
  uint64_t state_ SOP_GUARDED_BY(mu_);
};

// UUID version 7 (RFC 9562): 48 bits of Unix milliseconds, then 74 random bits.
Uuid MakeUuid7(Clock& clock, Random& random);

}  // namespace sop::base
