#include "server/rpc/database_service.h"

#include <string>
#include <vector>

#include "core/base/error.h"
#include "core/base/status_macros.h"
#include "fmt/format.h"
#include "server/rpc/operation/list_token.h"
#include "server/rpc/watch/watch_roster.h"

namespace sop::rpc {
namespace {

constexpr uint32_t kDefaultPageSize = 100;
// How long a deletion waits for requests that are under way in the database.
constexpr absl::Duration kDeletePatience = absl::Seconds(10);

absl::Status Unimplemented(std::string_view what) {
  return Error(Reason::kUnimplemented, fmt::format("{} is not implemented in this release", what));
}

void Describe(const session::KnownDatabase& known, v1::Database* out) {
  out->set_name(known.name);
  out->set_folder(known.folder);
  out->set_type(v1::DATABASE_TYPE_STANDALONE);
  if (known.uuid.IsZero()) return;
  out->set_uuid(known.uuid.Bytes());
  // A version 7 UUID begins with the milliseconds of its making.
  const absl::Time created = txn::TokenTime(known.uuid);
  out->mutable_create_time()->set_seconds(absl::ToUnixSeconds(created));
  out->mutable_create_time()->set_nanos(
      static_cast<int>(absl::ToUnixMillis(created) % 1'000 * 1'000'000));
}

absl::Status CheckStandalone(const v1::CreateDatabaseRequest& request) {
  const bool clustered =
      request.type() == v1::DATABASE_TYPE_CLUSTERED || !request.redis_url().empty();
  if (clustered) return Unimplemented("a database of type CLUSTERED");
  if (request.type() != v1::DATABASE_TYPE_UNSPECIFIED &&
      request.type() != v1::DATABASE_TYPE_STANDALONE) {
    return Error(Reason::kInvalidArgument,
                 fmt::format("type {} does not exist", static_cast<int>(request.type())),
                 {{"field", "type"}});
  }
  if (request.stores_folders_size() <= 1) return absl::OkStatus();
  return Error(Reason::kInvalidArgument,
               fmt::format("{} folders are given, a STANDALONE database takes one",
                           request.stores_folders_size()),
               {{"field", "stores_folders"}, {"limit", "1"}});
}

absl::Status Create(session::DatabaseRegistry& databases, const v1::CreateDatabaseRequest& request,
                    v1::CreateDatabaseResponse* response) {
  SOP_RETURN_IF_ERROR(CheckStandalone(request));
  const std::string& name = request.name().empty() ? request.keyspace() : request.name();
  const std::string folder = request.stores_folders().empty() ? "" : request.stores_folders(0);
  SOP_ASSIGN_OR_RETURN(const auto creation, databases.Create(name, folder));
  SOP_ASSIGN_OR_RETURN(const auto known, databases.Describe(creation.database->name));
  Describe(known, response->mutable_database());
  response->set_created(creation.origin == session::DatabaseRegistry::Origin::kCreated);
  response->set_commit_version(convert::CommitVersion(creation.database->engine->published()));
  return absl::OkStatus();
}

}  // namespace

grpc::ServerUnaryReactor* DatabaseService::CreateDatabase(grpc::CallbackServerContext* context,
                                                          const v1::CreateDatabaseRequest* request,
                                                          v1::CreateDatabaseResponse* response) {
  return parts_.dispatcher.Unary(context, request, response,
                                 [this](Call& call, const v1::CreateDatabaseRequest& asked,
                                        v1::CreateDatabaseResponse& answer) {
                                   call.RunOnWorker([this, &asked, &answer] {
                                     return Create(parts_.databases, asked, &answer);
                                   });
                                 });
}

grpc::ServerUnaryReactor* DatabaseService::GetDatabase(grpc::CallbackServerContext* context,
                                                       const v1::GetDatabaseRequest* request,
                                                       v1::GetDatabaseResponse* response) {
  return parts_.dispatcher.Unary(
      context, request, response,
      [this](Call& call, const v1::GetDatabaseRequest& asked, v1::GetDatabaseResponse& answer) {
        call.RunOnWorker([this, &asked, &answer]() -> absl::Status {
          SOP_ASSIGN_OR_RETURN(const auto database, parts_.databases.Acquire(asked.database()));
          SOP_ASSIGN_OR_RETURN(const auto known, parts_.databases.Describe(asked.database()));
          Describe(known, answer.mutable_database());
          answer.set_commit_version(convert::CommitVersion(database->engine->published()));
          return absl::OkStatus();
        });
      });
}

grpc::ServerUnaryReactor* DatabaseService::ListDatabases(grpc::CallbackServerContext* context,
                                                         const v1::ListDatabasesRequest* request,
                                                         v1::ListDatabasesResponse* response) {
  const auto list = [this](const v1::ListDatabasesRequest& asked,
                           v1::ListDatabasesResponse& answer) -> absl::Status {
    SOP_ASSIGN_OR_RETURN(const uint32_t page_size, CheckedSize("page_size", asked.page_size(),
                                                               kDefaultPageSize, kMaxListPageSize));
    constexpr std::string_view kList = "databases";
    SOP_ASSIGN_OR_RETURN(const std::string last, ReadListToken(kList, asked.page_token()));
    auto known = parts_.databases.List(last, page_size + 1);
    const bool more = known.size() > page_size;
    if (more) known.pop_back();
    for (const auto& database : known) Describe(database, answer.add_databases());
    if (more) answer.set_next_page_token(MakeListToken(kList, known.back().name));
    return absl::OkStatus();
  };
  return parts_.dispatcher.Unary(
      context, request, response,
      [&](Call& call, const v1::ListDatabasesRequest& asked, v1::ListDatabasesResponse& answer) {
        call.Complete(list(asked, answer));
      });
}

grpc::ServerUnaryReactor* DatabaseService::DeleteDatabase(grpc::CallbackServerContext* context,
                                                          const v1::DeleteDatabaseRequest* request,
                                                          v1::DeleteDatabaseResponse* response) {
  return parts_.dispatcher.Unary(
      context, request, response,
      [this](Call& call, const v1::DeleteDatabaseRequest& asked, v1::DeleteDatabaseResponse&) {
        // Waits for others, who may need the workers to let go.
        deletions_.Schedule([this, &call, &asked] {
          const absl::Status wanted = call.context().CheckWanted();
          call.Complete(wanted.ok() ? Delete(asked) : wanted);
        });
      });
}

absl::Status DatabaseService::Delete(const v1::DeleteDatabaseRequest& request) {
  if (request.database().empty()) {
    return Error(Reason::kInvalidArgument, "database is required: there is no default",
                 {{"field", "database"}});
  }
  SOP_ASSIGN_OR_RETURN(const Uuid expected,
                       convert::UuidFromProto("expected_uuid", request.expected_uuid()));
  SOP_ASSIGN_OR_RETURN(const auto known, parts_.databases.Describe(request.database()));
  // Not before it is sure that the right one goes.
  if (expected.IsZero() || expected == known.uuid) {
    parts_.transactions.EndAll(known.name);
    parts_.watches.EndAll(known.name);
  }
  return parts_.databases.Delete(known.name, expected, kDeletePatience);
}

grpc::ServerUnaryReactor* DatabaseService::ListStores(grpc::CallbackServerContext* context,
                                                      const v1::ListStoresRequest* request,
                                                      v1::ListStoresResponse* response) {
  return Operate(context, request, response);
}

grpc::ServerUnaryReactor* DatabaseService::GetStore(grpc::CallbackServerContext* context,
                                                    const v1::GetStoreRequest* request,
                                                    v1::GetStoreResponse* response) {
  return Operate(context, request, response);
}

grpc::ServerUnaryReactor* DatabaseService::RemoveStore(grpc::CallbackServerContext* context,
                                                       const v1::RemoveStoreRequest* request,
                                                       v1::RemoveStoreResponse* response) {
  return Operate(context, request, response);
}

grpc::ServerUnaryReactor* DatabaseService::SetRelations(grpc::CallbackServerContext* context,
                                                        const v1::SetRelationsRequest* request,
                                                        v1::SetRelationsResponse* response) {
  return parts_.dispatcher.Unary(
      context, request, response,
      [](Call& call, const v1::SetRelationsRequest&, v1::SetRelationsResponse&) {
        call.Complete(Unimplemented("SetRelations"));
      });
}

grpc::ServerUnaryReactor* DatabaseService::CheckRelations(grpc::CallbackServerContext* context,
                                                          const v1::CheckRelationsRequest* request,
                                                          v1::CheckRelationsResponse* response) {
  return parts_.dispatcher.Unary(
      context, request, response,
      [](Call& call, const v1::CheckRelationsRequest&, v1::CheckRelationsResponse&) {
        call.Complete(Unimplemented("CheckRelations"));
      });
}

}  // namespace sop::rpc
