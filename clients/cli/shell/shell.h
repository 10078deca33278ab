#pragma once

#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/time/time.h"
#include "clients/cli/session/open_transaction.h"
#include "clients/cli/session/session.h"
#include "clients/cli/shell/command_text.h"
#include "clients/cli/shell/line_source.h"

namespace sop::cli {

// Reads commands and runs each as the program would run it, in one transaction as long as the user
// keeps one open. Confined to its owner.
class Shell {
 public:
  enum class AfterFailure { kStop, kGoOn };

  struct Options {
    // Runs the words of one command and returns its exit code.
    std::function<int(const std::vector<std::string>& words, Session& session)> run;
    // Somebody sees prompts and reads hints.
    bool interactive = false;
    AfterFailure after_failure = AfterFailure::kStop;
  };

  // `session`, whose flags commands begin with, and `lines` must outlive this.
  Shell(Session& session, LineSource& lines, Options options)
      : session_(session), lines_(lines), options_(std::move(options)) {}

  // Until the lines end. The exit code: that of the first command that failed, unless somebody saw
  // it.
  int Run();

 private:
  std::string Prompt() const;
  bool ReadCommand(std::string* command);
  int RunCommand(const std::string& command);
  int RunOwn(const std::vector<std::string>& words);
  int RunTransaction(const std::vector<std::string>& words);
  absl::Status Begin(const std::vector<std::string>& words);
  absl::Status End(bool commit);
  // Tells that the transaction has ended by itself, if it has.
  bool NoteExpired();
  // What `failure` of a command in the transaction means for it.
  void NoteFailure(const absl::Status& failure);
  void Forget();
  void RollBackLeftOver();

  Session& session_;
  LineSource& lines_;
  const Options options_;
  CommandText typed_;
  uint64_t line_number_ = 0;
  bool ended_ = false;
  std::unique_ptr<OpenTransaction> transaction_;
  absl::Time expires_at_;
};

}  // namespace sop::cli
