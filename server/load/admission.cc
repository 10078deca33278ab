#include "server/load/admission.h"

#include <algorithm>

#include "core/base/error.h"
#include "fmt/format.h"

namespace sop::load {
namespace {

// What a call takes besides its messages: gRPC's call and ours.
constexpr int64_t kCallBytes = 8 << 10;
// A message takes this much of its size on the wire: as it came and as it was parsed, or as it was
// made and as it is sent.
constexpr int64_t kMessageFactor = 2;
// Refusals wanted at most, by those who come again as they were told.
constexpr absl::Duration kPeriod = absl::Milliseconds(100);
constexpr int64_t kRefusalsPerPeriod = 50;
constexpr absl::Duration kLeastRetry = absl::Milliseconds(100);
constexpr absl::Duration kMostRetry = absl::Seconds(10);

}  // namespace

Admission::Counters Admission::counters() const {
  return {.too_many = too_many_.load(std::memory_order_relaxed),
          .no_memory = no_memory_.load(std::memory_order_relaxed)};
}

// With N clients that come again after d there are N / d refusals a second: d follows their number.
absl::Status Admission::Refuse(std::atomic<uint64_t>& counter, absl::Status why) {
  counter.fetch_add(1, std::memory_order_relaxed);
  const absl::Duration now = options_.clock->Monotonic();
  absl::Duration retry_after;
  {
    base::MutexLock lock(mu_);
    const absl::Duration passed = now - period_began_;
    if (passed >= kPeriod) {
      const double rate = static_cast<double>(refused_) * (kPeriod / passed);
      retry_after_ =
          std::clamp(retry_after_ * (rate / kRefusalsPerPeriod), kLeastRetry, kMostRetry);
      period_began_ = now;
      refused_ = 0;
    }
    ++refused_;
    retry_after = retry_after_;
  }
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
}

Admitted::~Admitted() { Answered(); }

void Admitted::Answered() {
  if (counted_) count().fetch_sub(1, std::memory_order_relaxed);
  counted_ = false;
}

std::atomic<int64_t>& Admitted::count() const {
  return shape_ == Admission::Shape::kRequest ? admission_.requests_ : admission_.streams_;
}

absl::Status Admitted::Enter(int64_t bytes) {
  const bool request = shape_ == Admission::Shape::kRequest;
  const int64_t limit =
      request ? admission_.options_.max_requests : admission_.options_.max_streams;
  if (counted_ && count().load(std::memory_order_relaxed) > limit) {
    return admission_.Refuse(admission_.too_many_,
                             Error(Reason::kOverloaded,
                                   fmt::format("more than {} {} are being worked on", limit,
                                               request ? "requests" : "streams"),
                                   {{"limit", fmt::format("{}", limit)}}));
  }
  if (!request_.Grow(kCallBytes + kMessageFactor * bytes)) {
    return admission_.Refuse(
        admission_.no_memory_,
        Error(
            Reason::kOverloaded,
            fmt::format("no memory for a request of {} bytes: transactions and requests hold {} "
                        "of {} bytes",
                        bytes, admission_.budget().firm_bytes(), admission_.budget().limit_bytes()),
            {{"limit", fmt::format("{}", admission_.budget().limit_bytes())}}));
  }
  return absl::OkStatus();
}

void Admitted::HoldAnswer(int64_t bytes) { answer_.Set(kMessageFactor * bytes); }

}  // namespace sop::load
