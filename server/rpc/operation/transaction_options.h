#pragma once

#include <string>

#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "core/persistence/storage.h"
#include "core/txn/transaction.h"
#include "google/protobuf/duration.pb.h"
#include "server/rpc/operation/request_context.h"
#include "server/session/open_database.h"
#include "sop/v1/types.pb.h"

namespace sop::rpc {

// INVALID_ARGUMENT for a mode, isolation or durability that does not exist.
absl::StatusOr<txn::TransactionOptions> TransactionOptionsFromProto(v1::TransactionMode mode,
                                                                    v1::Isolation isolation);
absl::StatusOr<persistence::Durability> DurabilityFromProto(v1::Durability durability);

// The transaction that a request is for: that of its stream, else the one that it names; zero if
// there is none. INVALID_ARGUMENT if `transaction_id` is none or names another one than the stream.
absl::StatusOr<TransactionId> TransactionOf(const RequestContext& context,
                                            const std::string& transaction_id);

// `given`, or `fallback` if it is zero. INVALID_ARGUMENT naming `field` outside 1 ms to `most`.
absl::StatusOr<absl::Duration> TimeLimitFromProto(std::string_view field,
                                                  const google::protobuf::Duration& given,
                                                  absl::Duration fallback, absl::Duration most);

// UNAVAILABLE if the database has not reached the commit version `at_least`; INVALID_ARGUMENT if
// that is none.
absl::Status CheckReached(const session::OpenDatabase& database, const std::string& at_least);

}  // namespace sop::rpc
