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
};

// One run of the program: what the command line asked for, and what it needs to be done. Confined
// to one thread.
class Session {
 public:
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

  // Tells the user of a failure, now; the program then need not do so at its end.
  void Report(const absl::Status& failure);
  bool has_reported() const { return reported_; }

  // The store's description with its exact number of items.
  absl::StatusOr<v1::Store> GetStore(const std::string& store);
  // What is known of the store's keys, in the transaction if one is given. Reads no items, so that
  // the transaction does not depend on their number.
  absl::StatusOr<StoreKeys> GetKeys(const std::string& store,
                                    const std::string& transaction_id = {});

 private:
  std::unique_ptr<Connection> connection_;
  bool reported_ = false;
};

}  // namespace sop::cli
