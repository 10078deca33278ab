#pragma once

#include <string>
#include <string_view>

#include "absl/status/statusor.h"
#include "clients/cli/text/item_json.h"

namespace sop::cli {

// A value, or one member of it, as a number. `member` is empty for the value itself.
//
// Errors: INVALID_ARGUMENT naming what is not a number, or a sum that is out of range.

// `value` with `amount` ("+30", "-2.5") added; integers stay integers, the format stays as it was.
absl::StatusOr<StoredValue> AddToNumber(const StoredValue& value, const std::string& member,
                                        std::string_view amount);

// Whether the number stands in `relation` (==, !=, <, <=, >, >=) to `bound`.
absl::StatusOr<bool> NumberHolds(const StoredValue& value, const std::string& member,
                                 std::string_view relation, std::string_view bound);

}  // namespace sop::cli
