#include "server/load/admission.h"

#include <algorithm>
#include <cmath>

#include "core/base/error.h"
#include "core/base/status_macros.h"
#include "fmt/format.h"

namespace sop::load {
namespace {

// What a call takes besides its messages: gRPC's call and ours.
constexpr int64_t kCallBytes = 8 << 10;
// A message takes this much of its size on the wire: as it came and as it was parsed, or as it was
// made and as it is sent.
constexpr int64_t kMessageFactor = 2;
// Refusals are counted, and the pace is set, once in this time.
constexpr absl::Duration kPeriod = absl::Milliseconds(100);
constexpr absl::Duration kLeastRetry = absl::Milliseconds(100);
constexpr absl::Duration kMostRetry = absl::Seconds(10);

}  // namespace

Admission::Counters Admission::counters() const {
  return {.too_many = too_many_.load(std::memory_order_relaxed),
          .no_memory = no_memory_.load(std::memory_order_relaxed)};
}

// With N clients that come again after d there are N / d refusals a second: d follows their number.
absl::Duration RetryPace::Next() {
  const absl::Duration now = clock_.Monotonic();
  base::MutexLock lock(mu_);
  const absl::Duration passed = now - period_began_;
  if (passed >= kPeriod) {
    const double rate = static_cast<double>(refused_) * (absl::Seconds(1) / passed);
    retry_after_ = std::clamp(retry_after_ * (rate / static_cast<double>(per_second_)), kLeastRetry,
                              kMostRetry);
    period_began_ = now;
    refused_ = 0;
  }
  ++refused_;
  // Spread over half of it to one and a half, evenly in any order: those who were refused together
  // must not come again together.
  constexpr double kGoldenRatio = 0.6180339887;
  spread_ += kGoldenRatio;
  spread_ -= std::floor(spread_);
  return std::max(kLeastRetry, retry_after_ * (0.5 + spread_));
}

absl::Status Admission::Refuse(std::atomic<uint64_t>& counter, RetryPace& pace, absl::Status why) {
  counter.fetch_add(1, std::memory_order_relaxed);
  const absl::Duration retry_after = pace.Next();
  return WithDetail(std::move(why), "retry_after_ms",
                    fmt::format("{}", absl::ToInt64Milliseconds(retry_after)));
}

Admitted::Admitted(Admission& admission, Admission::Shape shape)
    : admission_(admission),
      shape_(shape),
      counted_(shape != Admission::Shape::kPartOfStream),
      request_(admission.options_.budget),
      answer_(admission.options_.budget) {
  if (counted_) count().fetch_add(1, std::memory_order_relaxed);
  admission_.intake_.Look();
}

Admitted::~Admitted() { Answered(); }

void Admitted::Answered() {
  if (std::exchange(heavy_, false)) admission_.heavy_.Leave(*this);
  if (counted_) count().fetch_sub(1, std::memory_order_relaxed);
  counted_ = false;
}

std::atomic<int64_t>& Admitted::count() const {
  return shape_ == Admission::Shape::kRequest ? admission_.requests_ : admission_.streams_;
}

absl::Status Admitted::WaitForTurn(int64_t bytes, absl::AnyInvocable<void()> work) {
  work_ = std::move(work);
  heavy_ = true;
  switch (admission_.heavy_.Enter(*this, bytes)) {
    case Gate::Entry::kIn:
      Go();
      return absl::OkStatus();
    case Gate::Entry::kWaits:
      return absl::OkStatus();
    case Gate::Entry::kTurnedAway:
      break;
  }
  heavy_ = false;
  work_ = nullptr;
  const int64_t limit = admission_.heavy_.options().capacity;
  return Admission::Refuse(
      admission_.too_many_, admission_.heavy_pace_,
      Error(Reason::kOverloaded,
            fmt::format("requests of {} bytes are being worked on, and others wait", limit),
            {{"limit", fmt::format("{}", limit)}}));
}

absl::Status Admitted::RefuseIntake() {
  const size_t limit = admission_.options_.max_receiving;
  return Admission::Refuse(
      admission_.too_many_, admission_.heavy_pace_,
      Error(Reason::kOverloaded, fmt::format("{} large requests are being received already", limit),
            {{"limit", fmt::format("{}", limit)}}));
}

absl::Status Admitted::CheckCount() {
  const bool request = shape_ == Admission::Shape::kRequest;
  const int64_t limit =
      request ? admission_.options_.max_requests : admission_.options_.max_streams;
  if (counted_ && count().load(std::memory_order_relaxed) > limit) {
    return Admission::Refuse(admission_.too_many_, admission_.light_pace_,
                             Error(Reason::kOverloaded,
                                   fmt::format("more than {} {} are being worked on", limit,
                                               request ? "requests" : "streams"),
                                   {{"limit", fmt::format("{}", limit)}}));
  }
  return absl::OkStatus();
}

absl::Status Admitted::Enter(int64_t bytes) {
  SOP_RETURN_IF_ERROR(CheckCount());
  if (!request_.Grow(kCallBytes + kMessageFactor * bytes)) {
    return RefuseForMemory(fmt::format("a request of {} bytes", bytes));
  }
  return absl::OkStatus();
}

absl::Status Admitted::RefuseForMemory(std::string_view what) {
  const base::MemoryBudget& budget = admission_.budget();
  return Admission::Refuse(
      admission_.no_memory_, admission_.light_pace_,
      Error(Reason::kOverloaded,
            fmt::format("no memory for {}: transactions and requests hold {} of {} bytes", what,
                        budget.firm_bytes(), budget.limit_bytes()),
            {{"limit", fmt::format("{}", budget.limit_bytes())}}));
}

bool Admitted::GrowAnswer(int64_t bytes) { return answer_.Grow(kMessageFactor * bytes); }

absl::Status Admitted::RefuseAnswer() { return RefuseForMemory("the answer"); }

void Admitted::HoldAnswer(int64_t bytes) { answer_.Set(kMessageFactor * bytes); }

}  // namespace sop::load
