#include <fmt/format.h>

#include <cstdio>
#include <memory>

#include "clients/cli/commands.h"
#include "clients/cli/session/filter_message.h"
#include "clients/cli/session/messages.h"
#include "clients/cli/session/scanner.h"
#include "core/base/error.h"
#include "core/base/status_macros.h"

namespace sop::cli {

namespace {

struct ScanFlags {
  std::string store;
  std::string file;
  RangeText range;
  std::string filter;
  uint64_t limit = 0;
  bool reverse = false;
  bool keys_only = false;
};

absl::Status StdoutIsClosed() { return Error(Reason::kUnavailable, "stdout takes no more"); }

Json ItemJson(const ScannedItem& item) {
  Json json = {{"key", KeyJson(item.key)}};
  AddValue(item.value, &json);
  return json;
}

absl::Status PrintScanned(Session& session, const ScanFlags& flags, const StoreKeys& keys,
                          const ScannedItem& item) {
  if (session.terminal.json()) {
    Json json = ItemJson(item);
    json["version"] = item.version;
    session.terminal.PrintJson(json);
  } else if (flags.keys_only || item.value.content.empty()) {
    session.terminal.PrintLine(PrintableLine(KeyText(keys, item.key)));
  } else {
    session.terminal.PrintLine(fmt::format("{}\t{}", PrintableLine(KeyText(keys, item.key)),
                                           PrintableLine(item.value.content)));
  }
  return session.terminal.IsOpen() ? absl::OkStatus() : StdoutIsClosed();
}

absl::Status Scan(Session& session, const ScanFlags& flags) {
  SOP_ASSIGN_OR_RETURN(const StoreKeys keys, session.GetKeys(flags.store));
  v1::ScanRequest request;
  request.set_database(session.flags.database);
  request.set_store(flags.store);
  request.set_limit(flags.limit);
  request.set_direction(flags.reverse ? v1::DIRECTION_BACKWARD : v1::DIRECTION_FORWARD);
  request.set_content(flags.keys_only ? v1::ITEM_CONTENT_KEYS : v1::ITEM_CONTENT_ITEMS);
  SOP_ASSIGN_OR_RETURN(*request.mutable_range(), MakeRange(keys, flags.range));
  if (!flags.filter.empty()) {
    SOP_ASSIGN_OR_RETURN(*request.mutable_filter(), ParseFilter(keys, flags.filter));
  }
  return ScanStore(session, request, keys, [&](ScannedItem item) -> absl::Status {
    if (item.value_left_out && !flags.keys_only) {
      SOP_ASSIGN_OR_RETURN(item.value, ReadLeftOutValue(session, request, item));
    }
    return PrintScanned(session, flags, keys, item);
  });
}

// stdout, or a file that is complete or not there under its name.
class ExportFile {
 public:
  static absl::StatusOr<std::unique_ptr<ExportFile>> Open(const std::string& path) {
    if (path.empty() || path == "-") {
      return std::unique_ptr<ExportFile>(new ExportFile(stdout, "", ""));
    }
    const std::string partial = path + ".partial";
    std::FILE* file = std::fopen(partial.c_str(), "wb");
    if (file == nullptr) {
      return UsageError(fmt::format("file \"{}\" cannot be written", PrintableLine(path)));
    }
    return std::unique_ptr<ExportFile>(new ExportFile(file, path, partial));
  }

  ~ExportFile() {
    if (file_ != nullptr && file_ != stdout) {
      std::fclose(file_);
      std::remove(partial_.c_str());
    }
  }
  ExportFile(const ExportFile&) = delete;
  ExportFile& operator=(const ExportFile&) = delete;

  absl::Status Write(std::string line) {
    line.push_back('\n');
    if (std::fwrite(line.data(), 1, line.size(), file_) != line.size()) {
      return Error(Reason::kUnavailable, "the export cannot be written");
    }
    return absl::OkStatus();
  }

  absl::Status Close() {
    if (file_ == stdout) {
      return absl::OkStatus();
    }
    const bool closed = std::fclose(file_) == 0;
    file_ = nullptr;
    if (!closed || std::rename(partial_.c_str(), path_.c_str()) != 0) {
      return Error(Reason::kUnavailable,
                   fmt::format("file \"{}\" cannot be written", PrintableLine(path_)));
    }
    return absl::OkStatus();
  }

 private:
  ExportFile(std::FILE* file, std::string path, std::string partial)
      : file_(file), path_(std::move(path)), partial_(std::move(partial)) {}

  std::FILE* file_;
  const std::string path_;
  const std::string partial_;
};

// What an equal store is made of.
Json OptionsJson(const v1::Store& store) {
  Json json = StoreJson(store);
  for (const char* member : {"id", "items", "size_bytes"}) {
    json.erase(member);
  }
  return json;
}

absl::Status Export(Session& session, const ScanFlags& flags) {
  SOP_ASSIGN_OR_RETURN(const v1::Store store, session.GetStore(flags.store));
  SOP_ASSIGN_OR_RETURN(const StoreKeys keys, KeysOf(store));
  SOP_ASSIGN_OR_RETURN(const std::unique_ptr<ExportFile> file, ExportFile::Open(flags.file));
  SOP_RETURN_IF_ERROR(
      file->Write(JsonText(Json::object({{"sop_export", 1}, {"store", OptionsJson(store)}}))));
  v1::ScanRequest request;
  request.set_database(session.flags.database);
  request.set_store(flags.store);
  uint64_t count = 0;
  absl::Duration elapsed;
  {
    ProgressLine progress("items", store.item_count());
    SOP_RETURN_IF_ERROR(ScanStore(session, request, keys, [&](ScannedItem item) -> absl::Status {
      if (item.value_left_out) {
        SOP_ASSIGN_OR_RETURN(item.value, ReadLeftOutValue(session, request, item));
      }
      progress.Update(++count);
      return file->Write(JsonText(ItemJson(item)));
    }));
    elapsed = progress.elapsed();
  }
  SOP_RETURN_IF_ERROR(file->Close());
  session.terminal.Note(RateText(count, elapsed));
  return absl::OkStatus();
}

}  // namespace

void AddScanCommands(CLI::App& program, Session& session) {
  auto flags = std::make_shared<ScanFlags>();
  CLI::App* scan = program.add_subcommand("scan", "Print the items of a range, in order");
  scan->add_option("STORE", flags->store, "The store")->required();
  scan->add_option("--prefix", flags->range.prefix,
                   "Only keys that begin so; of records the first fields, Lu or 'L*'");
  scan->add_option("--from", flags->range.from, "Only keys from this one on");
  scan->add_option("--to", flags->range.to, "Only keys before this one");
  scan->add_option("--filter", flags->filter,
                   "Only items that it lets through: JSON like {\"age\": {\"$gte\": 3}}");
  scan->add_option("--limit", flags->limit, "At most so many items");
  scan->add_flag("--reverse", flags->reverse, "From the end of the range to its beginning");
  scan->add_flag("--keys-only", flags->keys_only, "Without values, which are then not read either");
  scan->callback(
      [&session, flags] { session.action = [&session, flags] { return Scan(session, *flags); }; });

  auto exported = std::make_shared<ScanFlags>();
  CLI::App* exporting = program.add_subcommand(
      "export", "Write a store as JSON lines, which `sop import` reads back identically");
  exporting->add_option("STORE", exported->store, "The store")->required();
  exporting->add_option("FILE", exported->file, "Where to; default: stdout");
  exporting->callback([&session, exported] {
    session.action = [&session, exported] { return Export(session, *exported); };
  });
}

}  // namespace sop::cli
