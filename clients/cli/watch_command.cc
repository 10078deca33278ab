#include <fmt/format.h>

#include <memory>
#include <string>

#include "absl/strings/escaping.h"
#include "clients/cli/commands.h"
#include "clients/cli/session/messages.h"
#include "core/base/error.h"
#include "core/base/status_macros.h"

namespace sop::cli {

namespace {

struct WatchFlags {
  std::string store;
  RangeText range;
  std::string position;
  bool oldest = false;
  bool keys_only = false;
  uint64_t limit = 0;
};

std::string_view KindText(v1::ChangeKind kind) {
  switch (kind) {
    case v1::CHANGE_KIND_ADDED:
      return "added";
    case v1::CHANGE_KIND_UPDATED:
      return "updated";
    case v1::CHANGE_KIND_REMOVED:
      return "removed";
    case v1::CHANGE_KIND_KEY_UPDATED:
      return "key updated";
    case v1::CHANGE_KIND_STORE_REMOVED:
      return "store removed";
    default:
      return "unknown";
  }
}

absl::Status PrintChange(Session& session, const v1::Change& change) {
  Json json = {{"change", KindText(change.kind())}};
  if (change.item().has_key()) {
    SOP_ASSIGN_OR_RETURN(const btree::Key key, KeyFromProto(change.item().key()));
    json["key"] = KeyJson(key);
  }
  if (change.item().has_value()) AddValue(ValueFromProto(change.item().value()), &json);
  json["version"] = change.item().version();
  json["position"] = absl::Base64Escape(change.position());
  session.terminal.PrintJson(json);
  if (session.terminal.IsOpen()) return absl::OkStatus();
  return Error(Reason::kUnavailable, "stdout takes no more");
}

absl::StatusOr<v1::WatchRequest> RequestFor(Session& session, const WatchFlags& flags) {
  SOP_ASSIGN_OR_RETURN(const StoreKeys keys, session.GetKeys(flags.store));
  v1::WatchRequest request;
  request.set_database(session.flags.database);
  request.set_store(flags.store);
  if (!absl::Base64Unescape(flags.position, request.mutable_position())) {
    return Error(Reason::kInvalidArgument, "--position takes what a change printed as its position",
                 {{"field", "position"}});
  }
  request.set_start(flags.oldest ? v1::WATCH_START_OLDEST : v1::WATCH_START_NOW);
  request.set_content(flags.keys_only ? v1::ITEM_CONTENT_KEYS : v1::ITEM_CONTENT_ITEMS);
  SOP_ASSIGN_OR_RETURN(*request.mutable_range(), MakeRange(keys, flags.range));
  return request;
}

absl::Status Watch(Session& session, const WatchFlags& flags) {
  SOP_ASSIGN_OR_RETURN(const v1::WatchRequest request, RequestFor(session, flags));
  grpc::ClientContext context;
  const auto reader = session.connection().btree().Watch(&context, request);
  const Interruption::Scope scope(session.interruption(), [&context] { context.TryCancel(); });
  uint64_t printed = 0;
  absl::Status status;
  v1::WatchResponse response;
  const auto enough = [&] { return flags.limit != 0 && printed >= flags.limit; };
  while (status.ok() && !enough() && reader->Read(&response)) {
    for (const v1::Change& change : response.changes()) {
      if (!status.ok() || enough()) break;
      status = PrintChange(session, change);
      ++printed;
    }
  }
  if (!status.ok() || enough()) {
    context.TryCancel();
    reader->Finish();
    return status;
  }
  return StatusFromGrpc(reader->Finish());
}

}  // namespace

void AddWatchCommand(CLI::App& program, Session& session) {
  auto flags = std::make_shared<WatchFlags>();
  CLI::App* watch = program.add_subcommand(
      "watch", "Print committed changes of a store as JSON lines, as they come");
  watch->add_option("STORE", flags->store, "The store; created with --feed")->required();
  watch->add_option("--position", flags->position, "Go on after the change that printed it");
  watch->add_flag("--oldest", flags->oldest, "From the oldest change that is kept; else from now");
  watch->add_option("--prefix", flags->range.prefix, "Only keys that begin so");
  watch->add_option("--from", flags->range.from, "Only keys from this one on");
  watch->add_option("--to", flags->range.to, "Only keys before this one");
  watch->add_flag("--keys-only", flags->keys_only, "Without values");
  watch->add_option("--limit", flags->limit, "End after so many changes");
  watch->callback(
      [&session, flags] { session.action = [&session, flags] { return Watch(session, *flags); }; });
}

}  // namespace sop::cli
