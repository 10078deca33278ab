#pragma once

#include <string_view>

#include "absl/status/statusor.h"
#include "clients/cli/text/key_text.h"
#include "sop/v1/filter.pb.h"

namespace sop::cli {

// A filter in MongoDB's shape: {"region": "US", "address.city": {"$prefix": "Li"}}, with $eq, $ne,
// $gt, $gte, $lt, $lte, $in, $nin, $prefix, $exists, $not on fields and $and, $or, $nor, $not on
// filters. "$key.NAME" and "$value.NAME" say where the field is, "$key" is a scalar key, "$value"
// the whole value. The text of any type will do for a field of the key. INVALID_ARGUMENT naming the
// field.
absl::StatusOr<v1::Filter> ParseFilter(const StoreKeys& keys, std::string_view text);

}  // namespace sop::cli
