#include <unistd.h>

#include <iostream>
#include <memory>

#include "clients/cli/commands.h"
#include "clients/cli/program.h"
#include "clients/cli/session/interruption.h"
#include "clients/cli/shell/interrupt_watcher.h"
#include "clients/cli/shell/line_editor.h"
#include "clients/cli/shell/shell.h"
#include "clients/cli/shell/store_names.h"

namespace sop::cli {

namespace {

struct ShellFlags {
  bool keep_going = false;
};

absl::Status RunScript(Session& session, const ShellFlags& flags) {
  session.set_stdin_has_commands();
  StreamLines lines(std::cin);
  Shell shell(session, lines,
              {.run = RunProgram,
               .after_failure =
                   flags.keep_going ? Shell::AfterFailure::kGoOn : Shell::AfterFailure::kStop});
  session.exit_code = shell.Run();
  return absl::OkStatus();
}

absl::Status RunInteractively(Session& session) {
  Interruption interruption;
  const InterruptWatcher watcher(interruption);
  session.set_interruption(&interruption);
  StoreNames stores(session);
  LineEditor editor(HistoryFile(HistoryFile::UsualPath()), [&](std::string_view text) {
    Session command(&session);
    return Complete(*MakeProgram(command), text, [&stores] { return stores.Get(); });
  });
  Shell shell(session, editor,
              {.run =
                   [&stores](const std::vector<std::string>& words, Session& command) {
                     stores.Forget();
                     return RunProgram(words, command);
                   },
               .interactive = true});
  session.exit_code = shell.Run();
  return absl::OkStatus();
}

}  // namespace

void AddShellCommand(CLI::App& program, Session& session) {
  auto flags = std::make_shared<ShellFlags>();
  CLI::App* shell = program.add_subcommand(
      "shell", "Type commands one after the other, or run a script of them from stdin");
  shell->add_flag("--keep-going", flags->keep_going,
                  "Run the rest of a script although a command failed");
  shell->callback([&session, flags] {
    session.action = [&session, flags] {
      return isatty(STDIN_FILENO) != 0 && isatty(STDOUT_FILENO) != 0 ? RunInteractively(session)
                                                                     : RunScript(session, *flags);
    };
  });
}

}  // namespace sop::cli
