#include "core/txn/commit/meta_rows.h"

#include "core/base/bytes.h"

namespace sop::txn {

std::string EncodeNextTree(TreeId next) {
  std::string out;
  base::AppendVarint(&out, next.value);
  return out;
}

std::optional<TreeId> DecodeNextTree(std::string_view bytes) {
  base::ByteReader reader(bytes);
  uint64_t next;
  if (!reader.GetVarint(&next) || !reader.empty() || next > UINT32_MAX) return std::nullopt;
  return TreeId{static_cast<uint32_t>(next)};
}

std::string EncodeOutcomeTotals(const OutcomeTotals& totals) {
  std::string out;
  base::AppendVarint(&out, totals.bytes);
  out.append(totals.removed_through.Bytes());
  return out;
}

std::optional<OutcomeTotals> DecodeOutcomeTotals(std::string_view bytes) {
  base::ByteReader reader(bytes);
  OutcomeTotals totals;
  if (!reader.GetVarint(&totals.bytes) || !reader.GetBig64(&totals.removed_through.high) ||
      !reader.GetBig64(&totals.removed_through.low) || !reader.empty()) {
    return std::nullopt;
  }
  return totals;
}

}  // namespace sop::txn
