#pragma once

#include <string>
#include <string_view>

#include "absl/status/statusor.h"

namespace sop::rpc {

// Where a list of names goes on: behind `last`. `list` says which list it is of.
std::string MakeListToken(std::string_view list, std::string_view last);
// The name; empty for the beginning. INVALID_ARGUMENT if it is no token of that list.
absl::StatusOr<std::string> ReadListToken(std::string_view list, std::string_view token);

}  // namespace sop::rpc
