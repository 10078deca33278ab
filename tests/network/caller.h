#pragma once

#include <grpcpp/alarm.h>
#include <grpcpp/grpcpp.h>

#include <array>
#include <atomic>
#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "core/base/mutex.h"
#include "sop/v1/btree.grpc.pb.h"

namespace sop::network {

// What many callers saw. Thread-safe.
class LoadRecord {
 public:
  void Add(const grpc::Status& status, absl::Duration took) SOP_EXCLUDES(mu_);

  uint64_t admitted() const { return admitted_; }
  uint64_t refused() const { return refused_; }
  // Calls that failed in another way, and the first of them in words.
  uint64_t failed() const { return failed_; }
  std::string first_failure() const SOP_EXCLUDES(mu_);
  // Of admitted calls; `share` such as 0.99.
  absl::Duration Percentile(double share) const SOP_EXCLUDES(mu_);

 private:
  std::atomic<uint64_t> admitted_{0};
  std::atomic<uint64_t> refused_{0};
  std::atomic<uint64_t> failed_{0};
  mutable base::Mutex mu_;
  std::vector<absl::Duration> took_ SOP_GUARDED_BY(mu_);
  std::string first_failure_ SOP_GUARDED_BY(mu_);
};

// How long RetryInfo says to wait; nothing without it.
absl::Duration RetryDelay(const grpc::Status& status);

enum class CallKind : uint8_t { kUpsert, kGet, kLargePage, kLargeUpsert };

// Calls one thing again and again, without a thread of its own; when it is refused, it waits as it
// was told. Start, then Stop; destroy when stopped() says so. Confined to its calls.
class Caller {
 public:
  Caller(const std::shared_ptr<grpc::Channel>& channel, CallKind kind, uint32_t number,
         LoadRecord& record);

  void Start() { Issue(); }
  void Stop() { stopping_ = true; }
  bool stopped() const { return stopped_; }

 private:
  void Issue();
  void Finished(const grpc::Status& status);

  const std::unique_ptr<v1::BtreeService::Stub> stub_;
  const CallKind kind_;
  LoadRecord& record_;
  std::atomic<bool> stopping_{false};
  std::atomic<bool> stopped_{false};

  std::unique_ptr<grpc::ClientContext> context_;
  v1::UpsertRequest upsert_;
  v1::UpsertResponse upserted_;
  v1::GetRequest get_;
  v1::GetResponse got_;
  v1::ReadPageRequest page_;
  v1::ReadPageResponse paged_;
  absl::Time issued_;
  grpc::Alarm alarm_;
};

}  // namespace sop::network
