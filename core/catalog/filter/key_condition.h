#pragma once

#include "absl/status/status.h"
#include "core/btree/key.h"
#include "core/catalog/filter/bound_filter.h"

namespace sop::catalog {

// Encodes the operands of a condition on a field of the key; numbers become of the field's type
// where that is exact. Errors as BoundFilter::Bind.
absl::Status EncodeOperands(BoundCondition* condition);

// Whether the field, empty if the item has none, meets the condition.
bool FieldHolds(const BoundCondition& condition, const btree::EncodedField& field);

// The keys that begin with `leading`, encoded, and whose next field is as the condition says, or
// more: kEqual, orders and kPrefix exactly. All that begin so for what has no range.
btree::KeyRange RangeOf(const BoundCondition& condition, std::string_view leading);
// Whether RangeOf says all that the condition does.
bool IsRange(const BoundCondition& condition);

}  // namespace sop::catalog
