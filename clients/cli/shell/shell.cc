#include "clients/cli/shell/shell.h"

#include <fmt/format.h>

#include <string_view>
#include <utility>

#include "absl/strings/numbers.h"
#include "absl/time/clock.h"
#include "clients/cli/session/failure.h"
#include "clients/cli/session/messages.h"
#include "clients/cli/text/word_splitter.h"
#include "core/base/status_macros.h"

namespace sop::cli {

namespace {

constexpr int64_t kUsualSeconds = 900;
constexpr int64_t kMostSeconds = 3600;

constexpr std::string_view kHelp =
    "Every line is a command of sop: `put STORE KEY VALUE`, `scan STORE --limit 5`, ... `--help` "
    "lists\n"
    "the commands, `COMMAND --help` explains one. A quote or bracket that is open, or a backslash "
    "at\n"
    "the end, goes on in the next line. Tab completes commands, options, stores and files; Ctrl-C\n"
    "gives up a line or cancels the call that is running. A line that begins with a space is not "
    "kept\n"
    "in the history. The shell's own commands:\n"
    "  \\tx begin [SECONDS]   begin a transaction, in which the commands that follow take part; "
    "it\n"
    "                        expires after 900 seconds, or those given (at most 3600)\n"
    "  \\tx commit            commit it: all of it is stored, or, if something that it read was\n"
    "                        changed meanwhile, none\n"
    "  \\tx rollback          forget what it wrote\n"
    "  \\json \\table \\text    how data are printed from now on\n"
    "  \\?                    this text\n"
    "  \\q                    leave";

std::optional<OutputForm> FormNamed(std::string_view name) {
  if (name == "\\json") return OutputForm::kJson;
  if (name == "\\table") return OutputForm::kTable;
  if (name == "\\text") return OutputForm::kText;
  return std::nullopt;
}

bool HasEnded(const absl::Status& failure) {
  const std::string reason = ReasonIn(failure);
  return absl::IsAborted(failure) || reason == "TRANSACTION_NOT_FOUND" ||
         reason == "TRANSACTION_ENDED" || reason == "TRANSACTION_POISONED";
}

}  // namespace

int Shell::Run() {
  if (options_.interactive) {
    session_.terminal.Note("\\? says what can be typed here, \\q leaves");
  }
  int exit_code = kExitDone;
  for (std::string command; !ended_ && ReadCommand(&command);) {
    const int code = RunCommand(command);
    if (code == kExitDone || options_.interactive) {
      continue;
    }
    exit_code = exit_code == kExitDone ? code : exit_code;
    if (options_.after_failure == AfterFailure::kStop) {
      session_.terminal.Note(fmt::format(
          "line {}: stopped; what follows was not run (--keep-going would)", line_number_));
      break;
    }
  }
  if (transaction_ != nullptr) {
    RollBackLeftOver();
    exit_code = exit_code == kExitDone && !options_.interactive ? kExitRefused : exit_code;
  }
  return exit_code;
}

std::string Shell::Prompt() const {
  if (!typed_.empty()) {
    return "...> ";
  }
  return fmt::format("sop {}{}> ", session_.flags.database,
                     transaction_ == nullptr ? "" : " (transaction)");
}

// False at the end. A command that the end cuts off is run, so that it says what it lacks.
bool Shell::ReadCommand(std::string* command) {
  typed_.Clear();
  NoteExpired();
  while (true) {
    std::string line;
    switch (lines_.Read(Prompt(), typed_.text(), &line)) {
      case LineSource::Outcome::kDropped:
        typed_.Clear();
        NoteExpired();
        continue;
      case LineSource::Outcome::kEnd:
        *command = typed_.text();
        return !std::exchange(ended_, true) && !typed_.empty();
      case LineSource::Outcome::kLine:
        ++line_number_;
        if (typed_.Add(line)) {
          lines_.Remember(typed_.text());
          *command = typed_.text();
          return true;
        }
    }
  }
}

int Shell::RunCommand(const std::string& command) {
  auto words = SplitWords(command);
  if (!words.ok()) {
    session_.Report(UsageError(std::string(words.status().message())));
    return kExitUsage;
  }
  if (!words->empty() && words->front() == "sop") {
    words->erase(words->begin());
  }
  if (words->empty()) {
    return kExitDone;
  }
  if (words->front().starts_with('\\') || words->front() == "exit" || words->front() == "quit") {
    return RunOwn(*words);
  }
  if (NoteExpired()) {
    session_.terminal.Note("the command was not run");
    return kExitRefused;
  }
  if (session_.interruption() != nullptr) {
    session_.interruption()->Clear();
  }
  Session session(&session_);
  const int code = options_.run(*words, session);
  if (transaction_ != nullptr && session.flags == session_.flags) {
    NoteFailure(session.failure());
  }
  return code;
}

int Shell::RunOwn(const std::vector<std::string>& words) {
  const std::string& name = words.front();
  if (const auto form = FormNamed(name); form) {
    session_.terminal.set_form(*form);
    return kExitDone;
  }
  if (name == "\\q" || name == "exit" || name == "quit") {
    ended_ = true;
    return kExitDone;
  }
  if (name == "\\?" || name == "\\help") {
    session_.terminal.Note(kHelp);
    return kExitDone;
  }
  if (name == "\\tx") {
    return RunTransaction(words);
  }
  session_.Report(UsageError(
      fmt::format("the shell has no command \"{}\"; \\? lists them", PrintableLine(name))));
  return kExitUsage;
}

int Shell::RunTransaction(const std::vector<std::string>& words) {
  const std::string verb = words.size() > 1 ? words[1] : transaction_ == nullptr ? "begin" : "";
  if (session_.interruption() != nullptr) {
    session_.interruption()->Clear();
  }
  absl::Status status;
  if (verb == "begin") {
    status = Begin(words);
  } else if ((verb == "commit" || verb == "rollback") && words.size() == 2) {
    status = End(verb == "commit");
  } else {
    status = UsageError(transaction_ == nullptr
                            ? "\\tx takes begin [SECONDS], commit or rollback"
                            : "a transaction is open: \\tx commit or \\tx rollback ends it");
  }
  if (absl::Status flushed = session_.terminal.Flush(); status.ok()) {
    status = flushed;
  }
  if (status.ok()) {
    return kExitDone;
  }
  session_.Report(status);
  return DescribeFailure(status).exit_code;
}

absl::Status Shell::Begin(const std::vector<std::string>& words) {
  if (transaction_ != nullptr) {
    return UsageError("a transaction is open already: \\tx commit or \\tx rollback ends it");
  }
  int64_t seconds = kUsualSeconds;
  if (words.size() > 3 || (words.size() == 3 && !absl::SimpleAtoi(words[2], &seconds)) ||
      seconds < 1 || seconds > kMostSeconds) {
    return UsageError(
        fmt::format("\\tx begin takes a number of seconds from 1 to {}", kMostSeconds));
  }
  const absl::Duration duration = absl::Seconds(seconds);
  // The server's clock starts before its answer is here: ours never says "open" for too long.
  expires_at_ = absl::Now() + duration;
  SOP_ASSIGN_OR_RETURN(transaction_, OpenTransaction::Begin(session_, {.max_duration = duration,
                                                                       .idle_limit = duration}));
  session_.connection().set_transaction(transaction_->id());
  session_.terminal.Note(fmt::format(
      "transaction begun; nothing is stored before \\tx commit. It expires in {} seconds, "
      "with all that was written in it",
      seconds));
  return absl::OkStatus();
}

absl::Status Shell::End(bool commit) {
  if (transaction_ == nullptr) {
    return UsageError("no transaction is open: \\tx begin opens one");
  }
  const std::unique_ptr<OpenTransaction> transaction = std::move(transaction_);
  Forget();
  if (!commit) {
    SOP_RETURN_IF_ERROR(transaction->Rollback());
    session_.terminal.Note("rolled back: nothing of the transaction was stored");
    return absl::OkStatus();
  }
  const auto version = transaction->Commit();
  if (!version.ok()) {
    if (absl::IsAborted(version.status())) {
      session_.terminal.Note("nothing of the transaction was stored");
    }
    return version.status();
  }
  if (session_.terminal.json()) {
    session_.terminal.PrintJson({{"committed", true}, {"commit_version", VersionText(*version)}});
  } else {
    session_.terminal.Note("committed");
  }
  return absl::OkStatus();
}

bool Shell::NoteExpired() {
  if (transaction_ == nullptr || absl::Now() < expires_at_) {
    return false;
  }
  Forget();
  session_.terminal.Note(
      "the transaction has expired: nothing of it was stored, and no transaction is open now");
  return true;
}

void Shell::NoteFailure(const absl::Status& failure) {
  if (failure.ok()) {
    return;
  }
  if (absl::IsCancelled(failure)) {
    session_.terminal.Note("the transaction is still open; what was cancelled may be part of it");
    return;
  }
  if (HasEnded(failure)) {
    if (transaction_ != nullptr) {
      // Also of one that the server does not know any more.
      transaction_->Rollback().IgnoreError();
    }
    Forget();
    session_.terminal.Note(
        "the transaction has ended: nothing of it was stored, and no transaction is open now");
  }
}

void Shell::Forget() {
  transaction_.reset();
  session_.connection().set_transaction("");
}

void Shell::RollBackLeftOver() {
  if (!NoteExpired()) {
    transaction_->Rollback().IgnoreError();
    Forget();
    session_.terminal.Note("the transaction was still open: rolled back, nothing of it was stored");
  }
}

}  // namespace sop::cli
