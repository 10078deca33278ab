#include "core/base/error.h"

#include <algorithm>
#include <array>

#include "absl/strings/cord.h"
#include "core/base/bytes.h"

namespace sop {
namespace {

constexpr char kPayloadUrl[] = "sop.error";

struct ReasonRow {
  Reason reason;
  std::string_view name;
  absl::StatusCode code;
};

using enum absl::StatusCode;

constexpr std::array kReasons = {
    ReasonRow{Reason::kUnspecified, "UNSPECIFIED", kUnknown},
    ReasonRow{Reason::kConflict, "CONFLICT", kAborted},
    ReasonRow{Reason::kTransactionExpired, "TRANSACTION_EXPIRED", kAborted},
    ReasonRow{Reason::kTransactionLost, "TRANSACTION_LOST", kAborted},
    ReasonRow{Reason::kStoreRemoved, "STORE_REMOVED", kAborted},
    ReasonRow{Reason::kSchemaDecided, "SCHEMA_DECIDED", kAborted},
    ReasonRow{Reason::kTransactionEnded, "TRANSACTION_ENDED", kFailedPrecondition},
    ReasonRow{Reason::kTransactionPoisoned, "TRANSACTION_POISONED", kFailedPrecondition},
    ReasonRow{Reason::kReadOnlyTransaction, "READ_ONLY_TRANSACTION", kFailedPrecondition},
    ReasonRow{Reason::kOptionsDiffer, "OPTIONS_DIFFER", kFailedPrecondition},
    ReasonRow{Reason::kWrongKind, "WRONG_KIND", kFailedPrecondition},
    ReasonRow{Reason::kFolderNotAllowed, "FOLDER_NOT_ALLOWED", kFailedPrecondition},
    ReasonRow{Reason::kOutcomeUnknown, "OUTCOME_UNKNOWN", kFailedPrecondition},
    ReasonRow{Reason::kPreconditionNotMet, "PRECONDITION_NOT_MET", kFailedPrecondition},
    ReasonRow{Reason::kFormatNotSupported, "FORMAT_NOT_SUPPORTED", kFailedPrecondition},
    ReasonRow{Reason::kFolderInUse, "FOLDER_IN_USE", kFailedPrecondition},
    ReasonRow{Reason::kFeedOff, "FEED_OFF", kFailedPrecondition},
    ReasonRow{Reason::kPositionNotKept, "POSITION_NOT_KEPT", kFailedPrecondition},
    ReasonRow{Reason::kInvalidArgument, "INVALID_ARGUMENT", kInvalidArgument},
    ReasonRow{Reason::kInvalidName, "INVALID_NAME", kInvalidArgument},
    ReasonRow{Reason::kInvalidKey, "INVALID_KEY", kInvalidArgument},
    ReasonRow{Reason::kInvalidValue, "INVALID_VALUE", kInvalidArgument},
    ReasonRow{Reason::kKeyTypeDiffers, "KEY_TYPE_DIFFERS", kInvalidArgument},
    ReasonRow{Reason::kFieldMissing, "FIELD_MISSING", kInvalidArgument},
    ReasonRow{Reason::kFieldUnknown, "FIELD_UNKNOWN", kInvalidArgument},
    ReasonRow{Reason::kMessageTooLarge, "MESSAGE_TOO_LARGE", kInvalidArgument},
    ReasonRow{Reason::kDatabaseNotFound, "DATABASE_NOT_FOUND", kNotFound},
    ReasonRow{Reason::kStoreNotFound, "STORE_NOT_FOUND", kNotFound},
    ReasonRow{Reason::kTransactionNotFound, "TRANSACTION_NOT_FOUND", kNotFound},
    ReasonRow{Reason::kKeyNotFound, "KEY_NOT_FOUND", kNotFound},
    ReasonRow{Reason::kKeyExists, "KEY_EXISTS", kAlreadyExists},
    ReasonRow{Reason::kStoreExists, "STORE_EXISTS", kAlreadyExists},
    ReasonRow{Reason::kOverloaded, "OVERLOADED", kResourceExhausted},
    ReasonRow{Reason::kDiskFull, "DISK_FULL", kResourceExhausted},
    ReasonRow{Reason::kLimitExceeded, "LIMIT_EXCEEDED", kResourceExhausted},
    ReasonRow{Reason::kUnavailable, "UNAVAILABLE", kUnavailable},
    ReasonRow{Reason::kDamaged, "DAMAGED", kDataLoss},
    ReasonRow{Reason::kUnimplemented, "UNIMPLEMENTED", kUnimplemented},
    ReasonRow{Reason::kInternal, "INTERNAL", kInternal},
    ReasonRow{Reason::kCancelled, "CANCELLED", kCancelled},
    ReasonRow{Reason::kDeadlineExceeded, "DEADLINE_EXCEEDED", kDeadlineExceeded},
    ReasonRow{Reason::kPermissionDenied, "PERMISSION_DENIED", kPermissionDenied},
    ReasonRow{Reason::kUnauthenticated, "UNAUTHENTICATED", kUnauthenticated},
};

const ReasonRow& RowOf(Reason reason) { return kReasons[static_cast<size_t>(reason)]; }

std::string EncodePayload(Reason reason, const ErrorDetails& details) {
  std::string out;
  base::AppendVarint(&out, static_cast<uint64_t>(reason));
  for (const auto& [name, value] : details) {
    base::AppendLengthPrefixed(&out, name);
    base::AppendLengthPrefixed(&out, value);
  }
  return out;
}

}  // namespace

std::string_view ReasonName(Reason reason) { return RowOf(reason).name; }

absl::StatusCode ReasonCode(Reason reason) { return RowOf(reason).code; }

absl::Status Error(Reason reason, std::string_view message, ErrorDetails details) {
  absl::Status status(ReasonCode(reason), absl::string_view(message.data(), message.size()));
  status.SetPayload(kPayloadUrl, absl::Cord(EncodePayload(reason, details)));
  return status;
}

Reason ReasonOf(const absl::Status& status) {
  const auto payload = status.GetPayload(kPayloadUrl);
  if (!payload.has_value()) return Reason::kUnspecified;
  const std::string bytes(*payload);
  base::ByteReader reader(bytes);
  uint64_t reason = 0;
  reader.GetVarint(&reason);
  return reason < kReasons.size() ? static_cast<Reason>(reason) : Reason::kUnspecified;
}

ErrorDetails DetailsOf(const absl::Status& status) {
  ErrorDetails details;
  const auto payload = status.GetPayload(kPayloadUrl);
  if (!payload.has_value()) return details;
  const std::string bytes(*payload);
  base::ByteReader reader(bytes);
  uint64_t reason;
  reader.GetVarint(&reason);
  std::string_view name, value;
  while (!reader.empty() && reader.GetLengthPrefixed(&name) && reader.GetLengthPrefixed(&value)) {
    details.emplace_back(name, value);
  }
  return details;
}

absl::Status WithDetail(absl::Status status, std::string_view name, std::string_view value) {
  ErrorDetails details = DetailsOf(status);
  if (status.ok() || std::any_of(details.begin(), details.end(),
                                 [&](const auto& detail) { return detail.first == name; })) {
    return status;
  }
  details.emplace_back(name, value);
  status.SetPayload(kPayloadUrl, absl::Cord(EncodePayload(ReasonOf(status), details)));
  return status;
}

}  // namespace sop
