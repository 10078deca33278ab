#include <fmt/format.h>

#include <memory>
#include <optional>
#include <vector>

#include "clients/cli/commands.h"
#include "clients/cli/session/key_columns.h"
#include "clients/cli/session/messages.h"
#include "core/base/status_macros.h"

namespace sop::cli {

namespace {

using Stub = v1::DatabaseService::Stub;

struct StoreFlags {
  std::string name;
  std::string key_type;
  std::vector<std::string> index;
  std::vector<std::string> ride_on;
  std::vector<std::string> types;
  bool duplicates = false;
  std::optional<uint32_t> slot_length;
  std::string value_size;
  std::string description;
  bool feed = false;
};

void PrintStore(Session& session, const v1::Store& store) {
  if (session.terminal.json()) {
    session.terminal.PrintJson(StoreJson(store));
    return;
  }
  session.terminal.PrintLine(fmt::format("{}\t{} items\t{}", PrintableLine(store.name()),
                                         WithCommas(store.item_count()), StoreText(store)));
}

absl::Status AddKeyOptions(const StoreFlags& flags, v1::BtreeOptions* options) {
  if (!flags.key_type.empty() && !flags.index.empty()) {
    return UsageError("--key-type is for scalar keys, --index for records: give one of them");
  }
  if (!flags.key_type.empty()) {
    SOP_ASSIGN_OR_RETURN(const btree::ScalarType type, KeyTypeNamed(flags.key_type));
    options->mutable_schema()->set_shape(v1::KEY_SHAPE_SCALAR);
    AddSchemaField("", type, options->mutable_schema());
    return absl::OkStatus();
  }
  if (flags.index.empty()) {
    if (!flags.types.empty() || !flags.ride_on.empty()) {
      return UsageError("--types and --ride-on belong to --index");
    }
    return absl::OkStatus();
  }
  const std::vector<KeyColumn> index = ParseKeyColumns(flags.index);
  AddIndex(index, options);
  if (flags.types.empty() && flags.ride_on.empty()) {
    return absl::OkStatus();
  }
  SOP_ASSIGN_OR_RETURN(const base::StringMap<ColumnType> types, ParseTypes(flags.types));
  return DeclareRecord(index, flags.ride_on, types, options);
}

absl::Status Create(Session& session, const StoreFlags& flags) {
  v1::CreateBtreeRequest request;
  request.set_database(session.flags.database);
  request.set_store(flags.name);
  request.set_request_id(Connection::MakeRequestId());
  v1::BtreeOptions* options = request.mutable_options();
  SOP_RETURN_IF_ERROR(AddKeyOptions(flags, options));
  if (flags.duplicates) {
    options->set_unique(false);
  }
  if (flags.feed) {
    options->set_feed(true);
  }
  if (flags.slot_length) {
    options->set_slot_length(*flags.slot_length);
  }
  if (!flags.value_size.empty()) {
    options->set_value_size(flags.value_size == "small"    ? v1::VALUE_SIZE_SMALL
                            : flags.value_size == "medium" ? v1::VALUE_SIZE_MEDIUM
                                                           : v1::VALUE_SIZE_BIG);
  }
  if (!flags.description.empty()) {
    options->set_description(flags.description);
  }
  Connection& connection = session.connection();
  SOP_ASSIGN_OR_RETURN(
      const v1::CreateBtreeResponse response,
      connection.Call(connection.btree(), &v1::BtreeService::Stub::CreateBtree, request));
  session.terminal.Note(response.created() ? "created" : "it was there already");
  SOP_ASSIGN_OR_RETURN(const v1::Store store, session.GetStore(flags.name));
  PrintStore(session, store);
  return absl::OkStatus();
}

absl::Status List(Session& session) {
  Connection& connection = session.connection();
  v1::ListStoresRequest request;
  request.set_database(session.flags.database);
  request.set_page_size(1000);
  do {
    SOP_ASSIGN_OR_RETURN(const v1::ListStoresResponse response,
                         connection.Call(connection.databases(), &Stub::ListStores, request));
    for (const v1::Store& store : response.stores()) {
      PrintStore(session, store);
    }
    request.set_page_token(response.next_page_token());
  } while (!request.page_token().empty());
  return absl::OkStatus();
}

absl::Status ShowStore(Session& session, const StoreFlags& flags) {
  v1::GetStoreRequest request;
  request.set_database(session.flags.database);
  request.set_store(flags.name);
  request.set_with_size(true);
  Connection& connection = session.connection();
  SOP_ASSIGN_OR_RETURN(const v1::GetStoreResponse response,
                       connection.Call(connection.databases(), &Stub::GetStore, request));
  if (session.terminal.json()) {
    PrintStore(session, response.store());
    return absl::OkStatus();
  }
  const Json description = StoreJson(response.store());
  for (const auto& [name, value] : description.items()) {
    const std::string text = value.is_string() ? value.get<std::string>() : JsonText(value);
    session.terminal.PrintLine(fmt::format("{}: {}", name, PrintableLine(text)));
  }
  return absl::OkStatus();
}

absl::Status Remove(Session& session, const StoreFlags& flags) {
  SOP_ASSIGN_OR_RETURN(const v1::Store store, session.GetStore(flags.name));
  SOP_ASSIGN_OR_RETURN(const bool agreed,
                       session.terminal.Confirm(fmt::format(
                           "Remove store {} with {} items? This cannot be undone.",
                           PrintableLine(store.name()), WithCommas(store.item_count()))));
  if (!agreed) {
    session.terminal.Note("nothing was removed");
    return absl::OkStatus();
  }
  v1::RemoveStoreRequest request;
  request.set_database(session.flags.database);
  request.set_store(flags.name);
  request.set_request_id(Connection::MakeRequestId());
  Connection& connection = session.connection();
  SOP_RETURN_IF_ERROR(
      connection.Call(connection.databases(), &Stub::RemoveStore, request).status());
  session.terminal.Note("removed");
  return absl::OkStatus();
}

void AddCreateOptions(CLI::App& create, StoreFlags& flags) {
  create.add_option("NAME", flags.name, "Its name")->required();
  create.add_option("--key-type", flags.key_type,
                    "Keys are scalars of this type; default: the first item decides. One of bool, "
                    "int64, double, string, bytes, uuid, timestamp");
  create
      .add_option("--index", flags.index,
                  "Keys are records, ordered by these fields: a,b or a,b:desc")
      ->delimiter(',')
      ->allow_extra_args(false);
  create.add_option("--ride-on", flags.ride_on, "Fields kept beside the key, never compared")
      ->delimiter(',')
      ->allow_extra_args(false);
  create
      .add_option("--types", flags.types, "Types of the fields: a=string,b=int64; default string")
      ->delimiter(',')
      ->allow_extra_args(false);
  create.add_flag("--duplicates", flags.duplicates, "Allow several items with equal keys");
  create.add_flag("--feed", flags.feed, "Keep its changes for `sop watch`");
  create.add_option("--slot-length", flags.slot_length, "Most items in one node, 2 to 20000");
  create
      .add_option("--value-size", flags.value_size,
                  "small (up to 4 KiB beside the key), medium (1 KiB), big (never)")
      ->check(CLI::IsMember({"small", "medium", "big"}));
  create.add_option("--description", flags.description, "A few words for people");
}

}  // namespace

void AddStoreCommands(CLI::App& program, Session& session) {
  auto flags = std::make_shared<StoreFlags>();
  CLI::App* store = program.add_subcommand("store", "Stores: create, list, info, rm");
  store->require_subcommand(1);

  CLI::App* create = store->add_subcommand("create", "Create a store, or open the one there is");
  AddCreateOptions(*create, *flags);
  create->callback([&session, flags] {
    session.action = [&session, flags] { return Create(session, *flags); };
  });

  store->add_subcommand("list", "List the stores of the database")->callback([&session] {
    session.action = [&session] { return List(session); };
  });

  CLI::App* described = store->add_subcommand("info", "Describe a store: options, types, counts");
  described->add_option("NAME", flags->name, "Its name")->required();
  described->callback([&session, flags] {
    session.action = [&session, flags] { return ShowStore(session, *flags); };
  });

  CLI::App* removal = store->add_subcommand("rm", "Remove a store with everything in it");
  removal->add_option("NAME", flags->name, "Its name")->required();
  removal->callback([&session, flags] {
    session.action = [&session, flags] { return Remove(session, *flags); };
  });
}

}  // namespace sop::cli
