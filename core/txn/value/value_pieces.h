#pragma once

#include <optional>
#include <string>
#include <string_view>

#include "absl/functional/function_ref.h"
#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "core/base/ids.h"
#include "core/persistence/value_reference.h"

namespace sop::txn {

// Hands `value` to `place` under ids that `next` gives, in as many pieces as its size asks for.
// REQUIRES: each id follows the one before. Errors of `place`.
absl::StatusOr<persistence::ValueReference> PlaceValue(
    std::string_view value, absl::FunctionRef<Serial()> next,
    absl::FunctionRef<absl::Status(Serial id, std::string_view piece)> place);

// A value as it stood in one piece or more: `read` gives piece i, nothing if it is not there.
// DAMAGED if size or checksum differ, or a piece is missing; errors of `read`.
absl::StatusOr<std::string> ReadWhole(
    const persistence::ValueReference& reference,
    absl::FunctionRef<absl::StatusOr<std::optional<std::string>>(uint64_t i)> read);

// That a piece of `reference` is missing or is not as long as it must be.
absl::Status PieceDamaged(const persistence::ValueReference& reference);

}  // namespace sop::txn
