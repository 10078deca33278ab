#include "clients/cli/program.h"

#include <algorithm>

#include "clients/cli/commands.h"
#include "clients/cli/session/failure.h"
#include "clients/cli/text/item_json.h"
#include "clients/cli/transfer/transfer_commands.h"

namespace sop::cli {
namespace {

constexpr char kDescription[] =
    "sop: the command-line client of SOP Server.\n"
    "It talks to a running server (sopd) and prints data to stdout, messages to stderr.\n\n"
    "First steps:\n"
    "  sop ping                                   is the server there?\n"
    "  sop store create accounts                  make a store\n"
    "  sop put accounts alice '{\"balance\":100}'   write an item\n"
    "  sop get accounts alice                     read it\n"
    "  sop import words /usr/share/dict/words     a whole file\n"
    "  sop scan words --prefix trans              a range\n"
    "  sop tx 'change accounts alice balance -10' 'check accounts alice balance >= 0'\n"
    "  sop shell                                  all of this, interactively";

constexpr char kFooter[] =
    "\nThe flags above may stand behind any command. `sop COMMAND --help` explains a command.\n"
    "Exit code: 0 done, 1 refused (the reason is printed), 2 wrong usage.";

void AddSharedFlags(CLI::App& program, Session& session) {
  SharedFlags& flags = session.flags;
  CLI::Option* address = program.add_option("--address", flags.address, "HOST:PORT of the server");
  CLI::Option* database = program.add_option("--database", flags.database, "Name of the database");
  if (session.shell() == nullptr) {
    // The commands of a shell begin with its flags, wherever it has them from.
    address->envname("SOP_ADDRESS");
    database->envname("SOP_DATABASE");
  }
  address->capture_default_str();
  database->capture_default_str();
  program.add_option("--timeout", flags.timeout_seconds, "Seconds that one call may take")
      ->check(CLI::PositiveNumber)
      ->capture_default_str();
  program.add_flag_callback(
      "--json", [&session] { session.terminal.set_form(OutputForm::kJson); },
      "Print data as JSON, one document per line");
  program.add_flag_callback(
      "--table", [&session] { session.terminal.set_form(OutputForm::kTable); },
      "Print data as a table with headings");
  program.add_flag_callback(
      "--yes", [&session] { session.terminal.AssumeYes(); },
      "Do not ask before something is deleted");
}

// The message for words that name no command, if that is what is wrong with them.
bool NamesNoCommand(const CLI::App& program, const std::vector<std::string>& words,
                    Session& session) {
  if (words.empty() || words.back().starts_with('-') || !program.get_subcommands().empty()) {
    return false;
  }
  session.terminal.Note("sop: there is no command \"" + PrintableLine(words.back()) +
                        "\"; --help lists them");
  return true;
}

}  // namespace

std::unique_ptr<CLI::App> MakeProgram(Session& session) {
  auto program = std::make_unique<CLI::App>(kDescription, "sop");
  program->footer(kFooter);
  program->set_version_flag("--version", "sop " SOP_VERSION);
  program->require_subcommand(1);
  program->fallthrough();
  AddSharedFlags(*program, session);
  AddPingCommands(*program, session);
  AddDatabaseCommands(*program, session);
  AddStoreCommands(*program, session);
  AddItemCommands(*program, session);
  AddScanCommands(*program, session);
  AddWatchCommand(*program, session);
  AddImportCommand(*program, session);
  AddExportCommand(*program, session);
  AddTransactionCommand(*program, session);
  AddBenchCommand(*program, session);
  AddUpkeepCommands(*program, session);
  if (session.shell() == nullptr) {
    AddShellCommand(*program, session);
  }
  return program;
}

int RunProgram(const std::vector<std::string>& words, Session& session) {
  const std::unique_ptr<CLI::App> program = MakeProgram(session);
  std::vector<std::string> last_first(words.rbegin(), words.rend());
  try {
    program->parse(std::move(last_first));
  } catch (const CLI::RequiredError& error) {
    if (NamesNoCommand(*program, words, session)) {
      return kExitUsage;
    }
    return program->exit(error) == 0 ? kExitDone : kExitUsage;
  } catch (const CLI::ParseError& error) {
    return program->exit(error) == 0 ? kExitDone : kExitUsage;
  }
  absl::Status status = session.action();
  if (absl::Status flushed = session.terminal.Flush(); status.ok()) {
    status = flushed;
  }
  if (status.ok()) {
    return session.exit_code;
  }
  if (!session.has_reported()) {
    session.Report(status);
  }
  return session.refused_exit_code.value_or(DescribeFailure(status).exit_code);
}

}  // namespace sop::cli
