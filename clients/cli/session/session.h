#pragma once

#include <functional>
#include <memory>
#include <optional>
#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "clients/cli/session/connection.h"
#include "clients/cli/session/terminal.h"
#include "clients/cli/text/key_text.h"

namespace sop::cli {

// Flags that every command takes.
struct SharedFlags {
  std::string address = "localhost:7373";
  std::string database = "default";
  double timeout_seconds = 60;
  friend bool operator==(const SharedFlags&, const SharedFlags&) = default;
};

// One run of the program: what the command line asked for, and what it needs to be done. Confined
// to one thread.
class Session {
 public:
  Session() = default;
  // A command of a shell: begins with the flags of `shell`, which must outlive this, and uses its
  // connection unless its own flags name another.
  explicit Session(Session* shell)
      : flags(shell->flags), terminal(shell->terminal), shell_(shell) {}
  Session(const Session&) = delete;
  Session& operator=(const Session&) = delete;

  SharedFlags flags;
  Terminal terminal;
  // What the chosen command does; set while the command line is parsed.
  std::function<absl::Status()> action;
  // What the program ends with when the action is done.
  int exit_code = 0;
  // Where a command has another one than usual for what is refused.
  std::optional<int> refused_exit_code;

  // Made at the first use. REQUIRES: the command line is parsed.
  Connection& connection();
  // What ends calls of this run early; null outside a shell with a user.
  Interruption* interruption() const {
    return shell_ == nullptr ? interruption_ : shell_->interruption_;
  }
  // REQUIRES: the connection was not used yet. `interruption` must outlive this.
  void set_interruption(Interruption* interruption) { interruption_ = interruption; }
  // The shell that this is a command of; null for a run of its own.
  Session* shell() const { return shell_; }

  // A usage error if stdin holds the commands of a shell, so that nothing else can be read there.
  absl::Status MayReadStdin() const;
  void set_stdin_has_commands() { stdin_has_commands_ = true; }

  // Tells the user of a failure, now; the program then need not do so at its end.
  void Report(const absl::Status& failure);
  bool has_reported() const { return reported_; }
  // What was reported last.
  const absl::Status& failure() const { return failure_; }

  // The store's description with its exact number of items.
  absl::StatusOr<v1::Store> GetStore(const std::string& store);
  // What is known of the store's keys, in the transaction if one is given. Reads no items, so that
  // the transaction does not depend on their number.
  absl::StatusOr<StoreKeys> GetKeys(const std::string& store,
                                    const std::string& transaction_id = {});

 private:
  Session* const shell_ = nullptr;
  Interruption* interruption_ = nullptr;
  std::unique_ptr<Connection> connection_;
  bool stdin_has_commands_ = false;
  bool reported_ = false;
  absl::Status failure_;
};

}  // namespace sop::cli
