#include "clients/cli/session/open_transaction.h"

#include "absl/time/clock.h"
#include "core/base/status_macros.h"

namespace sop::cli {

namespace {

using Stub = v1::TransactionService::Stub;

// Commit answers with the first outcome however often it is asked.
constexpr int kCommitTries = 5;
constexpr absl::Duration kFirstPause = absl::Milliseconds(100);

void SetDuration(absl::Duration duration, google::protobuf::Duration* out) {
  const int64_t nanos = absl::ToInt64Nanoseconds(duration);
  out->set_seconds(nanos / 1'000'000'000);
  out->set_nanos(static_cast<int32_t>(nanos % 1'000'000'000));
}

}  // namespace

absl::StatusOr<std::unique_ptr<OpenTransaction>> OpenTransaction::Begin(Session& session,
                                                                        const Options& options) {
  v1::BeginRequest request;
  request.set_database(session.flags.database);
  request.set_mode(options.mode);
  request.set_isolation(options.isolation);
  SetDuration(options.max_duration, request.mutable_max_duration());
  SetDuration(options.idle_limit, request.mutable_idle_limit());
  Connection& connection = session.connection();
  SOP_ASSIGN_OR_RETURN(const v1::BeginResponse response,
                       connection.Call(connection.transactions(), &Stub::Begin, request));
  return std::unique_ptr<OpenTransaction>(new OpenTransaction(session, response.transaction_id()));
}

absl::StatusOr<std::unique_ptr<OpenTransaction>> OpenTransaction::Join(Session& session,
                                                                       const Options& options) {
  const std::string& id = session.connection().transaction();
  if (id.empty()) {
    return Begin(session, options);
  }
  std::unique_ptr<OpenTransaction> joined(new OpenTransaction(session, id));
  joined->joined_ = true;
  return joined;
}

std::unique_ptr<OpenTransaction> OpenTransaction::Adopt(Session& session, const std::string& id) {
  return std::unique_ptr<OpenTransaction>(new OpenTransaction(session, id));
}

OpenTransaction::~OpenTransaction() {
  if (!ended_ && !joined_) {
    // Nobody is left to be told; without an answer the idle limit ends it.
    Rollback().IgnoreError();
  }
}

absl::StatusOr<std::string> OpenTransaction::Commit() {
  ended_ = true;
  if (joined_) {
    return std::string();
  }
  v1::CommitRequest request;
  request.set_database(session_.flags.database);
  request.set_transaction_id(id_);
  Connection& connection = session_.connection();
  absl::Duration pause = kFirstPause;
  for (int tries = 1;; ++tries) {
    const auto response = connection.Call(connection.transactions(), &Stub::Commit, request);
    if (response.ok()) {
      return response->commit_version();
    }
    const bool may_repeat = absl::IsUnavailable(response.status()) ||
                            absl::IsDeadlineExceeded(response.status()) ||
                            ReasonIn(response.status()) == "OVERLOADED";
    if (!may_repeat || tries == kCommitTries) {
      return response.status();
    }
    absl::SleepFor(pause);
    pause *= 2;
  }
}

absl::Status OpenTransaction::Rollback() {
  ended_ = true;
  if (joined_) {
    return absl::OkStatus();
  }
  v1::RollbackRequest request;
  request.set_database(session_.flags.database);
  request.set_transaction_id(id_);
  Connection& connection = session_.connection();
  return connection.Call(connection.transactions(), &Stub::Rollback, request).status();
}

}  // namespace sop::cli
