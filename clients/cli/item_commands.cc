#include <fmt/format.h>

#include <fstream>
#include <iostream>
#include <iterator>
#include <memory>
#include <optional>
#include <vector>

#include "clients/cli/commands.h"
#include "clients/cli/removal.h"
#include "clients/cli/session/filter_message.h"
#include "clients/cli/session/messages.h"
#include "clients/cli/session/scanner.h"
#include "clients/cpp/large_value.h"
#include "core/base/error.h"
#include "core/base/status_macros.h"

namespace sop::cli {

namespace {

using Stub = v1::BtreeService::Stub;

struct ItemFlags {
  std::string store;
  std::vector<std::string> keys;
  // put
  std::optional<std::string> value;
  std::string value_file;
  std::string format = "auto";
  bool add = false;
  bool update = false;
  std::optional<uint64_t> if_version;
  // get
  bool raw = false;
  // rm and count
  RangeText range;
  bool all = false;
  // count
  std::string filter;
};

absl::StatusOr<std::string> ReadWhole(const std::string& path) {
  if (path == "-") {
    return std::string(std::istreambuf_iterator<char>(std::cin), {});
  }
  std::ifstream file(path, std::ios::binary);
  if (!file) {
    return UsageError(fmt::format("file \"{}\" cannot be read", PrintableLine(path)));
  }
  return std::string(std::istreambuf_iterator<char>(file), {});
}

absl::StatusOr<StoredValue> ValueOf(const Session& session, const ItemFlags& flags) {
  if (flags.value && !flags.value_file.empty()) {
    return UsageError("a VALUE and --value-file: give one of them");
  }
  std::string content = flags.value.value_or("");
  if (flags.value_file == "-") {
    SOP_RETURN_IF_ERROR(session.MayReadStdin());
  }
  if (!flags.value_file.empty()) {
    SOP_ASSIGN_OR_RETURN(content, ReadWhole(flags.value_file));
  }
  if (flags.format == "auto") {
    return flags.value || !flags.value_file.empty() ? GuessFormat(std::move(content))
                                                    : StoredValue();
  }
  if (flags.format == "json" && !ParseJson(content)) {
    return Error(Reason::kInvalidValue, "the value is not JSON; --format text takes it as it is");
  }
  return StoredValue{std::move(content), flags.format == "json"   ? btree::ValueFormat::kJson
                                         : flags.format == "text" ? btree::ValueFormat::kText
                                                                  : btree::ValueFormat::kBytes};
}

void TellOutcome(Session& session, const btree::Key& key, const v1::WriteReport& report,
                 const std::string& commit_version) {
  const std::string_view outcome =
      OutcomeText(report.outcomes_size() > 0 ? report.outcomes(0) : v1::WriteOutcome());
  if (session.terminal.json()) {
    session.terminal.PrintJson({{"key", KeyJson(key)},
                                {"outcome", outcome},
                                {"commit_version", VersionText(commit_version)}});
  } else {
    session.terminal.Note(std::string(outcome));
  }
}

// Sends one item with a large value and says what became of it.
absl::Status WriteLarge(Session& session, const ItemFlags& flags, const StoredValue& value) {
  SOP_ASSIGN_OR_RETURN(const StoreKeys keys, session.GetKeys(flags.store));
  SOP_ASSIGN_OR_RETURN(const btree::Key key, ParseKey(keys, flags.keys.front()));
  v1::PutValueRequest header;
  header.set_database(session.flags.database);
  header.set_store(flags.store);
  header.set_request_id(Connection::MakeRequestId());
  header.set_require_all(flags.add || flags.update);
  header.set_kind(flags.add      ? v1::PUT_KIND_ADD
                  : flags.update ? v1::PUT_KIND_UPDATE
                                 : v1::PUT_KIND_UPSERT);
  KeyToProto(key, header.mutable_item()->mutable_key());
  ValueToProto({"", value.format}, header.mutable_item()->mutable_value());
  if (flags.if_version) {
    header.mutable_item()->set_expected_version(*flags.if_version);
  }
  SOP_ASSIGN_OR_RETURN(const v1::PutValueResponse response,
                       session.connection().PutValue(header, value.content));
  TellOutcome(session, key, response.report(), response.commit_version());
  return absl::OkStatus();
}

// Sends one item with the call of `method` and says what became of it.
template <typename Request, typename Response>
absl::Status Write(Session& session, const ItemFlags& flags, const StoredValue& value,
                   grpc::Status (Stub::*method)(grpc::ClientContext*, const Request&, Response*)) {
  SOP_ASSIGN_OR_RETURN(const StoreKeys keys, session.GetKeys(flags.store));
  SOP_ASSIGN_OR_RETURN(const btree::Key key, ParseKey(keys, flags.keys.front()));
  Request request;
  request.set_database(session.flags.database);
  request.set_store(flags.store);
  request.set_request_id(Connection::MakeRequestId());
  if constexpr (requires { request.set_require_all(true); }) {
    request.set_require_all(flags.add || flags.update);
  }
  v1::WriteItem* item = request.add_items();
  KeyToProto(key, item->mutable_key());
  ValueToProto(value, item->mutable_value());
  if (flags.if_version) {
    item->set_expected_version(*flags.if_version);
  }
  Connection& connection = session.connection();
  SOP_ASSIGN_OR_RETURN(const Response response,
                       connection.Call(connection.btree(), method, request));
  TellOutcome(session, key, response.report(), response.commit_version());
  return absl::OkStatus();
}

absl::Status Put(Session& session, const ItemFlags& flags) {
  if (flags.add && flags.update) {
    return UsageError("--add and --update: give one of them");
  }
  SOP_ASSIGN_OR_RETURN(const StoredValue value, ValueOf(session, flags));
  if (value.content.size() > client::kMaxWholeValueBytes) {
    return WriteLarge(session, flags, value);
  }
  if (flags.add) {
    return Write(session, flags, value, &Stub::Add);
  }
  if (flags.update) {
    return Write(session, flags, value, &Stub::Update);
  }
  return Write(session, flags, value, &Stub::Upsert);
}

void PrintItem(Session& session, const ItemFlags& flags, const StoreKeys& keys,
               const btree::Key& key, const v1::Item& item) {
  const StoredValue value = ValueFromProto(item.value());
  if (session.terminal.json()) {
    Json json = {{"key", KeyJson(key)}};
    AddValue(value, &json);
    json["version"] = item.version();
    session.terminal.PrintJson(json);
  } else if (flags.raw) {
    session.terminal.PrintBytes(value.content);
  } else if (flags.keys.size() == 1) {
    session.terminal.PrintLine(value.content);
  } else {
    session.terminal.PrintLine(
        fmt::format("{}\t{}", PrintableLine(KeyText(keys, key)), PrintableLine(value.content)));
  }
}

absl::Status Get(Session& session, const ItemFlags& flags) {
  SOP_ASSIGN_OR_RETURN(const StoreKeys keys, session.GetKeys(flags.store));
  v1::GetRequest request;
  request.set_database(session.flags.database);
  request.set_store(flags.store);
  for (const std::string& text : flags.keys) {
    SOP_ASSIGN_OR_RETURN(const btree::Key key, ParseKey(keys, text));
    KeyToProto(key, request.add_keys());
  }
  Connection& connection = session.connection();
  SOP_ASSIGN_OR_RETURN(v1::GetResponse response,
                       connection.Call(connection.btree(), &Stub::Get, request));
  for (v1::Item& item : *response.mutable_items()) {
    SOP_ASSIGN_OR_RETURN(const btree::Key key, KeyFromProto(item.key()));
    SOP_RETURN_IF_ERROR(FillLeftOutValue(session, request, &item));
    PrintItem(session, flags, keys, key, item);
  }
  if (response.missing_size() == 0) {
    return absl::OkStatus();
  }
  for (const uint32_t position : response.missing()) {
    if (response.missing_size() > 1 && position < flags.keys.size()) {
      session.terminal.Note("not found: " + PrintableLine(flags.keys[position]));
    }
  }
  const std::string first =
      response.missing(0) < flags.keys.size() ? flags.keys[response.missing(0)] : "";
  return Error(Reason::kKeyNotFound,
               fmt::format("{} of {} keys not found in store {}", response.missing_size(),
                           flags.keys.size(), PrintableLine(flags.store)),
               {{"store", flags.store}, {"key", first}});
}

absl::Status Count(Session& session, const ItemFlags& flags) {
  SOP_ASSIGN_OR_RETURN(const StoreKeys keys, session.GetKeys(flags.store));
  v1::CountRequest request;
  request.set_database(session.flags.database);
  request.set_store(flags.store);
  SOP_ASSIGN_OR_RETURN(*request.mutable_range(), MakeRange(keys, flags.range));
  if (!flags.filter.empty()) {
    SOP_ASSIGN_OR_RETURN(*request.mutable_filter(), ParseFilter(keys, flags.filter));
  }
  Connection& connection = session.connection();
  SOP_ASSIGN_OR_RETURN(const v1::CountResponse response,
                       connection.Call(connection.btree(), &Stub::Count, request));
  if (session.terminal.json()) {
    session.terminal.PrintJson({{"count", response.count()}});
  } else {
    session.terminal.PrintLine(fmt::format("{}", response.count()));
  }
  return absl::OkStatus();
}

absl::Status Remove(Session& session, const ItemFlags& flags) {
  const bool ranged = flags.all || !flags.range.prefix.empty();
  if (ranged != flags.keys.empty()) {
    return UsageError("rm takes keys, or --prefix, or --all");
  }
  if (ranged) {
    return RemoveRange(session, flags.store, flags.range);
  }
  return RemoveKeys(session, flags.store, flags.keys);
}

void AddRangeOptions(CLI::App& command, RangeText& range) {
  command.add_option("--prefix", range.prefix,
                     "Only keys that begin so; of records the first fields, Lu or 'L*'");
  command.add_option("--from", range.from, "Only keys from this one on");
  command.add_option("--to", range.to, "Only keys before this one");
}

void AddPut(CLI::App& program, Session& session) {
  auto flags = std::make_shared<ItemFlags>();
  flags->keys.resize(1);
  CLI::App* put = program.add_subcommand("put", "Write an item: add it, or replace its value");
  put->add_option("STORE", flags->store, "The store")->required();
  put->add_option("KEY", flags->keys.front(),
                  "The key: text of the store's type; of a record a JSON object, or its indexed "
                  "fields with commas between")
      ->required();
  put->add_option("VALUE", flags->value, "The value; default: none");
  put->add_option("--value-file", flags->value_file, "Read the value from a file; - is stdin");
  put->add_option("--format", flags->format, "What the value is; auto: JSON if it is, else text")
      ->check(CLI::IsMember({"auto", "json", "text", "bytes"}))
      ->capture_default_str();
  put->add_flag("--add", flags->add, "Fail if the key is there");
  put->add_flag("--update", flags->update, "Fail if the key is not there");
  put->add_option("--if-version", flags->if_version,
                  "Fail unless the item has this version still (get --json shows it)");
  put->callback(
      [&session, flags] { session.action = [&session, flags] { return Put(session, *flags); }; });
}

}  // namespace

void AddItemCommands(CLI::App& program, Session& session) {
  AddPut(program, session);

  auto got = std::make_shared<ItemFlags>();
  CLI::App* get = program.add_subcommand("get", "Read items by key");
  get->add_option("STORE", got->store, "The store")->required();
  get->add_option("KEY", got->keys, "Keys, as for put")->required();
  get->add_flag("--raw", got->raw, "Print the bytes of the value and nothing else");
  get->callback(
      [&session, got] { session.action = [&session, got] { return Get(session, *got); }; });

  auto counted = std::make_shared<ItemFlags>();
  CLI::App* count = program.add_subcommand("count", "Count items, without reading them");
  count->add_option("STORE", counted->store, "The store")->required();
  AddRangeOptions(*count, counted->range);
  count->add_option("--filter", counted->filter,
                    "Only items that it lets through, which are then read, unless it is a range");
  count->callback([&session, counted] {
    session.action = [&session, counted] { return Count(session, *counted); };
  });

  auto removed = std::make_shared<ItemFlags>();
  CLI::App* removal = program.add_subcommand("rm", "Remove items by key, or many of them");
  removal->add_option("STORE", removed->store, "The store")->required();
  removal->add_option("KEY", removed->keys, "Keys, as for put");
  removal->add_flag("--all", removed->all, "All items, in one transaction");
  removal->add_option("--prefix", removed->range.prefix,
                      "All items whose keys begin so, in one transaction");
  removal->callback([&session, removed] {
    session.action = [&session, removed] { return Remove(session, *removed); };
  });
}

}  // namespace sop::cli
