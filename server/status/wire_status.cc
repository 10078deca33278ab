#include "server/status/wire_status.h"

#include <optional>
#include <string>

#include "absl/strings/numbers.h"
#include "absl/time/time.h"
#include "core/base/error.h"
#include "google/rpc/error_details.pb.h"

namespace sop::status {
namespace {

constexpr char kDomain[] = "sop";
constexpr size_t kMaxMetadataBytes = 256;
// Trailers have a limit of some 8 KiB; a message must not make the details disappear.
constexpr size_t kMaxMessageBytes = 2048;

Reason ReasonForCode(absl::StatusCode code) {
  switch (code) {
    case absl::StatusCode::kCancelled:
      return Reason::kCancelled;
    case absl::StatusCode::kInvalidArgument:
    case absl::StatusCode::kOutOfRange:
      return Reason::kInvalidArgument;
    case absl::StatusCode::kDeadlineExceeded:
      return Reason::kDeadlineExceeded;
    case absl::StatusCode::kPermissionDenied:
      return Reason::kPermissionDenied;
    case absl::StatusCode::kUnauthenticated:
      return Reason::kUnauthenticated;
    case absl::StatusCode::kResourceExhausted:
      return Reason::kLimitExceeded;
    case absl::StatusCode::kAborted:
      return Reason::kConflict;
    case absl::StatusCode::kUnimplemented:
      return Reason::kUnimplemented;
    case absl::StatusCode::kUnavailable:
      return Reason::kUnavailable;
    case absl::StatusCode::kDataLoss:
      return Reason::kDamaged;
    default:
      return Reason::kInternal;
  }
}

// What the detail "retry_after_ms" says, if there is one.
absl::Duration DelayOf(const absl::Status& status, absl::Duration fallback) {
  for (const auto& detail : DetailsOf(status)) {
    int64_t millis = 0;
    if (detail.first == "retry_after_ms" && absl::SimpleAtoi(detail.second, &millis)) {
      return absl::Milliseconds(millis);
    }
  }
  return fallback;
}

std::optional<absl::Duration> RetryDelay(Reason reason, const absl::Status& status) {
  switch (reason) {
    case Reason::kOverloaded:
      return DelayOf(status, absl::Milliseconds(100));
    case Reason::kDiskFull:
      return absl::Seconds(5);
    default:
      return std::nullopt;
  }
}

// At most `limit` bytes, cut between UTF-8 characters.
std::string Cut(std::string text, size_t limit) {
  if (text.size() <= limit) return text;
  while (limit > 0 && (static_cast<unsigned char>(text[limit]) & 0xC0) == 0x80) --limit;
  text.resize(limit);
  return text;
}

}  // namespace

google::rpc::Status ToRpcStatus(const absl::Status& status) {
  google::rpc::Status wire;
  if (status.ok()) return wire;
  Reason reason = ReasonOf(status);
  if (reason == Reason::kUnspecified) reason = ReasonForCode(status.code());
  wire.set_code(static_cast<int>(ReasonCode(reason)));
  wire.set_message(Cut(std::string(status.message()), kMaxMessageBytes));

  google::rpc::ErrorInfo error;
  error.set_reason(std::string(ReasonName(reason)));
  error.set_domain(kDomain);
  for (const auto& detail : DetailsOf(status)) {
    (*error.mutable_metadata())[detail.first] = Cut(detail.second, kMaxMetadataBytes);
  }
  wire.add_details()->PackFrom(error);
  if (const auto delay = RetryDelay(reason, status); delay.has_value()) {
    google::rpc::RetryInfo retry;
    retry.mutable_retry_delay()->set_seconds(absl::ToInt64Seconds(*delay));
    retry.mutable_retry_delay()->set_nanos(
        static_cast<int>(absl::ToInt64Nanoseconds(*delay % absl::Seconds(1))));
    wire.add_details()->PackFrom(retry);
  }
  return wire;
}

grpc::Status ToGrpcStatus(const absl::Status& status) {
  if (status.ok()) return grpc::Status::OK;
  const google::rpc::Status wire = ToRpcStatus(status);
  return grpc::Status(static_cast<grpc::StatusCode>(wire.code()), wire.message(),
                      wire.SerializeAsString());
}

}  // namespace sop::status
