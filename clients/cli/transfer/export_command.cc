#include <memory>

#include "clients/cli/transfer/export_job.h"
#include "clients/cli/transfer/transfer_commands.h"

namespace sop::cli {

void AddExportCommand(CLI::App& program, Session& session) {
  auto flags = std::make_shared<ExportFlags>();
  CLI::App* exporting = program.add_subcommand(
      "export", "Write a store as JSON lines or CSV, which `sop import` reads back identically");
  exporting->add_option("STORE", flags->store, "The store")->required();
  exporting->add_option("FILE", flags->file, "Where to; default: stdout");
  exporting
      ->add_option(
          "--format", flags->format,
          "jsonl: a JSON object per line; csv: for other programs, too. Default: csv for a "
          "FILE of that name, else jsonl")
      ->check(CLI::IsMember({"jsonl", "csv"}));
  exporting->add_option("--prefix", flags->range.prefix,
                        "Only keys that begin so; of records the first fields, Lu or 'L*'");
  exporting->add_option("--from", flags->range.from, "Only keys from this one on");
  exporting->add_option("--to", flags->range.to, "Only keys before this one");
  exporting->add_flag("--resume", flags->resume,
                      "Append what an earlier run, killed or failed, has not written yet");
  exporting->callback([&session, flags] {
    session.action = [&session, flags] { return RunExport(session, *flags); };
  });
}

}  // namespace sop::cli
