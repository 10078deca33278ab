#include <fmt/format.h>

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
  RangeText range;
  std::string filter;
  uint64_t limit = 0;
  bool reverse = false;
  bool keys_only = false;
};

absl::Status StdoutIsClosed() { return Error(Reason::kUnavailable, "stdout takes no more"); }

absl::Status PrintScanned(Session& session, const ScanFlags& flags, const StoreKeys& keys,
                          const ScannedItem& item) {
  if (session.terminal.json()) {
    Json json = {{"key", KeyJson(item.key)}};
    AddValue(item.value, &json);
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
}

}  // namespace sop::cli
