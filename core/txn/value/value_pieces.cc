#include "core/txn/value/value_pieces.h"

#include <utility>

#include <fmt/format.h>

#include "core/base/check.h"
#include "core/base/checksum.h"
#include "core/base/error.h"
#include "core/base/status_macros.h"
#include "core/btree/limits.h"

namespace sop::txn {

using persistence::ValueReference;

absl::StatusOr<ValueReference> PlaceValue(
    std::string_view value, absl::FunctionRef<Serial()> next,
    absl::FunctionRef<absl::Status(Serial id, std::string_view piece)> place) {
  const ValueReference reference{next(), value.size(), base::Checksum64(value)};
  for (uint64_t i = 0; i < reference.pieces(); ++i) {
    const Serial id = i == 0 ? reference.value_id : next();
    SOP_CHECK(id == reference.piece(i));
    SOP_RETURN_IF_ERROR(
        place(id, value.substr(i * persistence::kValuePieceBytes, reference.piece_size(i))));
  }
  return reference;
}

absl::Status PieceDamaged(const ValueReference& reference) {
  return Error(Reason::kDamaged, fmt::format("value {} of {} bytes is damaged or missing",
                                             reference.value_id.value, reference.size));
}

absl::StatusOr<std::string> ReadWhole(
    const ValueReference& reference,
    absl::FunctionRef<absl::StatusOr<std::optional<std::string>>(uint64_t i)> read) {
  if (reference.size > btree::kMaxValueSizeBytes) return PieceDamaged(reference);
  std::string whole;
  for (uint64_t i = 0; i < reference.pieces(); ++i) {
    SOP_ASSIGN_OR_RETURN(std::optional<std::string> piece, read(i));
    if (!piece.has_value() || piece->size() != reference.piece_size(i)) {
      return PieceDamaged(reference);
    }
    if (!reference.in_pieces()) {
      whole = *std::move(piece);
    } else {
      if (i == 0) whole.reserve(reference.size);
      whole.append(*piece);
    }
  }
  if (base::Checksum64(whole) != reference.checksum) return PieceDamaged(reference);
  return whole;
}

}  // namespace sop::txn
