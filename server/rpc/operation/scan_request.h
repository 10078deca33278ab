#pragma once

#include <memory>

#include "absl/status/statusor.h"
#include "core/catalog/ordered_store.h"
#include "sop/v1/btree.pb.h"

namespace sop::rpc {

// The encoded range; everything in a store that is empty for want of a schema. Errors as
// convert::RangeFromProto.
absl::StatusOr<btree::KeyRange> RangeIn(const catalog::OrderedStore& store,
                                        const v1::KeyRange& range);

// The filter in the terms of the store; null for none, or in a store that is empty for want of a
// schema. Errors as convert::FilterFromProto and catalog::BoundFilter::Bind.
absl::StatusOr<std::shared_ptr<const catalog::BoundFilter>> FilterIn(
    const catalog::OrderedStore& store, const v1::Filter& filter);

// Range, start, direction, content and filter of a read. INVALID_ARGUMENT, or errors as RangeIn and
// FilterIn.
absl::StatusOr<catalog::ScanRequest> ScanFromProto(const catalog::OrderedStore& store,
                                                   const v1::ReadPageRequest& request);
absl::StatusOr<catalog::ScanRequest> ScanFromProto(const catalog::OrderedStore& store,
                                                   const v1::ScanRequest& request);

}  // namespace sop::rpc
