#include "server/rpc/operation/transaction_options.h"

#include "core/base/error.h"
#include "core/base/status_macros.h"
#include "fmt/format.h"
#include "server/convert/id.h"

namespace sop::rpc {
namespace {

absl::Status DoesNotExist(std::string_view field, int value) {
  return Error(Reason::kInvalidArgument, fmt::format("{} {} does not exist", field, value),
               {{"field", std::string(field)}});
}

}  // namespace

absl::StatusOr<txn::TransactionOptions> TransactionOptionsFromProto(v1::TransactionMode mode,
                                                                    v1::Isolation isolation) {
  txn::TransactionOptions options;
  if (mode == v1::TRANSACTION_MODE_READ_ONLY) {
    options.mode = txn::Mode::kReadOnly;
  } else if (mode != v1::TRANSACTION_MODE_UNSPECIFIED && mode != v1::TRANSACTION_MODE_READ_WRITE) {
    return DoesNotExist("mode", static_cast<int>(mode));
  }
  if (isolation == v1::ISOLATION_SNAPSHOT) {
    options.isolation = txn::Isolation::kSnapshot;
  } else if (isolation != v1::ISOLATION_UNSPECIFIED && isolation != v1::ISOLATION_SERIALIZABLE) {
    return DoesNotExist("isolation", static_cast<int>(isolation));
  }
  return options;
}

absl::StatusOr<persistence::Durability> DurabilityFromProto(v1::Durability durability) {
  switch (durability) {
    case v1::DURABILITY_UNSPECIFIED:
    case v1::DURABILITY_DURABLE:
      return persistence::Durability::kSynced;
    case v1::DURABILITY_RELAXED:
      return persistence::Durability::kRelaxed;
    default:
      return DoesNotExist("durability", static_cast<int>(durability));
  }
}

absl::StatusOr<TransactionId> TransactionOf(const RequestContext& context,
                                            const std::string& transaction_id) {
  SOP_ASSIGN_OR_RETURN(const TransactionId named,
                       convert::UuidFromProto("transaction_id", transaction_id));
  if (context.transaction.IsZero()) return named;
  if (named.IsZero() || named == context.transaction) return context.transaction;
  return Error(Reason::kInvalidArgument,
               "a request of a stream's transaction names no other transaction_id",
               {{"field", "transaction_id"}});
}

absl::StatusOr<absl::Duration> TimeLimitFromProto(std::string_view field,
                                                  const google::protobuf::Duration& given,
                                                  absl::Duration fallback, absl::Duration most) {
  const absl::Duration limit = absl::Seconds(given.seconds()) + absl::Nanoseconds(given.nanos());
  if (limit == absl::ZeroDuration()) return fallback;
  if (limit >= absl::Milliseconds(1) && limit <= most) return limit;
  const std::string longest = absl::FormatDuration(most);
  return Error(
      Reason::kInvalidArgument,
      fmt::format("{} is {}, must be 1ms to {}", field, absl::FormatDuration(limit), longest),
      {{"field", std::string(field)}, {"limit", longest}});
}

absl::Status CheckReached(const session::OpenDatabase& database, const std::string& at_least) {
  SOP_ASSIGN_OR_RETURN(const Sequence wanted,
                       convert::SequenceFromProto("at_least_version", at_least));
  const Sequence reached = database.engine->published();
  if (wanted <= reached) return absl::OkStatus();
  return Error(Reason::kUnavailable,
               fmt::format("database {} has reached commit {}, not yet {}", database.name,
                           reached.value, wanted.value),
               {{"database", database.name}});
}

}  // namespace sop::rpc
