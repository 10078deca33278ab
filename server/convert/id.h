#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "absl/status/statusor.h"
#include "core/base/ids.h"
#include "core/btree/value_format.h"
#include "sop/v1/types.pb.h"

namespace sop::convert {

// 16 bytes; none give the zero id. INVALID_ARGUMENT naming `field` otherwise.
absl::StatusOr<Uuid> UuidFromProto(std::string_view field, const std::string& bytes);

// A page token that is the text of an id, as Uuid::ToString writes it; none gives the zero id.
// INVALID_ARGUMENT naming `field` otherwise.
absl::StatusOr<Uuid> TokenToUuid(std::string_view field, const std::string& token);

// As UuidFromProto, for a `request_id`: also INVALID_ARGUMENT if it is not a version 7 UUID.
absl::StatusOr<Uuid> RequestIdFromProto(const std::string& bytes);

// A commit version on the wire: 8 bytes, most significant first, so that byte order is commit
// order. Opaque to clients.
std::string CommitVersion(Sequence sequence);
// Sequence 0 for no bytes. INVALID_ARGUMENT naming `field` if the bytes were not made by
// CommitVersion.
absl::StatusOr<Sequence> SequenceFromProto(std::string_view field, const std::string& bytes);

// INVALID_VALUE for a format that does not exist.
absl::StatusOr<btree::ValueFormat> FormatFromProto(v1::ValueFormat format);
v1::ValueFormat FormatToProto(btree::ValueFormat format);

}  // namespace sop::convert
