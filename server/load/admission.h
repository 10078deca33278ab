#pragma once

#include <atomic>
#include <cstdint>
#include <memory>
#include <string_view>
#include <utility>

#include "absl/functional/any_invocable.h"
#include "absl/status/status.h"
#include "absl/time/time.h"
#include "core/base/clock.h"
#include "core/base/memory/memory_budget.h"
#include "core/base/mutex.h"
#include "server/load/gate.h"
#include "server/load/intake.h"

namespace sop::load {

// When those who are refused should come again: the later the more they are, so that they do not
// take the time of those admitted. Thread-safe.
class RetryPace {
 public:
  // `per_second`: refusals wanted at most, by those who come again as they were told.
  RetryPace(int64_t per_second, base::Clock& clock) : per_second_(per_second), clock_(clock) {}

  // Counts a refusal and says for how long it is.
  absl::Duration Next() SOP_EXCLUDES(mu_);

 private:
  const int64_t per_second_;
  base::Clock& clock_;

  base::Mutex mu_;
  // Refusals since `period_began_`, and what follows from those of the period before.
  absl::Duration period_began_ SOP_GUARDED_BY(mu_) = -absl::InfiniteDuration();
  int64_t refused_ SOP_GUARDED_BY(mu_) = 0;
  absl::Duration retry_after_ SOP_GUARDED_BY(mu_);
  double spread_ SOP_GUARDED_BY(mu_) = 0;
};

// Which requests are taken on: so many at once, streams counted apart because they mostly wait for
// their readers, and none for which there is no memory. Heavy ones, of many bytes, take turns, a
// few at once: the light ones are served between them. Thread-safe.
class Admission {
 public:
  struct Options {
    int64_t max_requests = 256;
    int64_t max_streams = 10'000;
    // Requests that may take long to be received, at once.
    size_t max_receiving = 8;
    // Bytes of heavy requests and their answers that are worked on at once.
    int64_t max_heavy_bytes = int64_t{8} << 20;
    // Required.
    std::shared_ptr<base::MemoryBudget> budget;
    // Must outlive this.
    base::Clock* clock = nullptr;
  };
  explicit Admission(Options options)
      : options_(std::move(options)),
        intake_({.slow = options_.max_receiving, .clock = options_.clock}),
        heavy_({.capacity = options_.max_heavy_bytes, .waiting = 8}),
        light_pace_(500, *options_.clock),
        heavy_pace_(10, *options_.clock) {}

  // What moves more bytes is heavy.
  static constexpr int64_t kHeavyBytes = 256 << 10;

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
  // Where requests are while they are received.
  Intake& intake() { return intake_; }

 private:
  friend class Admitted;

  static absl::Status Refuse(std::atomic<uint64_t>& counter, RetryPace& pace, absl::Status why);

  const Options options_;
  Intake intake_;
  Gate heavy_;
  RetryPace light_pace_;
  RetryPace heavy_pace_;
  std::atomic<int64_t> requests_{0};
  std::atomic<int64_t> streams_{0};
  std::atomic<uint64_t> too_many_{0};
  std::atomic<uint64_t> no_memory_{0};
};

// One request's place, from its arrival until it is destroyed. Confined to its request.
class Admitted : private Gate::Visitor {
 public:
  Admitted(Admission& admission, Admission::Shape shape);
  ~Admitted() override;
  Admitted(const Admitted&) = delete;
  Admitted& operator=(const Admitted&) = delete;

  // Takes memory for a request of `bytes`. OVERLOADED with the details "limit" and "retry_after_ms"
  // if too many are being worked on or there is no room. Call once, before anything is done for it.
  absl::Status Enter(int64_t bytes);
  // Whether it must wait for its turn: it moves so many bytes, with its answer. The requests of a
  // stream need not: a stream has bounds of its own.
  bool IsHeavy(int64_t bytes) const {
    return bytes > Admission::kHeavyBytes && shape_ == Admission::Shape::kRequest;
  }
  // Has `work` run when it is the turn of a heavy request: now, or on the thread of one that was
  // answered, where it must not take long. OVERLOADED if too many wait. Call at most once.
  absl::Status WaitForTurn(int64_t bytes, absl::AnyInvocable<void()> work);
  // OVERLOADED, as Enter says it, for one that the intake gave up.
  absl::Status RefuseIntake();
  // OVERLOADED as Enter says it if too many are being worked on.
  absl::Status CheckCount();
  // Takes memory for `bytes` more of an answer that is to be made. False, and nothing taken, if
  // there is no room.
  bool GrowAnswer(int64_t bytes);
  // OVERLOADED, as Enter says it, for an answer that GrowAnswer had no room for.
  absl::Status RefuseAnswer();
  // Takes memory for `bytes` of an answer that is made already, instead of what was taken for the
  // answer before. Refuses nothing: it makes others be refused.
  void HoldAnswer(int64_t bytes);
  // It is answered and counts no longer, although what it holds is charged until the end: on a busy
  // machine gRPC is done with an answered call long after its client has sent the next one.
  void Answered();

 private:
  std::atomic<int64_t>& count() const;
  void Go() override { std::exchange(work_, nullptr)(); }
  absl::Status RefuseForMemory(std::string_view what);

  Admission& admission_;
  const Admission::Shape shape_;
  bool counted_;
  // It went to the gate of the heavy ones.
  bool heavy_ = false;
  // Of a heavy one that waits.
  absl::AnyInvocable<void()> work_;
  base::MemoryCharge request_;
  base::MemoryCharge answer_;
};

}  // namespace sop::load
