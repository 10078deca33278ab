#pragma once

#include "absl/status/statusor.h"
#include "core/catalog/store_entry.h"
#include "core/catalog/store_options.h"
#include "sop/v1/types.pb.h"

namespace sop::convert {

// The options that `options` gives. INVALID_ARGUMENT for an enum that does not exist or a schema
// that contradicts the index; ranges are checked by catalog::Complete.
absl::StatusOr<catalog::GivenOptions> OptionsFromProto(const v1::BtreeOptions& options);

// Name, id, kind, options in effect and schema; count and size are the caller's.
void StoreToProto(const catalog::StoreEntry& entry, v1::Store* out);

}  // namespace sop::convert
