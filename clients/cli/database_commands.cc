#include <fmt/format.h>

#include <memory>

#include "absl/time/time.h"
#include "clients/cli/commands.h"
#include "clients/cli/text/item_json.h"
#include "core/base/status_macros.h"
#include "core/btree/key.h"

namespace sop::cli {

namespace {

using Stub = v1::DatabaseService::Stub;

struct DatabaseFlags {
  std::string name;
  std::string folder;
};

absl::Time CreateTime(const v1::Database& database) {
  return absl::FromUnixSeconds(database.create_time().seconds()) +
         absl::Nanoseconds(database.create_time().nanos());
}

Json DatabaseJson(const v1::Database& database) {
  const std::string uuid =
      database.uuid().size() == 16 ? btree::UuidFromBytes(database.uuid()).ToString() : "";
  return {
      {"name", database.name()},
      {"uuid", uuid},
      {"folder", database.folder()},
      {"created", absl::FormatTime(absl::RFC3339_sec, CreateTime(database), absl::UTCTimeZone())}};
}

void PrintDatabase(Session& session, const v1::Database& database) {
  const Json json = DatabaseJson(database);
  if (session.terminal.json()) {
    session.terminal.PrintJson(json);
    return;
  }
  session.terminal.PrintLine(fmt::format("{}\t{}\tcreated {}", PrintableLine(database.name()),
                                         PrintableLine(database.folder()),
                                         json["created"].get<std::string>()));
}

absl::Status Create(Session& session, const DatabaseFlags& flags) {
  v1::CreateDatabaseRequest request;
  request.set_name(flags.name);
  if (!flags.folder.empty()) {
    request.add_stores_folders(flags.folder);
  }
  Connection& connection = session.connection();
  SOP_ASSIGN_OR_RETURN(const v1::CreateDatabaseResponse response,
                       connection.Call(connection.databases(), &Stub::CreateDatabase, request));
  session.terminal.Note(response.created() ? "created" : "it was there already");
  PrintDatabase(session, response.database());
  return absl::OkStatus();
}

absl::Status List(Session& session) {
  Connection& connection = session.connection();
  v1::ListDatabasesRequest request;
  request.set_page_size(1000);
  do {
    SOP_ASSIGN_OR_RETURN(const v1::ListDatabasesResponse response,
                         connection.Call(connection.databases(), &Stub::ListDatabases, request));
    for (const v1::Database& database : response.databases()) {
      PrintDatabase(session, database);
    }
    request.set_page_token(response.next_page_token());
  } while (!request.page_token().empty());
  return absl::OkStatus();
}

absl::StatusOr<v1::Database> Describe(Session& session, const std::string& name) {
  v1::GetDatabaseRequest request;
  request.set_database(name.empty() ? session.flags.database : name);
  Connection& connection = session.connection();
  SOP_ASSIGN_OR_RETURN(const v1::GetDatabaseResponse response,
                       connection.Call(connection.databases(), &Stub::GetDatabase, request));
  return response.database();
}

absl::Status ShowDatabase(Session& session, const DatabaseFlags& flags) {
  SOP_ASSIGN_OR_RETURN(const v1::Database database, Describe(session, flags.name));
  PrintDatabase(session, database);
  return absl::OkStatus();
}

absl::Status Delete(Session& session, const DatabaseFlags& flags) {
  SOP_ASSIGN_OR_RETURN(const v1::Database database, Describe(session, flags.name));
  SOP_ASSIGN_OR_RETURN(const bool agreed,
                       session.terminal.Confirm(fmt::format(
                           "Delete database {} in {} with everything in it? This cannot be undone.",
                           PrintableLine(database.name()), PrintableLine(database.folder()))));
  if (!agreed) {
    session.terminal.Note("nothing was deleted");
    return absl::OkStatus();
  }
  v1::DeleteDatabaseRequest request;
  request.set_database(database.name());
  request.set_expected_uuid(database.uuid());
  Connection& connection = session.connection();
  SOP_RETURN_IF_ERROR(
      connection.Call(connection.databases(), &Stub::DeleteDatabase, request).status());
  session.terminal.Note("deleted");
  return absl::OkStatus();
}

}  // namespace

void AddDatabaseCommands(CLI::App& program, Session& session) {
  auto flags = std::make_shared<DatabaseFlags>();
  CLI::App* db = program.add_subcommand("db", "Databases: create, list, info, delete");
  db->require_subcommand(1);

  CLI::App* create = db->add_subcommand("create", "Create a database, or open the one there is");
  create->add_option("NAME", flags->name, "Its name");
  create->add_option("--folder", flags->folder,
                     "Folder on the server, under one of its --stores-root folders; default: in "
                     "the server's data directory");
  create->callback([&session, flags] {
    session.action = [&session, flags] { return Create(session, *flags); };
  });

  db->add_subcommand("list", "List the databases")->callback([&session] {
    session.action = [&session] { return List(session); };
  });

  CLI::App* described = db->add_subcommand("info", "Describe a database");
  described->add_option("NAME", flags->name, "Its name; default: --database");
  described->callback([&session, flags] {
    session.action = [&session, flags] { return ShowDatabase(session, *flags); };
  });

  CLI::App* deletion = db->add_subcommand("delete", "Delete a database with everything in it");
  deletion->add_option("NAME", flags->name, "Its name")->required();
  deletion->callback([&session, flags] {
    session.action = [&session, flags] { return Delete(session, *flags); };
  });
}

}  // namespace sop::cli
