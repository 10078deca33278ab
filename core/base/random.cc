#include "core/base/random.h"

#include <sys/random.h>

#include "core/base/check.h"

namespace sop::base {
namespace {

class KernelRandom : public Random {
 public:
  uint64_t Next64() override {
    // A small per-thread pool: one system call for 64 numbers.
    thread_local uint64_t pool[64];
    thread_local size_t left = 0;
    if (left == 0) {
      SOP_CHECK(getrandom(pool, sizeof(pool), 0) == static_cast<ssize_t>(sizeof(pool)));
      left = 64;
    }
    return pool[--left];
  }
};

}  // namespace

Random& SystemRandom() {
  static KernelRandom* const random = new KernelRandom;
  return *random;
}

uint64_t SeededRandom::Next64() {
  MutexLock lock(mu_);
  uint64_t z = (state_ += 0x9e3779b97f4a7c15ULL);
  z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9ULL;
  z = (z ^ (z >> 27)) * 0x94d049bb133111ebULL;
  return z ^ (z >> 31);
}

Uuid MakeUuid7(Clock& clock, Random& random) {
  constexpr uint64_t kNanosPerMilli = 1'000'000;
  const auto nanos = static_cast<uint64_t>(absl::ToUnixNanos(clock.Now()));
  // The bits behind the milliseconds may be more of the time (RFC 9562, 6.2, method 3).
  const uint64_t fraction = nanos % kNanosPerMilli * 4096 / kNanosPerMilli;
  Uuid id;
  id.high = (nanos / kNanosPerMilli << 16) | 0x7000 | fraction;
  id.low = (uint64_t{0b10} << 62) | (random.Next64() >> 2);
  return id;
}

}  // namespace sop::base
