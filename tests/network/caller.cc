#include "tests/network/caller.h"

#include <fmt/format.h>

#include <algorithm>

#include "absl/time/clock.h"
#include "google/rpc/error_details.pb.h"
#include "google/rpc/status.pb.h"

namespace sop::network {

absl::Duration RetryDelay(const grpc::Status& status) {
  google::rpc::Status details;
  google::rpc::RetryInfo retry;
  if (!details.ParseFromString(status.error_details())) return absl::ZeroDuration();
  for (const google::protobuf::Any& detail : details.details()) {
    if (!detail.Is<google::rpc::RetryInfo>()) continue;
    detail.UnpackTo(&retry);
    return absl::Seconds(retry.retry_delay().seconds()) +
           absl::Nanoseconds(retry.retry_delay().nanos());
  }
  return absl::ZeroDuration();
}

void LoadRecord::Add(const grpc::Status& status, absl::Duration took) {
  const bool refused = status.error_code() == grpc::StatusCode::RESOURCE_EXHAUSTED &&
                       RetryDelay(status) > absl::ZeroDuration();
  if (refused) {
    ++refused_;
    return;
  }
  base::MutexLock lock(mu_);
  if (status.ok()) {
    ++admitted_;
    took_.push_back(took);
  } else if (failed_++ == 0) {
    first_failure_ =
        fmt::format("{}: {}", static_cast<int>(status.error_code()), status.error_message());
  }
}

std::string LoadRecord::first_failure() const {
  base::MutexLock lock(mu_);
  return first_failure_;
}

absl::Duration LoadRecord::Percentile(double share) const {
  base::MutexLock lock(mu_);
  if (took_.empty()) return absl::ZeroDuration();
  std::vector<absl::Duration> sorted = took_;
  const auto at =
      std::min(sorted.size() - 1, static_cast<size_t>(share * static_cast<double>(sorted.size())));
  std::nth_element(sorted.begin(), sorted.begin() + static_cast<ptrdiff_t>(at), sorted.end());
  return sorted[at];
}

Caller::Caller(const std::shared_ptr<grpc::Channel>& channel, CallKind kind, uint32_t number,
               LoadRecord& record)
    : stub_(v1::BtreeService::NewStub(channel)), kind_(kind), record_(record) {
  const bool large = kind == CallKind::kLargeUpsert;
  upsert_.set_store(large ? "large" : "small");
  for (int i = 0; i < (large ? 60 : 1); ++i) {
    v1::WriteItem* item = upsert_.add_items();
    item->mutable_key()->set_int64_value(int64_t{number} * 100 + i);
    item->mutable_value()->set_content(std::string(large ? 60'000 : 100, 'v'));
  }
  get_.set_store("small");
  get_.add_keys()->set_int64_value(int64_t{number} * 100);
  page_.set_store("read");
  page_.set_page_size(10'000);
  page_.set_page_bytes(3 << 20);
}

void Caller::Issue() {
  if (stopping_) {
    stopped_ = true;
    return;
  }
  context_ = std::make_unique<grpc::ClientContext>();
  issued_ = absl::Now();
  const auto done = [this](const grpc::Status& status) { Finished(status); };
  switch (kind_) {
    case CallKind::kUpsert:
    case CallKind::kLargeUpsert:
      return stub_->async()->Upsert(context_.get(), &upsert_, &upserted_, done);
    case CallKind::kGet:
      return stub_->async()->Get(context_.get(), &get_, &got_, done);
    case CallKind::kLargePage:
      return stub_->async()->ReadPage(context_.get(), &page_, &paged_, done);
  }
}

void Caller::Finished(const grpc::Status& status) {
  record_.Add(status, absl::Now() - issued_);
  // Answers are not kept: the memory of the callers is none of the server's.
  paged_.Clear();
  const absl::Duration wait =
      std::max(RetryDelay(status), absl::Milliseconds(status.ok() ? 0 : 10));
  if (wait == absl::ZeroDuration()) return Issue();
  alarm_.Set(absl::ToChronoTime(absl::Now() + (stopping_ ? absl::ZeroDuration() : wait)),
             [this](bool) { Issue(); });
}

}  // namespace sop::network
