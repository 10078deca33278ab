#pragma once

#include <map>
#include <memory>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "clients/cli/session/open_transaction.h"
#include "clients/cli/session/scanner.h"
#include "clients/cli/session/session.h"
#include "clients/cli/text/tx_script.h"

namespace sop::cli {

// What becomes of a transaction when one of its operations fails.
enum class AfterFailure {
  kRollBack,  // it is rolled back, and what follows in it is left out
  kGoOn,      // it stays as it was: somebody sits there and decides
};

// Runs operations of one or several transactions against the server and prints what each of them
// gave. A transaction begins with its first operation and ends with commit or rollback; another one
// of the same name may follow. Confined to one thread.
class ScriptRunner {
 public:
  struct Options {
    OpenTransaction::Options transaction;
    AfterFailure after_failure = AfterFailure::kRollBack;
  };

  // `session` must outlive this.
  ScriptRunner(Session& session, Options options) : session_(session), options_(options) {}

  // The failure of the operation, which is also reported; OK for one that is left out.
  absl::Status Run(const ScriptOperation& operation);
  // Commits what is still open, in the order in which it began.
  absl::Status CommitAll();
  // Ends what is still open without its writes.
  absl::Status RollBackAll();

 private:
  struct Running {
    std::unique_ptr<OpenTransaction> transaction;
    // By store; only what cannot change.
    std::map<std::string, StoreKeys> keys;
    // Grows with every transaction begun.
    int order = 0;
    bool failed = false;
  };

  absl::StatusOr<Running*> Find(const std::string& name);
  absl::Status Dispatch(const ScriptOperation& operation, Running& running);
  absl::StatusOr<Json> Result(const ScriptOperation& operation, Running& running);
  absl::StatusOr<Json> Read(const ScriptOperation& operation, Running& running);
  absl::StatusOr<Json> ReadRange(const ScriptOperation& operation, Running& running);
  absl::StatusOr<Json> Write(const ScriptOperation& operation, Running& running);
  absl::StatusOr<Json> WriteItem(const ScriptOperation& operation, Running& running,
                                 const btree::Key& key, const StoredValue& value);
  absl::StatusOr<Json> Create(const ScriptOperation& operation, Running& running);
  absl::StatusOr<Json> Change(const ScriptOperation& operation, Running& running);
  absl::StatusOr<Json> Check(const ScriptOperation& operation, Running& running);

  absl::StatusOr<StoreKeys> Keys(const std::string& store, Running& running);
  absl::StatusOr<btree::Key> KeyIn(const ScriptOperation& operation, Running& running);
  // The item of the operation's key; no key in it if there is none.
  absl::StatusOr<v1::GetResponse> GetItem(const ScriptOperation& operation, Running& running);
  absl::StatusOr<StoredValue> GetValue(const ScriptOperation& operation, Running& running);

  absl::Status Commit(const std::string& name, Running& running);
  absl::Status Fail(const ScriptOperation& operation, const absl::Status& status, Running& running);
  void Print(const ScriptOperation& operation, const Json& result);

  Session& session_;
  const Options options_;
  std::map<std::string, Running> running_;
  int begun_ = 0;
  int operations_ = 0;
};

}  // namespace sop::cli
