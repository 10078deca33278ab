#include <fmt/format.h>
#include <unistd.h>

#include <fstream>
#include <iostream>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "clients/cli/commands.h"
#include "clients/cli/script_runner.h"
#include "clients/cli/text/item_json.h"
#include "core/base/status_macros.h"

namespace sop::cli {

namespace {

constexpr char kFooter[] =
    "\nOperations, one per argument or line:\n"
    "  create STORE                           get STORE KEY\n"
    "  put STORE KEY [VALUE]                  scan STORE [PREFIX]\n"
    "  add STORE KEY [VALUE]                  count STORE [PREFIX]\n"
    "  update STORE KEY VALUE                 rm STORE KEY\n"
    "  change STORE KEY [MEMBER] +N|-N        add to a number, or to a member of a JSON value\n"
    "  check STORE KEY [MEMBER] >= N          fail unless it holds: == != < <= > >=\n"
    "  check STORE KEY exists|missing         fail unless it is so\n"
    "  pause SECONDS    commit    rollback\n\n"
    "All belong to one transaction, which is committed at the end and rolled back as a whole if "
    "one\n"
    "of them fails. NAME: before an operation runs several transactions side by side:\n"
    "  sop tx 'a: change s k -1' 'b: change s k -2' 'a: commit' 'b: commit'\n"
    "Without operations they are read from stdin, on a terminal line by line.";

struct TransactionFlags {
  std::vector<std::string> operations;
  std::string file;
  bool read_only = false;
  std::string isolation = "serializable";
  int retry = 0;
  bool dry_run = false;
  double idle_seconds = 60;
};

// What the parser refuses is wrong usage.
absl::StatusOr<std::optional<ScriptOperation>> Parse(const std::string& line) {
  auto operation = ParseOperation(line);
  if (!operation.ok()) {
    return UsageError(std::string(operation.status().message()));
  }
  return operation;
}

absl::StatusOr<std::vector<ScriptOperation>> ParseAll(const TransactionFlags& flags) {
  std::vector<std::string> lines = flags.operations;
  if (!flags.file.empty()) {
    std::ifstream file(flags.file);
    if (!file) {
      return UsageError(fmt::format("file \"{}\" cannot be read", PrintableLine(flags.file)));
    }
    for (std::string line; std::getline(file, line);) {
      lines.push_back(line);
    }
  }
  std::vector<ScriptOperation> operations;
  for (const std::string& line : lines) {
    SOP_ASSIGN_OR_RETURN(std::optional<ScriptOperation> operation, Parse(line));
    if (operation) {
      operations.push_back(*std::move(operation));
    }
  }
  return operations;
}

ScriptRunner::Options RunnerOptions(const TransactionFlags& flags) {
  ScriptRunner::Options options;
  options.transaction.mode =
      flags.read_only ? v1::TRANSACTION_MODE_READ_ONLY : v1::TRANSACTION_MODE_READ_WRITE;
  options.transaction.isolation =
      flags.isolation == "snapshot" ? v1::ISOLATION_SNAPSHOT : v1::ISOLATION_SERIALIZABLE;
  options.transaction.idle_limit = absl::Seconds(flags.idle_seconds);
  return options;
}

absl::Status End(ScriptRunner& runner, const TransactionFlags& flags) {
  return flags.dry_run ? runner.RollBackAll() : runner.CommitAll();
}

absl::Status RunOnce(Session& session, const TransactionFlags& flags,
                     const std::vector<ScriptOperation>& operations) {
  ScriptRunner runner(session, RunnerOptions(flags));
  absl::Status first;
  for (const ScriptOperation& operation : operations) {
    const absl::Status status = runner.Run(operation);
    first = first.ok() ? status : first;
  }
  const absl::Status ended = End(runner, flags);
  return first.ok() ? ended : first;
}

absl::Status RunKnown(Session& session, const TransactionFlags& flags) {
  SOP_ASSIGN_OR_RETURN(const std::vector<ScriptOperation> operations, ParseAll(flags));
  absl::Status status = RunOnce(session, flags, operations);
  for (int tries = 1; absl::IsAborted(status) && tries <= flags.retry; ++tries) {
    session.terminal.Note(fmt::format("run again, {} of {} times", tries, flags.retry));
    status = RunOnce(session, flags, operations);
  }
  return status;
}

// A script that comes line by line; every line is run before the next one is read.
absl::Status RunStream(Session& session, const TransactionFlags& flags) {
  ScriptRunner runner(session, RunnerOptions(flags));
  absl::Status first;
  for (std::string line; std::getline(std::cin, line);) {
    const auto operation = Parse(line);
    if (!operation.ok()) {
      SOP_RETURN_IF_ERROR(runner.RollBackAll());
      return operation.status();
    }
    if (*operation) {
      const absl::Status status = runner.Run(**operation);
      first = first.ok() ? status : first;
      SOP_RETURN_IF_ERROR(session.terminal.Flush());
    }
  }
  const absl::Status ended = End(runner, flags);
  return first.ok() ? ended : first;
}

// Somebody types: a failure is shown and nothing ends by itself.
absl::Status RunInteractive(Session& session, const TransactionFlags& flags) {
  ScriptRunner::Options options = RunnerOptions(flags);
  options.after_failure = AfterFailure::kGoOn;
  ScriptRunner runner(session, options);
  session.terminal.Note("one operation per line; commit or rollback ends the transaction");
  fmt::print(stderr, "> ");
  for (std::string line; std::getline(std::cin, line); fmt::print(stderr, "> ")) {
    const auto operation = Parse(line);
    if (!operation.ok()) {
      session.Report(operation.status());
    } else if (*operation) {
      // Reported by the runner.
      runner.Run(**operation).IgnoreError();
      SOP_RETURN_IF_ERROR(session.terminal.Flush());
    }
  }
  fmt::print(stderr, "\n");
  return runner.RollBackAll();
}

absl::Status RunTransaction(Session& session, const TransactionFlags& flags) {
  if (!session.connection().transaction().empty()) {
    return UsageError(
        "tx runs transactions of its own: end the one that is open in the shell first");
  }
  if (!flags.operations.empty() || !flags.file.empty()) {
    return RunKnown(session, flags);
  }
  if (isatty(STDIN_FILENO) != 0 && session.MayReadStdin().ok()) {
    return RunInteractive(session, flags);
  }
  SOP_RETURN_IF_ERROR(session.MayReadStdin());
  return RunStream(session, flags);
}

}  // namespace

void AddTransactionCommand(CLI::App& program, Session& session) {
  auto flags = std::make_shared<TransactionFlags>();
  CLI::App* tx = program.add_subcommand("tx", "Run several operations in one transaction");
  tx->footer(kFooter);
  tx->add_option("OPERATION", flags->operations, "Operations, see below");
  tx->add_option("--file", flags->file, "Read operations from a file, one per line");
  tx->add_flag("--read-only", flags->read_only, "Refuse writes; never conflicts");
  tx->add_option("--isolation", flags->isolation,
                 "serializable: fail if anything read has changed; snapshot: only if something "
                 "written has")
      ->check(CLI::IsMember({"serializable", "snapshot"}))
      ->capture_default_str();
  tx->add_option("--retry", flags->retry, "How often to run it again when it was aborted")
      ->check(CLI::Range(0, 1000));
  tx->add_flag("--dry-run", flags->dry_run, "Roll back at the end");
  tx->add_option("--idle", flags->idle_seconds, "Seconds after which the server gives up waiting")
      ->check(CLI::Range(0.001, 3600.0))
      ->capture_default_str();
  tx->callback([&session, flags] {
    session.action = [&session, flags] { return RunTransaction(session, *flags); };
  });
}

}  // namespace sop::cli
