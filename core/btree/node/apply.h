#pragma once

#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace sop::btree {

// The one meeting of deltas and images: committer, RocksDB's merge operator, readers of a cluster's
// log and the log's consolidator all call it. `image` absent means an empty leaf. `deltas` are
// encoded, oldest first; those not newer than the image are skipped, so that replay is idempotent.
//
// Total: bytes that cannot be understood, and deltas that do not fit the node's kind, give a
// *damaged image* that keeps base and deltas verbatim for repair; NodeImage::Parse answers
// DATA_LOSS for it. Never fails, never crashes.
std::string Apply(std::optional<std::string_view> image, std::span<const std::string_view> deltas);

// What a damaged image kept.
struct DamagedContent {
  std::optional<std::string> image;
  std::vector<std::string> deltas;
};
std::optional<DamagedContent> ReadDamagedImage(std::string_view bytes);

}  // namespace sop::btree
