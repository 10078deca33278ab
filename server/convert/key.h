#pragma once

#include <string_view>

#include "absl/status/statusor.h"
#include "core/btree/key.h"
#include "core/btree/key_schema.h"
#include "sop/v1/types.pb.h"

namespace sop::convert {

// INVALID_KEY, naming `field`, if no kind is set or a uuid is not 16 bytes.
absl::StatusOr<btree::Scalar> ScalarFromProto(std::string_view field, const v1::Scalar& scalar);

// INVALID_KEY if no kind is set, a uuid is not 16 bytes, or a record names a field twice or leaves
// its value out. Types and sizes are checked by the store's schema.
absl::StatusOr<btree::Key> KeyFromProto(const v1::Key& key);

// Takes the strings of `key`.
void KeyToProto(btree::Key key, v1::Key* out);

// The encoded keys of `range` under `schema`. The errors of KeyFromProto and KeySchema.
absl::StatusOr<btree::KeyRange> RangeFromProto(const v1::KeyRange& range,
                                               const btree::KeySchema& schema);

}  // namespace sop::convert
