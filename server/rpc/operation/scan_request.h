#pragma once

#include "absl/status/statusor.h"
#include "core/catalog/ordered_store.h"
#include "sop/v1/btree.pb.h"

namespace sop::rpc {

// The encoded range; everything in a store that is empty for want of a schema. Errors as
// convert::RangeFromProto.
absl::StatusOr<btree::KeyRange> RangeIn(const catalog::OrderedStore& store,
                                        const v1::KeyRange& range);

// Range, start, direction and content of a read. INVALID_ARGUMENT, or errors as RangeIn.
absl::StatusOr<catalog::ScanRequest> ScanFromProto(const catalog::OrderedStore& store,
                                                   const v1::ReadPageRequest& request);
absl::StatusOr<catalog::ScanRequest> ScanFromProto(const catalog::OrderedStore& store,
                                                   const v1::ScanRequest& request);

}  // namespace sop::rpc
