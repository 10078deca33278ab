#pragma once

#include <optional>

#include "absl/status/statusor.h"
#include "core/btree/key_schema.h"
#include "sop/v1/types.pb.h"

namespace sop::convert {

// INVALID_ARGUMENT for no fields, a name given twice or one that is no name.
absl::StatusOr<btree::IndexSpecification> IndexFromProto(const v1::IndexSpecification& index);
void IndexToProto(const btree::IndexSpecification& index, v1::IndexSpecification* out);

// The schema that a client declares; none if `declared` says nothing. INVALID_ARGUMENT for a type
// that does not exist, or fields that contradict the shape; the errors of KeySchema.
absl::StatusOr<std::optional<btree::KeySchema>> SchemaFromProto(
    const v1::KeySchema& declared, const btree::IndexSpecification& index);
void SchemaToProto(const btree::KeySchema& schema, v1::KeySchema* out);

}  // namespace sop::convert
