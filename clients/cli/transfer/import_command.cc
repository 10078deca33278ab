#include <memory>
#include <vector>

#include "clients/cli/transfer/import_job.h"
#include "clients/cli/transfer/transfer_commands.h"

namespace sop::cli {

void AddImportCommand(CLI::App& program, Session& session) {
  auto flags = std::make_shared<ImportFlags>();
  CLI::App* import = program.add_subcommand(
      "import", "Read a file into a store, which is created if it is missing");
  import->add_option("STORE", flags->store, "The store")->required();
  import->add_option("FILE", flags->input.path, "What to read; - is stdin")->required();
  import
      ->add_option("--format", flags->input.format,
                   "csv: delimited text; jsonl: a JSON object per line; lines: a key per line; "
                   "export: what `sop export` wrote. Default: told from name and first line")
      ->check(CLI::IsMember({"csv", "jsonl", "lines", "export"}));
  import->add_option("--separator", flags->input.separator,
                     "What separates columns; default , (a tab is \\t)");
  import->add_option("--quote", flags->input.quote, "What encloses fields; '' for nothing")
      ->capture_default_str();
  const auto add_list = [import](const char* name, std::vector<std::string>& list,
                                 const char* description) {
    import->add_option(name, list, description)->delimiter(',')->allow_extra_args(false);
  };
  add_list("--columns", flags->columns, "Names of the columns; default: the first line has them");
  add_list("--key", flags->key,
           "Columns that are the key, several in the order of the index: a,b or a,b:desc; default: "
           "those of the store, else the first one");
  add_list("--ride-on", flags->ride_on, "Columns kept beside the key, never compared");
  add_list("--types", flags->types,
           "Types of columns: a=int64,b=hex. string, bool, int64, hex, double, bytes, uuid, "
           "timestamp, json; default: those of the store, else string");
  import->add_option("--value", flags->value_column,
                     "The column that is the value; default: a JSON object of all others");
  import->add_flag("--one-transaction", flags->one_transaction,
                   "All items or none, and all of them at once");
  import->add_option("--batch", flags->batch, "Most items in one transaction")
      ->check(CLI::Range(1, 1'000'000))
      ->capture_default_str();
  import
      ->add_option("--existing", flags->existing,
                   "What happens to items that are there: replace, keep or fail")
      ->check(CLI::IsMember({"replace", "keep", "fail"}))
      ->capture_default_str();
  import
      ->add_option(
          "--on-error", flags->on_error,
          "What a malformed line does. stop: what stands before it stays imported; skip: it "
          "is named and left out; check: the file is read twice, and nothing is imported if "
          "there is one")
      ->check(CLI::IsMember({"stop", "skip", "check"}))
      ->capture_default_str();
  import->add_flag("--resume", flags->resume,
                   "Go on where an earlier run of the same command ended, every item exactly once");
  import->callback([&session, flags] {
    session.action = [&session, flags] { return RunImport(session, *flags);
};
}  // namespace sop::cli
);
}

}  // namespace sop::cli
