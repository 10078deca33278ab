#include "clients/cli/script_runner.h"

#include <fmt/format.h>

#include <algorithm>
#include <optional>
#include <utility>

#include "absl/time/clock.h"
#include "clients/cli/session/messages.h"
#include "clients/cli/text/column_type.h"
#include "clients/cli/text/number_member.h"
#include "core/base/error.h"
#include "core/base/status_macros.h"

namespace sop::cli {

namespace {

using Stub = v1::BtreeService::Stub;

std::string Label(const std::string& transaction) {
  return transaction.empty() ? "" : transaction + ": ";
}

// The status with `context` before its message.
absl::Status InContext(const std::string& context, const absl::Status& status) {
  absl::Status result(status.code(), context + ": " + std::string(status.message()));
  status.ForEachPayload([&result](absl::string_view url, const absl::Cord& payload) {
    result.SetPayload(url, payload);
  });
  return result;
}

// A value as part of a result, for reading; `sop get` gives its bytes.
Json ValueJson(const StoredValue& value) {
  if (value.format == btree::ValueFormat::kJson) {
    if (std::optional<Json> json = ParseJson(value.content); json) {
      return *std::move(json);
    }
  }
  Json item = Json::object();
  AddValue(value, &item);
  return item.empty() ? Json("") : item.front();
}

std::string ResultText(const Json& result) {
  return PrintableLine(result.is_string() ? result.get<std::string>() : JsonText(result));
}

}  // namespace

absl::Status ScriptRunner::Run(const ScriptOperation& operation) {
  ++operations_;
  absl::StatusOr<Running*> running = Find(operation.transaction);
  if (!running.ok()) {
    Running none;
    return Fail(operation, running.status(), none);
  }
  if ((*running)->failed) {
    session_.terminal.Note(
        fmt::format("left out: {}{}", Label(operation.transaction), PrintableLine(operation.text)));
    return absl::OkStatus();
  }
  const absl::Status status = Dispatch(operation, **running);
  return status.ok() ? status : Fail(operation, status, **running);
}

absl::StatusOr<ScriptRunner::Running*> ScriptRunner::Find(const std::string& name) {
  const auto found = running_.find(name);
  if (found != running_.end()) {
    return &found->second;
  }
  Running running;
  SOP_ASSIGN_OR_RETURN(running.transaction, OpenTransaction::Begin(session_, options_.transaction));
  running.order = ++begun_;
  return &running_.emplace(name, std::move(running)).first->second;
}

absl::Status ScriptRunner::Dispatch(const ScriptOperation& operation, Running& running) {
  if (operation.verb == Verb::kCommit) {
    return Commit(operation.transaction, running);
  }
  if (operation.verb == Verb::kRollback) {
    SOP_RETURN_IF_ERROR(running.transaction->Rollback());
    running_.erase(operation.transaction);
    Print(operation, "rolled back");
    return absl::OkStatus();
  }
  SOP_ASSIGN_OR_RETURN(const Json result, Result(operation, running));
  Print(operation, result);
  return absl::OkStatus();
}

absl::StatusOr<Json> ScriptRunner::Result(const ScriptOperation& operation, Running& running) {
  switch (operation.verb) {
    case Verb::kCreate:
      return Create(operation, running);
    case Verb::kGet:
      return Read(operation, running);
    case Verb::kScan:
    case Verb::kCount:
      return ReadRange(operation, running);
    case Verb::kChange:
      return Change(operation, running);
    case Verb::kCheck:
      return Check(operation, running);
    case Verb::kPut:
    case Verb::kAdd:
    case Verb::kUpdate:
    case Verb::kRemove:
      return Write(operation, running);
    case Verb::kPause: {
      SOP_ASSIGN_OR_RETURN(const btree::Scalar seconds,
                           ParseScalar(ColumnType::kDouble, operation.arguments[0]));
      absl::SleepFor(absl::Seconds(std::clamp(std::get<double>(seconds), 0.0, 3600.0)));
      return Json("over");
    }
    case Verb::kCommit:
    case Verb::kRollback:
      break;
  }
  return Error(Reason::kInternal, "an operation without a result");
}

absl::StatusOr<Json> ScriptRunner::Create(const ScriptOperation& operation, Running& running) {
  v1::CreateBtreeRequest request;
  request.set_database(session_.flags.database);
  request.set_store(operation.store);
  request.set_transaction_id(running.transaction->id());
  Connection& connection = session_.connection();
  SOP_ASSIGN_OR_RETURN(const v1::CreateBtreeResponse response,
                       connection.Call(connection.btree(), &Stub::CreateBtree, request));
  return Json(response.created() ? "created" : "it was there already");
}

absl::StatusOr<Json> ScriptRunner::Read(const ScriptOperation& operation, Running& running) {
  SOP_ASSIGN_OR_RETURN(const v1::GetResponse response, GetItem(operation, running));
  if (response.items_size() == 0) {
    return Json(nullptr);
  }
  return ValueJson(ValueFromProto(response.items(0).value()));
}

absl::StatusOr<Json> ScriptRunner::ReadRange(const ScriptOperation& operation, Running& running) {
  SOP_ASSIGN_OR_RETURN(const StoreKeys keys, Keys(operation.store, running));
  const RangeText text{operation.arguments.empty() ? "" : operation.arguments[0], "", ""};
  SOP_ASSIGN_OR_RETURN(const v1::KeyRange range, MakeRange(keys, text));
  if (operation.verb == Verb::kCount) {
    v1::CountRequest request;
    request.set_database(session_.flags.database);
    request.set_store(operation.store);
    request.set_transaction_id(running.transaction->id());
    *request.mutable_range() = range;
    Connection& connection = session_.connection();
    SOP_ASSIGN_OR_RETURN(const v1::CountResponse response,
                         connection.Call(connection.btree(), &Stub::Count, request));
    return Json(response.count());
  }
  v1::ScanRequest request;
  request.set_database(session_.flags.database);
  request.set_store(operation.store);
  request.set_transaction_id(running.transaction->id());
  *request.mutable_range() = range;
  Json items = Json::array();
  SOP_RETURN_IF_ERROR(ScanStore(session_, request, keys, [&](ScannedItem item) -> absl::Status {
    if (item.value_left_out) {
      SOP_ASSIGN_OR_RETURN(item.value, ReadLeftOutValue(session_, request, item));
    }
    Json json = {{"key", KeyJson(item.key)}};
    AddValue(item.value, &json);
    items.push_back(std::move(json));
    return absl::OkStatus();
  }));
  return items;
}

absl::StatusOr<Json> ScriptRunner::Write(const ScriptOperation& operation, Running& running) {
  SOP_ASSIGN_OR_RETURN(const btree::Key key, KeyIn(operation, running));
  const StoredValue value =
      operation.arguments.size() > 1 ? GuessFormat(operation.arguments[1]) : StoredValue();
  return WriteItem(operation, running, key, value);
}

absl::StatusOr<Json> ScriptRunner::WriteItem(const ScriptOperation& operation, Running& running,
                                             const btree::Key& key, const StoredValue& value) {
  const auto call = [&]<typename Request, typename Response>(grpc::Status (Stub::*method)(
                        grpc::ClientContext*, const Request&, Response*)) -> absl::StatusOr<Json> {
    Request request;
    request.set_database(session_.flags.database);
    request.set_store(operation.store);
    request.set_transaction_id(running.transaction->id());
    if constexpr (requires { request.set_require_all(true); }) {
      request.set_require_all(operation.verb != Verb::kPut);
    }
    v1::WriteItem* item = request.add_items();
    KeyToProto(key, item->mutable_key());
    if (operation.verb != Verb::kRemove) {
      ValueToProto(value, item->mutable_value());
    }
    Connection& connection = session_.connection();
    SOP_ASSIGN_OR_RETURN(const Response response,
                         connection.Call(connection.btree(), method, request));
    const v1::WriteReport& report = response.report();
    return Json(OutcomeText(report.outcomes_size() > 0 ? report.outcomes(0) : v1::WriteOutcome()));
  };
  switch (operation.verb) {
    case Verb::kAdd:
      return call(&Stub::Add);
    case Verb::kUpdate:
    case Verb::kChange:
      return call(&Stub::Update);
    case Verb::kRemove:
      return call(&Stub::Remove);
    default:
      return call(&Stub::Upsert);
  }
}

absl::StatusOr<Json> ScriptRunner::Change(const ScriptOperation& operation, Running& running) {
  SOP_ASSIGN_OR_RETURN(const StoredValue before, GetValue(operation, running));
  const bool of_member = operation.arguments.size() == 3;
  SOP_ASSIGN_OR_RETURN(
      const StoredValue after,
      AddToNumber(before, of_member ? operation.arguments[1] : "", operation.arguments.back()));
  SOP_ASSIGN_OR_RETURN(const btree::Key key, KeyIn(operation, running));
  SOP_RETURN_IF_ERROR(WriteItem(operation, running, key, after).status());
  return ValueJson(after);
}

absl::StatusOr<Json> ScriptRunner::Check(const ScriptOperation& operation, Running& running) {
  const std::vector<std::string>& words = operation.arguments;
  const ErrorDetails details = {{"store", operation.store}, {"key", words[0]}};
  if (words.size() == 2) {
    if (words[1] != "exists" && words[1] != "missing") {
      return Error(Reason::kInvalidArgument, "check takes exists, missing or a comparison");
    }
    SOP_ASSIGN_OR_RETURN(const v1::GetResponse response, GetItem(operation, running));
    if ((response.items_size() > 0) != (words[1] == "exists")) {
      return Error(Reason::kPreconditionNotMet,
                   fmt::format("key {} is {}there", words[0], words[1] == "exists" ? "not " : ""),
                   details);
    }
    return Json("so it is");
  }
  SOP_ASSIGN_OR_RETURN(const StoredValue value, GetValue(operation, running));
  const std::string member = words.size() == 4 ? words[1] : "";
  const std::string& relation = words[words.size() - 2];
  SOP_ASSIGN_OR_RETURN(const bool holds, NumberHolds(value, member, relation, words.back()));
  if (!holds) {
    return Error(
        Reason::kPreconditionNotMet,
        fmt::format("{}{} is {}, not {} {}", words[0], member.empty() ? "" : "'s " + member,
                    ResultText(ValueJson(value)), relation, words.back()),
        details);
  }
  return Json("so it is");
}

absl::StatusOr<StoreKeys> ScriptRunner::Keys(const std::string& store, Running& running) {
  if (const auto found = running.keys.find(store); found != running.keys.end()) {
    return found->second;
  }
  SOP_ASSIGN_OR_RETURN(StoreKeys keys, session_.GetKeys(store, running.transaction->id()));
  if (keys.schema) {
    running.keys[store] = keys;
  }
  return keys;
}

absl::StatusOr<btree::Key> ScriptRunner::KeyIn(const ScriptOperation& operation, Running& running) {
  SOP_ASSIGN_OR_RETURN(const StoreKeys keys, Keys(operation.store, running));
  return ParseKey(keys, operation.arguments[0]);
}

absl::StatusOr<v1::GetResponse> ScriptRunner::GetItem(const ScriptOperation& operation,
                                                      Running& running) {
  SOP_ASSIGN_OR_RETURN(const btree::Key key, KeyIn(operation, running));
  v1::GetRequest request;
  request.set_database(session_.flags.database);
  request.set_store(operation.store);
  request.set_transaction_id(running.transaction->id());
  KeyToProto(key, request.add_keys());
  Connection& connection = session_.connection();
  SOP_ASSIGN_OR_RETURN(v1::GetResponse response,
                       connection.Call(connection.btree(), &Stub::Get, request));
  for (v1::Item& item : *response.mutable_items()) {
    SOP_RETURN_IF_ERROR(FillLeftOutValue(session_, request, &item));
  }
  return response;
}

absl::StatusOr<StoredValue> ScriptRunner::GetValue(const ScriptOperation& operation,
                                                   Running& running) {
  SOP_ASSIGN_OR_RETURN(const v1::GetResponse response, GetItem(operation, running));
  if (response.items_size() == 0) {
    return Error(Reason::kKeyNotFound,
                 fmt::format("key {} is not in store {}", PrintableLine(operation.arguments[0]),
                             PrintableLine(operation.store)),
                 {{"store", operation.store}, {"key", operation.arguments[0]}});
  }
  return ValueFromProto(response.items(0).value());
}

absl::Status ScriptRunner::Commit(const std::string& name, Running& running) {
  SOP_ASSIGN_OR_RETURN(const std::string version, running.transaction->Commit());
  running_.erase(name);
  if (session_.terminal.json()) {
    session_.terminal.PrintJson(
        {{"transaction", name}, {"committed", true}, {"commit_version", VersionText(version)}});
  } else {
    session_.terminal.PrintLine(Label(name) + "committed");
  }
  return absl::OkStatus();
}

absl::Status ScriptRunner::Fail(const ScriptOperation& operation, const absl::Status& status,
                                Running& running) {
  const absl::Status failure =
      InContext(fmt::format("{}operation {} \"{}\"", Label(operation.transaction), operations_,
                            operation.text),
                status);
  session_.Report(failure);
  const bool lost = operation.verb == Verb::kCommit || absl::IsAborted(status);
  if (options_.after_failure == AfterFailure::kGoOn && !lost) {
    return failure;
  }
  if (running.transaction != nullptr) {
    // The failure is what counts; the idle limit ends what cannot be rolled back.
    running.transaction->Rollback().IgnoreError();
    session_.terminal.Note(Label(operation.transaction) +
                           "rolled back: nothing of this transaction was written");
  }
  if (options_.after_failure == AfterFailure::kGoOn) {
    running_.erase(operation.transaction);
  } else {
    running.failed = true;
  }
  return failure;
}

absl::Status ScriptRunner::CommitAll() {
  std::vector<std::pair<int, std::string>> open;
  for (const auto& [name, running] : running_) {
    if (!running.failed) {
      open.emplace_back(running.order, name);
    }
  }
  std::sort(open.begin(), open.end());
  absl::Status first;
  for (const auto& entry : open) {
    ScriptOperation commit{.transaction = entry.second,
                           .verb = Verb::kCommit,
                           .store = {},
                           .arguments = {},
                           .text = "commit"};
    const absl::Status status = Run(commit);
    first = first.ok() ? status : first;
  }
  return first;
}

absl::Status ScriptRunner::RollBackAll() {
  for (auto& [name, running] : running_) {
    if (!running.failed) {
      SOP_RETURN_IF_ERROR(running.transaction->Rollback());
      session_.terminal.Note(Label(name) + "rolled back");
    }
  }
  running_.clear();
  return absl::OkStatus();
}

void ScriptRunner::Print(const ScriptOperation& operation, const Json& result) {
  if (session_.terminal.json()) {
    session_.terminal.PrintJson({{"operation", operations_},
                                 {"transaction", operation.transaction},
                                 {"text", operation.text},
                                 {"result", result}});
    return;
  }
  const std::string head = Label(operation.transaction) + PrintableLine(operation.text) + " -> ";
  if (operation.verb != Verb::kScan) {
    const bool missing = operation.verb == Verb::kGet && result.is_null();
    session_.terminal.PrintLine(head + (missing ? "not there" : ResultText(result)));
    return;
  }
  session_.terminal.PrintLine(fmt::format("{}{} items", head, result.size()));
  for (const Json& item : result) {
    session_.terminal.PrintLine("  " + JsonText(item));
  }
}

}  // namespace sop::cli
