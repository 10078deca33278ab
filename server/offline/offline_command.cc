#include "server/offline/offline_command.h"

#include <algorithm>
#include <cstdio>
#include <thread>
#include <utility>

#include "CLI/CLI.hpp"
#include "core/base/error.h"
#include "core/base/status_macros.h"
#include "core/catalog/check/database_check.h"
#include "core/catalog/check/database_repair.h"
#include "fmt/format.h"

namespace sop::offline {
namespace {

constexpr int kDone = 0;
constexpr int kProblems = 1;
constexpr int kFailed = 2;

struct Flags {
  std::string folder;
  std::string backup;
  uint32_t number = 0;
  bool json = false;
};

void Print(const std::string& text) {
  std::fputs(text.c_str(), stdout);
  if (!text.ends_with('\n')) std::fputc('\n', stdout);
}

int Failed(const absl::Status& status) {
  std::fprintf(stderr, "sopd: %s: %s\n", std::string(ReasonName(ReasonOf(status))).c_str(),
               std::string(status.message()).c_str());
  return kFailed;
}

check::CheckOptions Options() {
  return {.threads = static_cast<int>(std::max(2U, std::thread::hardware_concurrency())),
          .wanted = nullptr};
}

absl::StatusOr<check::CheckReport> CheckFolder(const std::string& folder, const Backend& backend) {
  return check::CheckClosed([&] { return backend.inspect(folder); }, Options(), *backend.clock);
}

int Check(const Flags& flags, const Backend& backend) {
  const auto report = CheckFolder(flags.folder, backend);
  if (!report.ok()) return Failed(report.status());
  Print(flags.json ? check::ToJson(*report) : check::ToText(*report));
  return report->sound() ? kDone : kProblems;
}

// Repairs what can be opened. The storage is closed when this returns: then the copy can take its
// place.
absl::StatusOr<check::RepairReport> CopyFolder(const std::string& folder, const Backend& backend) {
  SOP_ASSIGN_OR_RETURN(const auto storage, backend.inspect(folder));
  SOP_ASSIGN_OR_RETURN(const auto found, check::CheckStorage(*storage, Options(), *backend.clock));
  if (found.sound()) return check::RepairReport();
  SOP_ASSIGN_OR_RETURN(const auto snapshot, storage->nodes().TakeSnapshot());
  SOP_ASSIGN_OR_RETURN(const auto copy, backend.make_copy(folder, storage->database_id()));
  SOP_ASSIGN_OR_RETURN(auto report, check::CopySound(*snapshot, found, *copy));
  report.database_id = storage->database_id();
  SOP_RETURN_IF_ERROR(copy->Finish(report.sequence));
  return report;
}

absl::StatusOr<check::RepairReport> RepairFolder(const std::string& folder,
                                                 const Backend& backend) {
  // One that was interrupted between its last two steps.
  SOP_RETURN_IF_ERROR(backend.exchange(folder).status());
  std::string gathered;
  const absl::Status opens = backend.inspect(folder).status();
  if (ReasonOf(opens) == Reason::kDamaged) {
    SOP_ASSIGN_OR_RETURN(gathered, backend.gather(folder));
  }
  SOP_ASSIGN_OR_RETURN(check::RepairReport report, CopyFolder(folder, backend));
  SOP_ASSIGN_OR_RETURN(report.aside, backend.exchange(folder));
  if (gathered.empty()) return report;
  report.losses.push_back({"", kCatalogTree, "", std::nullopt, std::nullopt,
                           "the database could not be opened: its newest commits may be lost"});
  report.aside = gathered;
  return report;
}

int Repair(const Flags& flags, const Backend& backend) {
  const auto report = RepairFolder(flags.folder, backend);
  if (!report.ok()) return Failed(report.status());
  Print(flags.json ? check::ToJson(*report) : check::ToText(*report));
  const auto after = CheckFolder(flags.folder, backend);
  if (!after.ok()) return Failed(after.status());
  if (!after->sound()) {
    std::fputs(check::ToText(*after).c_str(), stderr);
    return kFailed;
  }
  return report->losses.empty() ? kDone : kProblems;
}

int Restore(const Flags& flags, const Backend& backend) {
  const auto restored = backend.backups->Restore(flags.backup, flags.number, flags.folder);
  if (!restored.ok()) return Failed(restored.status());
  const auto report = CheckFolder(flags.folder, backend);
  if (!report.ok()) return Failed(report.status());
  Print(flags.json ? check::ToJson(*report)
                   : fmt::format("restored backup {} to {}\n{}", restored->number, flags.folder,
                                 check::ToText(*report)));
  return report->sound() ? kDone : kProblems;
}

int Upgrade(const Flags& flags, const Backend& backend) {
  const auto features = backend.upgrade(flags.folder);
  if (!features.ok()) return Failed(features.status());
  std::string list;
  for (const std::string& feature : *features) {
    list += list.empty() ? "" : flags.json ? "," : ", ";
    list += flags.json ? check::JsonString(feature) : feature;
  }
  if (flags.json) {
    Print(fmt::format("{{\"turned_on\":[{}]}}", list));
  } else {
    Print(list.empty() ? "nothing to upgrade: the folder has every feature of this release"
                       : "turned on: " + list);
  }
  return kDone;
}

}  // namespace

std::optional<int> RunCommand(const std::vector<std::string>& arguments, const Backend& backend) {
  CLI::App app{"sopd: work on a database's folder while no server has it open", "sopd"};
  app.require_subcommand(1);
  Flags flags;
  std::function<int()> action;
  const auto add = [&](const char* name, const char* help,
                       int (*run)(const Flags&, const Backend&)) {
    CLI::App* const command = app.add_subcommand(name, help);
    command->add_flag("--json", flags.json, "Print the report as one JSON object");
    command->callback([&, run] { action = [&, run] { return run(flags, backend); }; });
    return command;
  };
  const auto add_folder = [&](CLI::App* command) {
    command->add_option("DIR", flags.folder, "The database's folder, such as sop-data/databases/x")
        ->required();
  };
  add_folder(
      add("check", "Check the database; exit code 0 sound, 1 problems, 2 not possible", &Check));
  add_folder(add("repair",
                 "Make it sound; says exactly what is lost, keeps the damaged files; exit code 0 "
                 "nothing is lost, 1 something is, 2 not possible",
                 &Repair));
  CLI::App* const restore = add("restore", "Make a database of a backup and check it", &Restore);
  restore->add_option("BACKUP", flags.backup, "The folder with the backups")->required();
  add_folder(restore);
  restore->add_option("--number", flags.number, "Which backup; the newest if it is left out");
  add_folder(add("upgrade", "Turn on the format's features that this release has", &Upgrade));
  const auto named = [&](const CLI::App* command) {
    return !arguments.empty() && command->get_name() == arguments.front();
  };
  const auto commands =
      app.get_subcommands([&](const CLI::App* command) { return named(command); });
  if (commands.empty()) return std::nullopt;
  try {
    app.parse(std::vector<std::string>(arguments.rbegin(), arguments.rend()));
  } catch (const CLI::ParseError& error) {
    return app.exit(error) == 0 ? kDone : kFailed;
  }
  return action();
}

}  // namespace sop::offline
