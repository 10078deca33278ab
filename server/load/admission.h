#pragma once

#include <atomic>
#include <cstdint>
#include <memory>

#include "absl/status/status.h"
#include "absl/time/time.h"
#include "core/base/clock.h"
#include "core/base/memory/memory_budget.h"
#include "core/base/mutex.h"

namespace sop::load {

// Which requests are taken on: so many at once, streams counted apart because they mostly wait for
// their readers, and none for which there is no memory. Who is refused is told when to come again:
// the later the more are refused, so that those refused do not take the time of those admitted.
// Thread-safe.
class Admission {
 public:
  struct Options {
    int64_t max_requests = 256;
    int64_t max_streams = 10'000;
    // Required.
    std::shared_ptr<base::MemoryBudget> budget;
    // Must outlive this.
    base::Clock* clock = nullptr;
  };
  explicit Admission(Options options) : options_(std::move(options)) {}

  // The requests of a stream are not counted: the stream reads no faster than they are answered.
  enum class Shape { kRequest, kStream, kPartOfStream };

  // Counts by reason, for the metrics.
  struct Counters {
    uint64_t too_many = 0;
    uint64_t no_memory = 0;
  };
  Counters counters() const;
  int64_t requests() const { return requests_.load(std::memory_order_relaxed); }
  int64_t streams() const { return streams_.load(std::memory_order_relaxed); }
  base::MemoryBudget& budget() const { return *options_.budget; }

 private:
  friend class Admitted;

  absl::Status Refuse(std::atomic<uint64_t>& counter, absl::Status why) SOP_EXCLUDES(mu_);

  const Options options_;
  std::atomic<int64_t> requests_{0};
  std::atomic<int64_t> streams_{0};
  std::atomic<uint64_t> too_many_{0};
  std::atomic<uint64_t> no_memory_{0};

  base::Mutex mu_;
  // Refusals since `period_began_`, and what follows from those of the period before.
  absl::Duration period_began_ SOP_GUARDED_BY(mu_) = -absl::InfiniteDuration();
  int64_t refused_ SOP_GUARDED_BY(mu_) = 0;
  absl::Duration retry_after_ SOP_GUARDED_BY(mu_) = absl::Milliseconds(100);
};

// One request's place, from its arrival until it is destroyed. Confined to its request.
class Admitted {
 public:
  Admitted(Admission& admission, Admission::Shape shape);
  ~Admitted();
  Admitted(const Admitted&) = delete;
  Admitted& operator=(const Admitted&) = delete;

  // Takes memory for a request of `bytes`. OVERLOADED with the details "limit" and "retry_after_ms"
  // if too many are being worked on or there is no room. Call once, before anything is done for it.
  absl::Status Enter(int64_t bytes);
  // Takes memory for `bytes` of an answer that is made already, instead of what was taken for the
  // answer before. Refuses nothing: it makes others be refused.
  void HoldAnswer(int64_t bytes);
  // It is answered and counts no longer, although what it holds is charged until the end: on a busy
  // machine gRPC is done with an answered call long after its client has sent the next one.
  void Answered();

 private:
  std::atomic<int64_t>& count() const;

  Admission& admission_;
  const Admission::Shape shape_;
  bool counted_;
  base::MemoryCharge request_;
  base::MemoryCharge answer_;
};

}  // namespace sop::load
