#include "server/rpc/execute.h"

#include <optional>
#include <string>
#include <utility>

#include "core/base/error.h"
#include "core/base/status_macros.h"
#include "core/catalog/ordered_store.h"
#include "fmt/format.h"
#include "server/convert/id.h"
#include "server/convert/key.h"
#include "server/rpc/operation/operation_visitor.h"
#include "server/rpc/operation/operations.h"
#include "server/rpc/operation/reply_record.h"
#include "server/rpc/operation/transaction_options.h"

namespace sop::rpc {
namespace {

constexpr int kMaxOperations = 10'000;
// A request of more bytes than this is long work.
constexpr size_t kShortRequestBytes = 8 << 10;
// Losing against another transaction is no failure of these operations: they are run again this
// often before the caller hears of it.
constexpr int kMaxTries = 5;

absl::Status NotMet(const v1::Precondition& precondition, std::string_view problem) {
  return Error(Reason::kPreconditionNotMet,
               fmt::format("precondition on store {}: {}", precondition.store(), problem),
               {{"store", precondition.store()}});
}

// Whether a value that Get leaves out is this one.
absl::StatusOr<bool> HasLargeValue(catalog::OrderedStore& store, const btree::Key& key,
                                   std::string_view content) {
  SOP_ASSIGN_OR_RETURN(const auto value, store.FindValue(key, std::nullopt));
  if (!value.has_value() || value->size != content.size()) return false;
  for (uint64_t offset = 0; offset < content.size();) {
    SOP_ASSIGN_OR_RETURN(const std::string part, store.ReadPart(*value, offset));
    if (!content.substr(offset).starts_with(part)) return false;
    offset += part.size();
  }
  return true;
}

absl::Status Check(catalog::StoreSet& stores, const v1::Precondition& precondition) {
  SOP_ASSIGN_OR_RETURN(catalog::OpenStore * open,
                       stores.Open(precondition.store(), catalog::StoreKind::kBtree));
  SOP_ASSIGN_OR_RETURN(const btree::Key key, convert::KeyFromProto(precondition.key()));
  catalog::OrderedStore store(*open);
  // Another value is another version: only whether the key is there can be asked of keys alone.
  const bool of_key = precondition.condition_case() == v1::Precondition::kExists;
  const auto content = of_key ? catalog::ItemContent::kKeys : catalog::ItemContent::kItems;
  std::optional<catalog::StoreItem> item;
  SOP_RETURN_IF_ERROR(store
                          .Get({&key, 1}, content,
                               [&](const btree::PackedItem& found) {
                                 item.emplace(found);
                                 return true;
                               })
                          .status());
  switch (precondition.condition_case()) {
    case v1::Precondition::kExists:
      if (item.has_value() == precondition.exists()) return absl::OkStatus();
      return NotMet(precondition, item.has_value() ? "the key is there" : "the key is not there");
    case v1::Precondition::kVersion:
      if (item.has_value() && item->version.value == precondition.version()) {
        return absl::OkStatus();
      }
      return NotMet(precondition, "the item has another version or is not there");
    case v1::Precondition::kValue: {
      SOP_ASSIGN_OR_RETURN(const auto format,
                           convert::FormatFromProto(precondition.value().format()));
      const std::string& wanted = precondition.value().content();
      bool equal = item.has_value() && item->format == format;
      if (equal && item->left_out_size > 0) {
        SOP_ASSIGN_OR_RETURN(equal, HasLargeValue(store, key, wanted));
      } else {
        equal = equal && item->value == wanted;
      }
      if (equal) return absl::OkStatus();
      return NotMet(precondition, "the item has another value or is not there");
    }
    case v1::Precondition::CONDITION_NOT_SET:
      break;
  }
  return Error(Reason::kInvalidArgument, "precondition holds no condition",
               {{"field", "preconditions"}});
}

// What a request must leave to Execute.
template <typename Request>
absl::Status CheckNested(const Request& request, const std::string& database) {
  const bool other = !request.database().empty() && request.database() != database;
  bool has_id = false;
  if constexpr (requires { request.request_id(); }) has_id = !request.request_id().empty();
  if (!other && !has_id && request.transaction_id().empty()) return absl::OkStatus();
  return Error(Reason::kInvalidArgument,
               "an operation inside Execute names no other database, no transaction_id and no "
               "request_id",
               {{"field", "operations"}});
}

absl::Status AtIndex(const absl::Status& status, std::string_view what, int index) {
  return status.ok() ? status : WithDetail(status, what, fmt::format("{}", index));
}

absl::Status CheckCount(std::string_view field, int count) {
  if (count <= kMaxOperations) return absl::OkStatus();
  return Error(Reason::kInvalidArgument,
               fmt::format("request holds {} {}, limit {}", count, field, kMaxOperations),
               {{"field", std::string(field)}, {"limit", fmt::format("{}", kMaxOperations)}});
}

}  // namespace

void Executor::Start(Call& call, const v1::ExecuteRequest& request, v1::ExecuteResponse& response) {
  Job job = {
      .call = &call, .request = &request, .response = &response, .request_id = {}, .at_least = {}};
  auto request_id = convert::RequestIdFromProto(request.request_id());
  if (!request_id.ok()) return call.Complete(request_id.status());
  job.request_id = *request_id;
  const bool is_short = job.request_id.IsZero() && request.ByteSizeLong() <= kShortRequestBytes;
  if (is_short && placement_.RunsHere()) {
    auto open = parts_.databases.FindOpen(request.database());
    if (open != nullptr) return RunJob(job, std::move(open));
  }
  parts_.dispatcher.workers().Schedule([this, job] {
    auto database = parts_.databases.Acquire(job.request->database());
    if (!database.ok()) return job.call->Complete(database.status());
    RunJob(job, *std::move(database));
  });
}

void Executor::RunJob(Job job, std::shared_ptr<session::OpenDatabase> database) {
  Call& call = *job.call;
  const v1::ExecuteRequest& request = *job.request;
  ++job.tries;
  call.context().counted = database;
  auto options = TransactionOptionsFromProto(request.mode(), request.isolation());
  absl::Status status = options.status();
  status.Update(CheckCount("operations", request.operations_size()));
  status.Update(CheckCount("preconditions", request.preconditions_size()));
  status.Update(CheckReached(*database, request.at_least_version()));
  if (!status.ok()) return call.Complete(status);
  auto stores = database->engine->Begin(*options);
  if (!job.request_id.IsZero()) {
    // Only now: a try that committed before the snapshot was taken would be met by this one.
    const auto outcome = database->engine->FindOutcome(job.request_id);
    if (!outcome.ok()) return call.Complete(outcome.status());
    if (outcome->has_value()) return Replay(job, (*outcome)->version, (*outcome)->reply);
  }
  status = RunOperations(job, *database, *stores);
  if (!status.ok()) return call.Complete(status);
  CommitJob(job, std::move(database), std::move(stores));
}

absl::Status Executor::RunOperations(const Job& job, session::OpenDatabase& database,
                                     catalog::StoreSet& stores) {
  const ReadPlacement::Watch watch(placement_);
  RequestContext& context = job.call->context();
  const v1::ExecuteRequest& request = *job.request;
  context.response_budget_bytes = Dispatcher::kMaxMessageBytes;
  for (int i = 0; i < request.preconditions_size(); ++i) {
    SOP_RETURN_IF_ERROR(AtIndex(Check(stores, request.preconditions(i)), "precondition", i));
  }
  OperationScope scope = {.context = context, .database = database, .stores = stores};
  const auto run = [&](const auto& operation, auto* response) -> absl::Status {
    SOP_RETURN_IF_ERROR(CheckNested(operation, database.name));
    SOP_RETURN_IF_ERROR(context.CheckWanted());
    if constexpr (requires { operation.store(); }) context.store = operation.store();
    const Method& method = parts_.dispatcher.methods().ForRequest(operation.GetDescriptor());
    SOP_RETURN_IF_ERROR(parts_.dispatcher.authorizer().Check(context, method.permission));
    return stores.Explain(Run(scope, operation, response));
  };
  for (int i = 0; i < request.operations_size(); ++i) {
    const absl::Status status =
        VisitOperation(request.operations(i), job.response->add_results(), run);
    SOP_RETURN_IF_ERROR(AtIndex(status, "operation", i));
    database.metrics.operations->Increment();
    if (context.response_budget_bytes >= 0) continue;
    return AtIndex(
        Error(Reason::kLimitExceeded,
              fmt::format("the answer is larger than {} bytes", Dispatcher::kMaxMessageBytes),
              {{"limit", fmt::format("{}", Dispatcher::kMaxMessageBytes)}}),
        "operation", i);
  }
  return absl::OkStatus();
}

void Executor::CommitJob(const Job& job, std::shared_ptr<session::OpenDatabase> database,
                         std::unique_ptr<catalog::StoreSet> stores) {
  txn::CommitOptions options;
  options.turn = parts_.dispatcher.commit_turn();
  auto durability = DurabilityFromProto(job.request->durability());
  if (!durability.ok()) return job.call->Complete(durability.status());
  options.durability = *durability;
  if (!job.request_id.IsZero()) {
    options.token = job.request_id;
    options.reply = MakeReply(*job.response);
  }
  catalog::Database& engine = *database->engine;
  engine.Commit(
      std::move(stores), std::move(options),
      [this, job, database = std::move(database)](const txn::CommitResult& result) mutable {
        job.call->scope().NoteCommit(result);
        if (result.status.ok()) {
          if (result.earlier_reply.has_value()) {
            return Replay(job, result.version, *result.earlier_reply);
          }
          job.response->set_commit_version(convert::CommitVersion(result.version));
          return job.call->Complete(absl::OkStatus());
        }
        const Reason reason = ReasonOf(result.status);
        const bool again = reason == Reason::kConflict || reason == Reason::kSchemaDecided;
        if (!again || job.tries >= kMaxTries) return job.call->Complete(result.status);
        job.response->Clear();
        parts_.dispatcher.workers().Schedule(
            [this, job, database = std::move(database)] { RunJob(job, database); });
      });
}

void Executor::Replay(const Job& job, Sequence version, const std::string& reply) {
  job.response->Clear();
  const absl::Status status = ReadReply(reply, job.response);
  if (!status.ok()) return job.call->Complete(status);
  job.response->set_repeated_request(true);
  job.response->set_commit_version(convert::CommitVersion(version));
  job.call->Complete(absl::OkStatus());
}

}  // namespace sop::rpc
