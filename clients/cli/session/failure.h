#pragma once

#include <grpcpp/support/status.h>

#include <string>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "clients/cli/text/json.h"

namespace sop::cli {

// Exit codes of the program.
inline constexpr int kExitDone = 0;
inline constexpr int kExitRefused = 1;
inline constexpr int kExitUsage = 2;

// What a server answered, with its ErrorInfo kept as a payload.
absl::Status StatusFromGrpc(const grpc::Status& status);

// INVALID_ARGUMENT that ends the program with kExitUsage.
absl::Status UsageError(std::string_view message);

// A failure in all its parts.
struct Failure {
  // "ABORTED", ...
  std::string code;
  // "CONFLICT", ...; empty if there is none.
  std::string reason;
  std::string message;
  // By name.
  std::vector<std::pair<std::string, std::string>> metadata;
  // What the caller can do about it.
  std::string advice;
  int exit_code = kExitRefused;
};

// REQUIRES: `status` is not OK.
Failure DescribeFailure(const absl::Status& status);

// "ABORTED / CONFLICT: message (store = accounts, key = alice). What to do."
std::string FailureText(const Failure& failure);
Json FailureJson(const Failure& failure);

// The reason of a status, empty if it has none.
std::string ReasonIn(const absl::Status& status);

}  // namespace sop::cli
