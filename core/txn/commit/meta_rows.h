#pragma once

#include <optional>
#include <string>
#include <string_view>

#include "core/base/ids.h"

namespace sop::txn {

// Rows of Space::kMeta that belong to the engine; docs/formats/meta.md. Count records have keys
// beginning with "c" (count_ledger.h).

// The smallest tree id never used.
inline constexpr std::string_view kNextTreeRow = "t";
std::string EncodeNextTree(TreeId next);
std::optional<TreeId> DecodeNextTree(std::string_view bytes);

// How much the outcomes take, and up to which token they were removed.
struct OutcomeTotals {
  uint64_t bytes = 0;
  Uuid removed_through;
};
inline constexpr std::string_view kOutcomeTotalsRow = "o";
std::string EncodeOutcomeTotals(const OutcomeTotals& totals);
std::optional<OutcomeTotals> DecodeOutcomeTotals(std::string_view bytes);

}  // namespace sop::txn
