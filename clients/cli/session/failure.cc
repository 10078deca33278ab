#include "clients/cli/session/failure.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <string_view>

#include "clients/cli/text/item_json.h"
#include "core/base/error.h"
#include "google/rpc/error_details.pb.h"
#include "google/rpc/status.pb.h"

namespace sop::cli {

namespace {

constexpr char kErrorInfoUrl[] = "type.googleapis.com/google.rpc.ErrorInfo";
constexpr char kUsageUrl[] = "sop.cli/usage";

struct Advice {
  std::string_view reason;
  std::string_view text;
};

constexpr std::array<Advice, 22> kAdvice{{
    {"CONFLICT",
     "Something this transaction read was changed by another one, which committed first. Run it "
     "again (--retry does)."},
    {"SCHEMA_DECIDED", "Another transaction created or typed the store first. Run it again."},
    {"STORE_REMOVED",
     "The store was removed meanwhile. Create it, then run the transaction again."},
    {"TRANSACTION_EXPIRED", "The transaction was open or idle for too long. Run it again."},
    {"TRANSACTION_LOST", "The server was restarted meanwhile. Run the transaction again."},
    {"TRANSACTION_ENDED", "Begin another transaction."},
    {"TRANSACTION_POISONED", "Roll back and begin another transaction."},
    {"READ_ONLY_TRANSACTION", "Leave --read-only out."},
    {"OPTIONS_DIFFER", "Leave the option out, or choose another name."},
    {"FOLDER_NOT_ALLOWED", "Name a folder under one of the server's --stores-root folders."},
    {"PRECONDITION_NOT_MET", "Read the item again: it was written since."},
    {"OUTCOME_UNKNOWN", "Read what is there before you repeat it."},
    {"DATABASE_NOT_FOUND", "`sop db list` shows the databases there are."},
    {"STORE_NOT_FOUND",
     "`sop store list` shows the stores there are; `sop store create` makes one."},
    {"KEY_TYPE_DIFFERS", "`sop store info` shows the types of the keys."},
    {"FIELD_MISSING", "`sop store info` shows the fields of the index."},
    {"OVERLOADED", "Wait, then try again."},
    {"DISK_FULL", "Make space on the server; reading and removing go on working."},
    {"LIMIT_EXCEEDED", "Make it smaller; `sop import --batch` splits a file."},
    {"DAMAGED", "Bytes on the server's disk are damaged: restore them from a backup."},
    {"KEY_EXISTS", "Update it instead, or leave --add out."},
    {"KEY_NOT_FOUND", "Add it instead, or check the key."},
}};

std::string AdviceFor(absl::StatusCode code, std::string_view reason) {
  const auto* found = std::find_if(kAdvice.begin(), kAdvice.end(), [reason](const Advice& advice) {
    return advice.reason == reason;
  });
  if (found != kAdvice.end()) {
    return std::string(found->text);
  }
  switch (code) {
    case absl::StatusCode::kUnavailable:
      return "Is the server running at this address? --address or SOP_ADDRESS names another.";
    case absl::StatusCode::kDeadlineExceeded:
      return "--timeout gives it more time; what was asked for may have happened.";
    case absl::StatusCode::kUnimplemented:
      return "This release of the server cannot do that yet.";
    case absl::StatusCode::kInternal:
      return "This is a bug of the server: please report it.";
    default:
      return {};
  }
}

google::rpc::ErrorInfo CauseOf(const absl::Status& status) {
  google::rpc::ErrorInfo cause;
  if (const auto payload = status.GetPayload(kErrorInfoUrl); payload) {
    if (!cause.ParseFromString(std::string(*payload))) {
      cause.Clear();
    }
    return cause;
  }
  if (ReasonOf(status) != Reason::kUnspecified) {
    cause.set_reason(std::string(ReasonName(ReasonOf(status))));
  }
  for (const auto& [name, value] : DetailsOf(status)) {
    (*cause.mutable_metadata())[name] = value;
  }
  return cause;
}

}  // namespace

absl::Status StatusFromGrpc(const grpc::Status& status) {
  if (status.ok()) {
    return absl::OkStatus();
  }
  absl::Status result(static_cast<absl::StatusCode>(status.error_code()), status.error_message());
  google::rpc::Status details;
  if (!details.ParseFromString(status.error_details())) {
    return result;
  }
  for (const google::protobuf::Any& detail : details.details()) {
    google::rpc::ErrorInfo cause;
    if (detail.UnpackTo(&cause)) {
      result.SetPayload(kErrorInfoUrl, absl::Cord(cause.SerializeAsString()));
    }
  }
  return result;
}

absl::Status UsageError(std::string_view message) {
  absl::Status status = Error(Reason::kInvalidArgument, message);
  status.SetPayload(kUsageUrl, absl::Cord());
  return status;
}

Failure DescribeFailure(const absl::Status& status) {
  Failure failure;
  failure.code = absl::StatusCodeToString(status.code());
  failure.message = std::string(status.message());
  const google::rpc::ErrorInfo cause = CauseOf(status);
  failure.reason = cause.reason();
  for (const auto& [name, value] : cause.metadata()) {
    failure.metadata.emplace_back(name, value);
  }
  std::sort(failure.metadata.begin(), failure.metadata.end());
  failure.advice = AdviceFor(status.code(), failure.reason);
  if (status.GetPayload(kUsageUrl)) {
    failure.exit_code = kExitUsage;
    failure.advice = "--help says how it is used.";
  }
  return failure;
}

std::string FailureText(const Failure& failure) {
  std::string text = failure.code;
  if (!failure.reason.empty() && failure.reason != failure.code) {
    text += " / " + failure.reason;
  }
  text += ": " + PrintableLine(failure.message);
  for (size_t i = 0; i < failure.metadata.size(); ++i) {
    text += fmt::format("{}{} = {}", i == 0 ? " (" : ", ", failure.metadata[i].first,
                        PrintableLine(failure.metadata[i].second));
  }
  text += failure.metadata.empty() ? "" : ")";
  return failure.advice.empty() ? text : text + ". " + failure.advice;
}

Json FailureJson(const Failure& failure) {
  Json metadata = Json::object();
  for (const auto& [name, value] : failure.metadata) {
    metadata[name] = value;
  }
  return {{"code", failure.code},
          {"reason", failure.reason},
          {"message", failure.message},
          {"metadata", std::move(metadata)},
          {"advice", failure.advice}};
}

std::string ReasonIn(const absl::Status& status) { return CauseOf(status).reason(); }

}  // namespace sop::cli
