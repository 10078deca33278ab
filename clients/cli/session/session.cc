#include "clients/cli/session/session.h"

#include "clients/cli/session/messages.h"
#include "core/base/status_macros.h"

namespace sop::cli {

Connection& Session::connection() {
  if (shell_ != nullptr && flags == shell_->flags) {
    return shell_->connection();
  }
  if (connection_ == nullptr) {
    connection_ = std::make_unique<Connection>(
        Connection::Options{.address = flags.address,
                            .timeout = absl::Seconds(flags.timeout_seconds),
                            .interruption = interruption()});
    if (shell_ != nullptr) {
      // In its transaction, wherever that belongs: better refused than quietly outside of it.
      connection_->set_transaction(shell_->connection().transaction());
    }
  }
  return *connection_;
}

absl::Status Session::MayReadStdin() const {
  if (shell_ != nullptr && shell_->stdin_has_commands_) {
    return UsageError("stdin holds the commands of the shell: name a file");
  }
  return absl::OkStatus();
}

void Session::Report(const absl::Status& failure) {
  reported_ = true;
  failure_ = failure;
  const Failure described = DescribeFailure(failure);
  if (terminal.form() == OutputForm::kJson) {
    terminal.Note(JsonText(Json::object({{"error", FailureJson(described)}})));
  } else {
    terminal.Note("sop: " + FailureText(described));
  }
}

absl::StatusOr<v1::Store> Session::GetStore(const std::string& store) {
  v1::GetStoreRequest request;
  request.set_database(flags.database);
  request.set_store(store);
  SOP_ASSIGN_OR_RETURN(
      v1::GetStoreResponse response,
      connection().Call(connection().databases(), &v1::DatabaseService::Stub::GetStore, request));
  return std::move(*response.mutable_store());
}

absl::StatusOr<StoreKeys> Session::GetKeys(const std::string& store,
                                           const std::string& transaction_id) {
  v1::OpenBtreeRequest request;
  request.set_database(flags.database);
  request.set_store(store);
  request.set_transaction_id(transaction_id);
  SOP_ASSIGN_OR_RETURN(
      const v1::OpenBtreeResponse response,
      connection().Call(connection().btree(), &v1::BtreeService::Stub::OpenBtree, request));
  return KeysOf(response.store());
}

}  // namespace sop::cli
