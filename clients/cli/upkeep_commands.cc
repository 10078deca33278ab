#include <fmt/format.h>

#include <memory>
#include <string>

#include "absl/time/time.h"
#include "clients/cli/commands.h"
#include "clients/cli/text/item_json.h"
#include "core/base/bytes.h"
#include "core/base/status_macros.h"

namespace sop::cli {

namespace {

using Stub = v1::AdminService::Stub;

// Upkeep takes as long as the database is large.
constexpr double kPatienceSeconds = 24 * 3600;
constexpr int kProblems = 1;

struct BackupFlags {
  std::string folder;
  bool skip_verification = false;
  uint32_t keep = 0;
};

Json CheckJson(const v1::CheckResponse& report) {
  Json json = {{"sound", report.sound()},
               {"commit_version", base::Hex(report.commit_version())},
               {"stores", report.stores()},
               {"trees", report.trees()},
               {"nodes", report.nodes()},
               {"items", report.items()},
               {"values", report.values()},
               {"files", report.files()},
               {"bytes", report.bytes()},
               {"milliseconds", report.milliseconds()},
               {"finding_count", report.finding_count()},
               {"findings", Json::array()}};
  for (const v1::Finding& finding : report.findings()) {
    Json one = {{"kind", finding.kind()}, {"store", finding.store()}, {"what", finding.what()}};
    if (finding.has_unreadable_items()) {
      one["unreadable_items"] = finding.unreadable_items();
      one["low"] = base::Hex(finding.low());
      one["high"] = finding.has_high() ? Json(base::Hex(finding.high())) : Json(nullptr);
    }
    json["findings"].push_back(std::move(one));
  }
  return json;
}

void PrintCheck(Session& session, const v1::CheckResponse& report) {
  session.terminal.PrintLine(fmt::format(
      "checked {} stores, {} nodes, {} items, {} values, {} files; {} bytes in {:.2f} s",
      WithCommas(report.stores()), WithCommas(report.nodes()), WithCommas(report.items()),
      WithCommas(report.values()), WithCommas(report.files()), WithCommas(report.bytes()),
      static_cast<double>(report.milliseconds()) / 1000));
  for (const v1::Finding& finding : report.findings()) {
    session.terminal.PrintLine(fmt::format("{}\t{}\t{}", finding.kind(),
                                           PrintableLine(finding.store()),
                                           PrintableLine(finding.what())));
  }
  session.terminal.PrintLine(
      report.sound() ? "sound" : fmt::format("{} problems", WithCommas(report.finding_count())));
}

Json BackupJson(const v1::StoredBackup& backup) {
  return {{"number", backup.number()},
          {"unix_seconds", backup.unix_seconds()},
          {"bytes", backup.bytes()},
          {"files", backup.files()},
          {"commit_version", base::Hex(backup.commit_version())}};
}

void PrintBackup(Session& session, const v1::StoredBackup& backup) {
  if (session.terminal.json()) return session.terminal.PrintJson(BackupJson(backup));
  session.terminal.PrintLine(fmt::format(
      "{}\t{}\t{} bytes\t{} files", backup.number(),
      absl::FormatTime("%Y-%m-%d %H:%M:%S UTC", absl::FromUnixSeconds(backup.unix_seconds()),
                       absl::UTCTimeZone()),
      WithCommas(backup.bytes()), WithCommas(backup.files())));
}

absl::Status Check(Session& session) {
  v1::CheckRequest request;
  request.set_database(session.flags.database);
  Connection& connection = session.connection();
  SOP_ASSIGN_OR_RETURN(const v1::CheckResponse report,
                       connection.Call(connection.admin(), &Stub::Check, request));
  if (session.terminal.json()) {
    session.terminal.PrintJson(CheckJson(report));
  } else {
    PrintCheck(session, report);
  }
  if (!report.sound()) session.exit_code = kProblems;
  return absl::OkStatus();
}

absl::Status MakeBackup(Session& session, const BackupFlags& flags) {
  v1::BackupRequest request;
  request.set_database(session.flags.database);
  request.set_folder(flags.folder);
  request.set_skip_verification(flags.skip_verification);
  grpc::ClientContext context;
  const auto reader = session.connection().admin().Backup(&context, request);
  v1::BackupResponse response;
  std::unique_ptr<ProgressLine> progress;
  while (reader->Read(&response)) {
    if (progress == nullptr) {
      progress = std::make_unique<ProgressLine>("bytes", response.total_bytes());
    }
    progress->Update(response.done_bytes());
  }
  progress.reset();
  SOP_RETURN_IF_ERROR(StatusFromGrpc(reader->Finish()));
  PrintBackup(session, response.backup());
  if (response.has_verified()) {
    session.terminal.Note(fmt::format("restored and checked: {} items, sound",
                                      WithCommas(response.verified().items())));
  }
  return absl::OkStatus();
}

absl::Status ListBackups(Session& session, const BackupFlags& flags) {
  v1::ListBackupsRequest request;
  request.set_folder(flags.folder);
  Connection& connection = session.connection();
  SOP_ASSIGN_OR_RETURN(const v1::ListBackupsResponse response,
                       connection.Call(connection.admin(), &Stub::ListBackups, request));
  for (const v1::StoredBackup& backup : response.backups()) PrintBackup(session, backup);
  return absl::OkStatus();
}

absl::Status PruneBackups(Session& session, const BackupFlags& flags) {
  SOP_ASSIGN_OR_RETURN(const bool agreed, session.terminal.Confirm(fmt::format(
                                              "Remove all but the newest {} backups of {}?",
                                              flags.keep, PrintableLine(flags.folder))));
  if (!agreed) return absl::OkStatus();
  v1::PruneBackupsRequest request;
  request.set_folder(flags.folder);
  request.set_keep(flags.keep);
  Connection& connection = session.connection();
  SOP_ASSIGN_OR_RETURN(const v1::PruneBackupsResponse response,
                       connection.Call(connection.admin(), &Stub::PruneBackups, request));
  for (const v1::StoredBackup& backup : response.backups()) PrintBackup(session, backup);
  return absl::OkStatus();
}

void AddBackupCommand(CLI::App& backup, Session& session,
                      const std::shared_ptr<BackupFlags>& flags) {
  backup.require_subcommand(1);
  const auto add = [&](const char* name, const char* help,
                       absl::Status (*run)(Session&, const BackupFlags&)) {
    CLI::App* const command = backup.add_subcommand(name, help);
    command->add_option("FOLDER", flags->folder, "Folder of the server, under one of its roots")
        ->required();
    command->callback([&session, flags, run] {
      session.action = [&session, flags, run] { return run(session, *flags); };
    });
    return command;
  };
  add("make", "Add a backup, copying what earlier ones there have not; then restore and check it",
      &MakeBackup)
      ->add_flag("--no-verify", flags->skip_verification, "Do not restore and check it");
  add("list", "The backups there, oldest first", &ListBackups);
  add("prune", "Remove all but the newest backups", &PruneBackups)
      ->add_option("--keep", flags->keep, "How many stay")
      ->required()
      ->check(CLI::PositiveNumber);
}

}  // namespace

void AddUpkeepCommands(CLI::App& program, Session& session) {
  CLI::App* const check = program.add_subcommand(
      "check",
      "Check the database while it is used; exit code 0 sound, 1 problems, 2 not possible");
  check->callback([&session] {
    session.flags.timeout_seconds = kPatienceSeconds;
    session.refused_exit_code = 2;
    session.action = [&session] { return Check(session); };
  });
  AddBackupCommand(*program.add_subcommand("backup", "Make, list and prune backups"), session,
                   std::make_shared<BackupFlags>());
}

}  // namespace sop::cli
