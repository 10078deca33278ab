#pragma once

#include "absl/status/statusor.h"
#include "core/catalog/filter/filter.h"
#include "sop/v1/filter.pb.h"

namespace sop::convert {

// INVALID_ARGUMENT if a filter or a condition says nothing this server knows, INVALID_KEY for an
// operand that is no scalar, each naming the field; sizes are checked by catalog::CheckFilter.
absl::StatusOr<catalog::Filter> FilterFromProto(const v1::Filter& filter);

}  // namespace sop::convert
