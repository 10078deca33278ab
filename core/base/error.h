#pragma once

#include <initializer_list>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "absl/status/status.h"

namespace sop {

// Why a call failed, in the words of the API. The status code follows from the reason: it says what
// the caller must do. `docs/errors.md` lists every reason; server/status turns them into
// google.rpc.ErrorInfo.
enum class Reason {
  kUnspecified,
  // ABORTED: run the transaction again.
  kConflict,
  kTransactionExpired,
  kTransactionLost,
  kStoreRemoved,
  kSchemaDecided,
  // FAILED_PRECONDITION: change something first.
  kTransactionEnded,
  kTransactionPoisoned,
  kReadOnlyTransaction,
  kOptionsDiffer,
  kWrongKind,
  kFolderNotAllowed,
  kOutcomeUnknown,
  kPreconditionNotMet,
  kFormatNotSupported,
  kFolderInUse,
  kFeedOff,
  kPositionNotKept,
  // INVALID_ARGUMENT: fix the request.
  kInvalidArgument,
  kInvalidName,
  kInvalidKey,
  kInvalidValue,
  kKeyTypeDiffers,
  kFieldMissing,
  kFieldUnknown,
  kMessageTooLarge,
  // NOT_FOUND.
  kDatabaseNotFound,
  kStoreNotFound,
  kTransactionNotFound,
  kKeyNotFound,
  // ALREADY_EXISTS.
  kKeyExists,
  kStoreExists,
  // RESOURCE_EXHAUSTED; the first two carry RetryInfo.
  kOverloaded,
  kDiskFull,
  kLimitExceeded,
  // The rest.
  kUnavailable,
  kDamaged,
  kUnimplemented,
  kInternal,
  kCancelled,
  kDeadlineExceeded,
  kPermissionDenied,
  kUnauthenticated,
};

// "CONFLICT", "TRANSACTION_EXPIRED", ...
std::string_view ReasonName(Reason reason);
absl::StatusCode ReasonCode(Reason reason);

using ErrorDetails = std::vector<std::pair<std::string, std::string>>;

// A status with code ReasonCode(reason) that carries the reason and `details`, such as {"store",
// name} or {"limit", "4096"}. `message` is lower case and names object, value got and limit.
absl::Status Error(Reason reason, std::string_view message, ErrorDetails details = {});

// The reason that Error() put in, or kUnspecified.
Reason ReasonOf(const absl::Status& status);
ErrorDetails DetailsOf(const absl::Status& status);

// Adds a detail unless one of that name is there; keeps code, message and reason.
absl::Status WithDetail(absl::Status status, std::string_view name, std::string_view value);

}  // namespace sop
